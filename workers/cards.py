"""What a graphics card is called, without importing torch: as its driver names it."""

from pathlib import Path

CARDS = Path("/proc/driver/nvidia/gpus")  # one folder a card, with a file "information"


def device_class_of(card: str) -> str:
    """A card's name as the cost model spells it: ``nvidia-h100-80gb-hbm3``."""
    return card.lower().replace(" ", "-")


def card_class(device: str, cards: Path = CARDS) -> str | None:
    """The device class of a torch device such as ``cuda:1``; None where the driver does not tell.

    Cards of one machine are taken in the order of their bus addresses.
    """
    _, _, number = device.partition(":")
    files = sorted(cards.glob("*/information"))
    if int(number or 0) >= len(files):
        return None
    for line in files[int(number or 0)].read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "Model" and value.strip():
            return device_class_of(value.strip())
    return None
