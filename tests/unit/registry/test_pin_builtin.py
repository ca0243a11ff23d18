"""The built-in pins: made the same way every time, shipped, and true."""

import json

import pytest

from policy.errors import FormatFault
from policy.stacks import Role
from registry.pin_builtin import PINS, load_builtin_pins, make_pins, pins_text, write_builtin_pins
from registry.sources import builtin_source
from registry.verification import verify_files


def test_the_shipped_pins_are_those_of_the_shipped_models():
    assert PINS.read_text() == pins_text(make_pins(builtin_source())), "run: python -m registry.pin_builtin"


def test_the_shipped_models_are_unchanged_since_they_were_pinned():
    source = builtin_source()
    for pin in load_builtin_pins():
        assert verify_files(str(source.locate(pin.repo)), pin.files) == ()


def test_the_pins_say_what_each_model_is_for():
    assert {pin.repo.removeprefix("rightstep/emoji-64"): pin.role for pin in load_builtin_pins()} == {
        "": Role.BASE,
        "-lcm-lora": Role.DISTILL_LORA,
        "-motion": Role.DISTILL_LORA,
        "-style-shapes": Role.LORA,
        "-style-twemoji": Role.LORA,
    }


def test_written_pins_read_back_as_they_were(tmp_path):
    pins = load_builtin_pins()
    (tmp_path / "pins.json").write_text(pins_text(pins))
    assert load_builtin_pins(tmp_path / "pins.json") == pins


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", json.dumps({"format": 2, "pins": []}), json.dumps({"format": 1, "pins": [{"repo": 1}]})],
)
def test_a_damaged_pin_file_is_refused(tmp_path, text):
    (tmp_path / "pins.json").write_text(text)
    with pytest.raises(FormatFault, match=r"pins\.json"):
        load_builtin_pins(tmp_path / "pins.json")


def test_no_pin_file_is_refused(tmp_path):
    with pytest.raises(FormatFault, match="cannot be read"):
        load_builtin_pins(tmp_path / "none.json")


def test_writing_the_pins_twice_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_builtin_pins(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == PINS.read_bytes()
