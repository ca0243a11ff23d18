"""The closed list of things the model can draw, and the words around them."""

from __future__ import annotations

from dataclasses import dataclass

BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "red": (225, 50, 50),
    "orange": (250, 150, 40),
    "yellow": (250, 220, 70),
    "green": (70, 180, 90),
    "blue": (70, 130, 230),
    "purple": (150, 90, 200),
    "pink": (250, 170, 200),
    "black": (25, 25, 30),
}

STYLES = ("flat", "3d")
"""What the teacher knows; the order is the order of the art axis in the data."""

ADDED_STYLES = ("twemoji", "shapes")
"""What the style LoRAs add; their words are in the vocabulary from the start."""


@dataclass(frozen=True, slots=True)
class Subject:
    """`short_name` finds the picture in the emoji sets; `name` is the word in prompts."""

    name: str
    short_name: str


_RENAMED = {
    "fox_face": "fox",
    "lion_face": "lion",
    "unicorn_face": "unicorn",
    "panda_face": "panda",
    "monkey_face": "monkey",
    "hatching_chick": "chick",
    "t-rex": "dinosaur",
    "giraffe_face": "giraffe",
    "dragon_face": "dragon",
    "full_moon_with_face": "moon",
    "sun_with_face": "sun",
    "ringed_planet": "planet",
    "apple": "red apple",
    "cheese_wedge": "cheese",
    "fries": "french fries",
    "icecream": "ice cream cone",
    "birthday": "birthday cake",
    "soccer": "soccer ball",
    "drum_with_drumsticks": "drum",
    "flying_saucer": "ufo",
    "bulb": "light bulb",
    "grinning": "smiling face",
    "robot_face": "robot",
    "jack_o_lantern": "pumpkin",
    "heart": "red heart",
    "doughnut": "donut",
    "four_leaf_clover": "clover",
    "gem": "diamond",
    "european_castle": "castle",
}

_SHORT_NAMES = """
dog cat wolf fox_face lion_face tiger unicorn_face cow pig mouse rabbit bear panda_face koala frog monkey_face
penguin hatching_chick duck owl bat bee butterfly ladybug turtle snake t-rex octopus crab fish dolphin whale
shark crocodile elephant giraffe_face dragon_face
cactus christmas_tree palm_tree four_leaf_clover mushroom rose tulip sunflower full_moon_with_face
sun_with_face ringed_planet star fire rainbow snowman snowflake
apple lemon banana watermelon grapes strawberry cherries pineapple carrot corn cheese_wedge hamburger
fries pizza doughnut icecream birthday cupcake
soccer basketball guitar drum_with_drumsticks balloon gift crown gem umbrella red_car taxi bus airplane rocket
flying_saucer sailboat house european_castle key bulb camera teddy_bear robot_face ghost alien grinning
jack_o_lantern heart blue_heart green_heart
""".split()

SUBJECTS = tuple(Subject(_RENAMED.get(short, short.replace("_", " ")), short) for short in _SHORT_NAMES)

_CODEC_ONLY = frozenset(
    "wolf tiger cow mouse bear koala chick bat snake whale crocodile giraffe clover lemon grapes cherries "
    "corn cheese cupcake drum bus".split()
)
"""They widen the codec's training and are not taught to the model: each would cost the others visits."""

TAUGHT = tuple(subject for subject in SUBJECTS if subject.name not in _CODEC_ONLY)

_MOVED = """
dog cat fox lion panda frog penguin owl turtle octopus fish elephant strawberry pizza donut star sun balloon
taxi rocket robot ghost
""".split()
MOVED = tuple(subject for subject in TAUGHT if subject.name in [*_MOVED, "red apple", "red heart"])
"""What the motion adapter is shown, in the flat style alone: as much as an hour of shared cores can teach."""

OTHER_WORDS = (
    "a an the of in on with and picture photo drawing painting icon emoji cute small big style background "
    "happy sad animal food sticker illustration render"
).split()


def article(noun: str) -> str:
    """`a` or `an`, by the first letter; `ufo` and `unicorn` are the exceptions of this list."""
    return "an" if noun[0] in "aeiou" and noun not in ("ufo", "unicorn") else "a"
