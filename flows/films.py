"""A made clip as a film: with the rate it was planned at, its marking and its sound, to copy into a video."""

from pathlib import Path

from flows.bootstrap import House
from flows.keeping import why_gone
from policy.clips import WAN_FRAME_RATE
from policy.errors import UnknownName
from policy.plan import Decision
from registry.records import ShotRecord
from workers.marking import read_marking
from workers.video_files import Film


def film_of(house: House, shot: ShotRecord, decision: Decision, clip: Path) -> Film:
    """The clip of a shot as it lies in a file, with what belongs to it."""
    return Film(
        clip=clip.read_bytes(),
        frames=shot.frames,
        fps=decision.fps or WAN_FRAME_RATE,
        marking=read_marking(clip),
        sound=sound_of(house, shot),
    )


def sound_of(house: House, shot: ShotRecord) -> bytes | None:
    """The WAV that is heard with a clip, None where none was made; UnknownName where the store lost it."""
    if shot.artefact is None or shot.artefact.sound_sha256 is None:
        return None
    return kept_bytes(house, shot.name, shot.artefact.sound_sha256).read_bytes()


def kept_bytes(house: House, shot: str, sha256: str) -> Path:
    """Where the bytes of a shot lie; UnknownName that says whether they were lost or not kept."""
    try:
        return house.store.path_of(sha256)
    except UnknownName as error:
        raise why_gone(house, shot, sha256) from error
