"""What a picture's file is called for people: after its shot, in letters that every system takes."""

import re
from collections.abc import Iterable

from registry.records import ShotRecord

ENDINGS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
}


def file_name(shot: ShotRecord) -> str:
    """The name of a shot's file; "" where nothing was made of it."""
    if shot.artefact is None:
        return ""
    return re.sub(r"[^A-Za-z0-9._-]", "_", shot.name) + ENDINGS.get(shot.artefact.media_type, "")


def distinct_names(shots: Iterable[ShotRecord]) -> dict[str, str]:
    """File names by shot, for every made one; two that would be the same are told apart by their place."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for shot in shots:
        name = file_name(shot)
        if not name:
            continue
        if name.casefold() in taken:  # some systems hold fox and Fox for one
            name = f"{shot.ordinal:06d}-{name}"
        taken.add(name.casefold())
        names[shot.name] = name
    return names
