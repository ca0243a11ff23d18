"""The fleet of several devices as one setting: ``cpu threads=1 workers=2, cuda workers=1 price=2.5``.

Groups are parted by commas; each names a torch device and then what differs from its
defaults. Nobody writes JSON into an environment.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from workers.cards import card_class
from workers.renderer import RendererKind

MOST_WORKERS = 4096
MOST_THREADS = 256
TORCH_DEVICE = re.compile(r"cpu|cuda(:\d+)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupSetting:
    """Workers that are alike, as they were configured."""

    device: str  # of torch: cpu, cuda, cuda:1
    workers: int = 1
    threads: int = 1  # of torch, of each worker
    price: float | None = None  # an hour of one device
    load: float = 2.0  # seconds to make a stack resident, as assumed
    name: str = ""  # device class, as cost profiles and workers name it; worked out where it is not given
    step: float = 0.0  # synthetic renderer only: seconds that a step sleeps

    @property
    def gpus(self) -> float:
        """Cards that each worker takes for itself."""
        return 1.0 if self.device.startswith("cuda") else 0.0

    def device_class(self, kind: RendererKind) -> str:
        """The name under which workers of this group report what they measured."""
        if kind is RendererKind.SYNTHETIC:
            return f"synthetic-{self.threads}"
        if self.device == "cpu":
            return f"cpu-{self.threads}"
        return self.name or card_class(self.device) or self.device


def read_fleet(text: str) -> tuple[GroupSetting, ...]:
    """The groups that a setting names; ValueError that says which word is wrong and what would be right."""
    groups = tuple(_group(part.split()) for part in text.split(",") if part.strip())
    for group in groups:
        if sum((other.device, other.threads) == (group.device, group.threads) for other in groups) > 1:
            raise ValueError(f"{group.device} threads={group.threads} is named twice; add its workers up")
    return groups


def _group(words: list[str]) -> GroupSetting:
    device, *rest = words
    if not TORCH_DEVICE.fullmatch(device):
        raise ValueError(f"{device!r} is no device; a group begins with cpu, cuda or cuda:NUMBER")
    given: dict[str, int | float | str] = {}
    for word in rest:
        key, _, value = word.partition("=")
        if key not in READ:
            raise ValueError(f"{word!r} is not understood; a group takes {', '.join(READ)} as key=value")
        if key in given:
            raise ValueError(f"{key} is given twice for {device}")
        read, wanted = READ[key]
        try:
            given[key] = read(value)
        except ValueError:
            raise ValueError(f"{word!r}: {key} is {wanted}") from None
    return GroupSetting(device=device, **given)  # type: ignore[arg-type]  # each was read as what it is


def _count(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        if not 1 <= number <= most:
            raise ValueError(text)
        return number

    return read


def _amount(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1e6:
        raise ValueError(text)
    return number


def _name(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


READ: dict[str, tuple[Callable[[str], int | float | str], str]] = {
    "workers": (_count(MOST_WORKERS), f"a whole number from 1 to {MOST_WORKERS}"),
    "threads": (_count(MOST_THREADS), f"a whole number from 1 to {MOST_THREADS}"),
    "price": (_amount, "money for an hour of one device, such as 2.5"),
    "load": (_amount, "the seconds that loading a stack takes, such as 2.0"),
    "name": (_name, "the device class that its workers report"),
    "step": (_amount, "seconds, such as 0.05"),
}
