"""The files of a shipment: copied from the store and hashed on the way, then signed; whole and durable."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from flows.bootstrap import House
from flows.file_names import distinct_names
from flows.films import film_of
from flows.house_keys import credential_chain
from flows.shipping import Goods
from flows.staging import write_durably
from policy.clips import VideoKind
from policy.errors import UnknownName, WrongUse
from policy.wording import plural
from registry.evidence.credentials import SIGNED_TYPES, CredentialSigner, MadeWith, are_available
from registry.evidence.disclosure import says_machine_made
from registry.evidence.papers import PaperFile
from registry.records import ArtefactRecord, ShotRecord
from workers.sound_files import WAV
from workers.video_files import write_video

Tell = Callable[[str], None]
ALGORITHMIC = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"


@dataclass(frozen=True, kw_only=True, slots=True)
class StagedFile:
    """A file as it was copied; nothing is signed yet."""

    shot: ShotRecord
    name: str
    path: Path
    media_type: str
    artefact_sha256: str  # as the ledger has it; of a copy, what it was made from
    size: int
    sha256: str | None  # of these bytes, as they were just read; None: the store has lost them
    is_marked: bool  # its own bytes say that a machine made it
    is_copy: bool = False  # made just now for players: the ledger has no digest of its own for it


def stage_files(
    house: House, goods: Goods, folder: Path, videos: Sequence[VideoKind] = ()
) -> tuple[StagedFile, ...]:
    """Copy what was made; each digest is of the very bytes that will leave, and no cache is asked.

    The sound of a clip goes with it, and a copy in each of ``videos``.
    """
    names = distinct_names(goods.shots)
    return tuple(
        file
        for shot in goods.shots
        if shot.name in names and shot.artefact is not None
        for file in _staged_of(house, goods, shot, shot.artefact, folder / names[shot.name], videos)
    )


def _staged_of(
    house: House,
    goods: Goods,
    shot: ShotRecord,
    artefact: ArtefactRecord,
    path: Path,
    videos: Sequence[VideoKind],
) -> Iterator[StagedFile]:
    """What was made of a shot, and copies of it; none of bytes that changed, which the gate refuses."""
    made = _staged(shot, path, artefact.media_type, artefact.sha256, _stored(house, artefact.sha256))
    yield made
    is_whole = made.sha256 == artefact.sha256
    if artefact.sound_sha256 is not None:
        body = _stored(house, artefact.sound_sha256)
        heard = _staged(shot, path.with_suffix(".wav"), WAV, artefact.sound_sha256, body)
        yield heard
        is_whole = is_whole and heard.sha256 == artefact.sound_sha256
    for kind in videos if is_whole and shot.frames > 1 else ():
        target = path.with_suffix(kind.suffix)
        write_video(target, kind, film_of(house, shot, goods.header.decisions[shot.decision], path))
        copy = staged_file(shot, target, kind.media_type, artefact.sha256, target.read_bytes())
        yield replace(copy, is_copy=True)


def _staged(
    shot: ShotRecord, path: Path, media_type: str, artefact_sha256: str, body: bytes | None
) -> StagedFile:
    if body is not None:
        path.write_bytes(body)  # flushed when it is signed
    return staged_file(shot, path, media_type, artefact_sha256, body)


def staged_file(
    shot: ShotRecord, path: Path, media_type: str, artefact_sha256: str, body: bytes | None
) -> StagedFile:
    """A file as its bytes are; none where the store has lost them."""
    return StagedFile(
        shot=shot,
        name=path.name,
        path=path,
        media_type=media_type,
        artefact_sha256=artefact_sha256,
        size=len(body or b""),
        sha256=None if body is None else hashlib.sha256(body).hexdigest(),
        is_marked=body is not None and says_machine_made(body),
    )


def _stored(house: House, sha256: str) -> bytes | None:
    try:
        return house.store.path_of(sha256).read_bytes()
    except (UnknownName, FileNotFoundError):
        return None


def house_signer(house: House) -> CredentialSigner | None:
    """Who signs content credentials; None where nobody does. Required ones without the extra are WrongUse."""
    wish = house.settings.credentials
    if wish == "off" or (wish == "auto" and not are_available()):
        return None
    return CredentialSigner(credential_chain(house))


def credential_notes(house: House, files: Sequence[StagedFile]) -> tuple[str, ...]:
    """What has to be said about content credentials: who goes without, and why."""
    wish = house.settings.credentials
    if wish == "off":
        return ("Content credentials are switched off (RIGHTSTEP_CREDENTIALS).",)
    if wish == "auto" and not are_available():
        return ("No content credentials: the extra c2pa is not installed.",)
    unable = [file for file in files if file.media_type not in SIGNED_TYPES]
    kinds = ", ".join(sorted({file.media_type for file in unable}))
    return (
        (f"{plural(len(unable), 'file')} without content credentials: {kinds} has none.",) if unable else ()
    )


def refuse_unsignable(house: House, files: Sequence[StagedFile]) -> None:
    """WrongUse where credentials are required of a file that has no place for them."""
    unable = [file.name for file in files if file.media_type not in SIGNED_TYPES]
    if house.settings.credentials == "required" and unable:
        raise WrongUse(
            f"{unable[0]} cannot carry content credentials, and they are required.",
            "Deliver another format, or set RIGHTSTEP_CREDENTIALS=auto.",
        )


def sign_files(
    goods: Goods, files: Sequence[StagedFile], signer: CredentialSigner | None
) -> tuple[PaperFile, ...]:
    """Sign every file that can be, last of all, and flush it; the digests are of what leaves."""
    return tuple(_sign(goods, file, signer) for file in files)


def unsigned(goods: Goods, file: StagedFile) -> PaperFile:
    """A file as the papers name it where it leaves as it was made."""
    return PaperFile(
        name=file.name,
        shot=file.shot.name,
        shot_key=file.shot.shot_key,
        stack_id=goods.header.decisions[file.shot.decision].offer.stack.stack_id,
        media_type=file.media_type,
        size=file.size,
        artefact_sha256=file.artefact_sha256,
        shipped_sha256=file.sha256 or "",
        has_credentials=False,
    )


def _sign(goods: Goods, file: StagedFile, signer: CredentialSigner | None) -> PaperFile:
    shot, kind, paper = file.shot, file.media_type, unsigned(goods, file)
    stack = goods.header.decisions[shot.decision].offer.stack
    if signer is None or kind not in SIGNED_TYPES:
        _flush(file.path)
        return paper
    body = file.path.read_bytes()
    made = MadeWith(
        title=file.name,
        shot_key=shot.shot_key,
        stack_id=stack.stack_id,
        artefact_sha256=paper.artefact_sha256,
        models=tuple((pin.repo, pin.revision, pin.pin_id) for pin in stack.pins),
        version=version("rightstep"),
    )
    if ALGORITHMIC.encode() in body:  # a synthetic frame was drawn by plain code
        made = replace(made, source_type=ALGORITHMIC)
    signed = signer.sign(body, kind, made)
    write_durably(file.path, signed)
    digest = hashlib.sha256(signed).hexdigest()
    return replace(paper, size=len(signed), shipped_sha256=digest, has_credentials=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
