"""The files of a shipment: copied from the store and hashed on the way, then signed; whole and durable."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from flows.bootstrap import House
from flows.file_names import distinct_names
from flows.house_keys import credential_chain
from flows.shipping import Goods
from flows.staging import write_durably
from policy.errors import UnknownName, WrongUse
from policy.wording import plural
from registry.evidence.credentials import SIGNED_TYPES, CredentialSigner, MadeWith, are_available
from registry.evidence.disclosure import says_machine_made
from registry.evidence.papers import PaperFile
from registry.records import ShotRecord

Tell = Callable[[str], None]
ALGORITHMIC = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"


@dataclass(frozen=True, kw_only=True, slots=True)
class StagedFile:
    """A file as it was copied; nothing is signed yet."""

    shot: ShotRecord
    name: str
    path: Path
    size: int
    sha256: str | None  # of the bytes that were copied; None: the store has lost them
    is_marked: bool  # its own bytes say that a machine made it


def stage_files(house: House, goods: Goods, folder: Path) -> tuple[StagedFile, ...]:
    """Copy what was made; each digest is of the very bytes that will leave, and no cache is asked."""
    names = distinct_names(goods.shots)
    return tuple(_stage(house, shot, names[shot.name], folder) for shot in goods.shots if shot.name in names)


def _stage(house: House, shot: ShotRecord, name: str, folder: Path) -> StagedFile:
    path = folder / name
    body = _stored(house, shot)
    if body is None:
        return StagedFile(shot=shot, name=name, path=path, size=0, sha256=None, is_marked=False)
    path.write_bytes(body)  # flushed when it is signed
    return StagedFile(
        shot=shot,
        name=name,
        path=path,
        size=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        is_marked=says_machine_made(body),
    )


def _stored(house: House, shot: ShotRecord) -> bytes | None:
    if shot.artefact is None:
        return None
    try:
        return house.store.path_of(shot.artefact.sha256).read_bytes()
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
    unable = [file for file in files if _type_of(file) not in SIGNED_TYPES]
    kinds = ", ".join(sorted({_type_of(file) for file in unable}))
    return (
        (f"{plural(len(unable), 'file')} without content credentials: {kinds} has none.",) if unable else ()
    )


def refuse_unsignable(house: House, files: Sequence[StagedFile]) -> None:
    """WrongUse where credentials are required of a file that has no place for them."""
    unable = [file.name for file in files if _type_of(file) not in SIGNED_TYPES]
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
        media_type=_type_of(file),
        size=file.size,
        artefact_sha256=file.sha256 or "",
        shipped_sha256=file.sha256 or "",
        has_credentials=False,
    )


def _sign(goods: Goods, file: StagedFile, signer: CredentialSigner | None) -> PaperFile:
    shot, kind, paper = file.shot, _type_of(file), unsigned(goods, file)
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


def _type_of(file: StagedFile) -> str:
    return file.shot.artefact.media_type if file.shot.artefact else ""


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
