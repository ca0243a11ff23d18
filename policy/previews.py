"""How far a picture is, for whoever waits for it: at which steps it is shown, and what is told then."""

from dataclasses import dataclass

MOST_PREVIEWS = 3  # of one request, as in OpenAI's images API (partial_images)


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """A step of a batch that is done, as told to one of those who wait for it."""

    done: int
    steps: int
    previews: tuple[bytes, ...] = ()  # a marked PNG of each of the caller's pictures, where one was due


def preview_steps(steps: int, wanted: int) -> frozenset[int]:
    """After which steps to show a picture so often, evenly; never after the last, which is the picture.

    Fewer where there are fewer steps in between.
    """
    wanted = min(wanted, MOST_PREVIEWS, max(0, steps - 1))
    return frozenset(-(-steps * number // (wanted + 1)) for number in range(1, wanted + 1)) - {steps}
