"""Bringing a model into the house: from a folder, from a hub, or from a pickle that is converted first."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.bootstrap import IMPORTED, House, texts_of
from policy.audit import AuditEvent
from policy.canonical import canonical_json
from policy.errors import StorageFault, UnknownName, WrongUse
from registry.components import claims_of, pin_of, role_of
from registry.hub_choice import is_always_brought
from registry.hub_source import HUB, Fetching, HubListing
from registry.model_registry import PinRecord
from registry.sources import ModelSource, SourceListing
from registry.unit_of_work import unit_of_work
from registry.verification import PICKLES, path_fault, resolve_inside, sha256_file
from workers.conversions import convert_pickle

Report = Callable[[Fetching], None]
RECORD = "imported.json"  # in an imported repository: what each file was made from


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedModel:
    """A pickle that became safetensors, with both digests."""

    pinned: PinRecord
    source: str  # where the pickle was read
    source_revision: str  # 40 hex
    pickle: str  # path in its repository
    pickle_sha256: str
    file: str  # path of the safetensors file
    sha256: str
    tensors: int
    dropped: tuple[str, ...]  # entries of the pickle that are no tensors


def nothing(_: Fetching) -> None:
    """For those who do not watch."""


def parse_reference(text: str, revision: str | None = None) -> tuple[str, str | None]:
    """``org/name[@revision]``; a revision that is said twice is WrongUse."""
    repo, _, said = text.partition("@")
    if said and revision:
        raise WrongUse(f"{text} names a revision, and so does --revision.", "Say it once.")
    return repo, said or revision


def pin_model(
    house: House,
    repo: str,
    revision: str | None = None,
    *,
    patterns: Sequence[str] = (),
    report: Report = nothing,
) -> PinRecord:
    """Pin a repository from the first folder that holds it, else from the hub, with claims and texts.

    ``patterns`` pin only some files of a hub's repository, always with card, licences, notices
    and configurations. Nothing is pinned unless every byte was hashed here.
    """
    repo, revision = parse_reference(repo, revision)
    source = _local_source(house, repo, revision)
    if source is None:
        fetched = house.hub.fetch(repo, revision, patterns=patterns, report=report)
        return _save(house, fetched.listing, fetched=fetched)
    if patterns:
        raise WrongUse(f"{repo} lies in {source.name}, and a folder is pinned whole.", "Leave --file out.")
    return _save(house, source.listing(repo, revision))


def import_model(
    house: House, repo: str, file: str, revision: str | None = None, *, report: Report = nothing
) -> ImportedModel:
    """Convert one pickle to safetensors, in a repository of the same name below the home, and pin it.

    The pickle is read in a process of its own that can build tensors and nothing else; what
    would run code is Refused. Card, licences and configurations come along.
    """
    repo, revision = parse_reference(repo, revision)
    if path_fault(file) or Path(file).suffix.lower() not in PICKLES:
        raise WrongUse(f"{file} is no pickle.", "Name a .bin, .pt, .pth or .ckpt file of the repository.")
    source = _local_source(house, repo, revision)
    if source is not None and source.name != IMPORTED:
        listing = source.listing(repo, revision)
    else:
        fetched = house.hub.fetch(repo, revision, patterns=(file,), report=report, pickles=True)
        listing = fetched.listing
    if file not in listing.paths:
        raise UnknownName(f"{listing.source} holds no {repo}/{file}.", "Look at: rightstep model show.")
    target = str(Path(file).with_suffix(".safetensors"))
    folder = house.settings.imported / repo
    record = _read_record(folder, listing)
    before = next(pin.sha256 for pin in listing.files if pin.path == file)
    draft = house.settings.imported / ".converting" / f"{os.getpid()}.safetensors"
    try:
        converted = convert_pickle(resolve_inside(Path(listing.root), file), draft)
        after = sha256_file(draft)
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        draft.replace(folder / target)
        record[target] = {
            "repo": repo,
            "revision": listing.revision,
            "file": file,
            "sha256": before,
            "safetensors_sha256": after,
            "versions": dict(converted.versions),
        }
        _copy_texts(listing, folder)
        _replace(folder / RECORD, (json.dumps(record, indent=2, sort_keys=True) + "\n").encode())
    except OSError as error:
        raise StorageFault(
            f"{repo} cannot be kept in {folder}: {error.strerror or error}.",
            "Make room, or set RIGHTSTEP_HOME.",
        ) from error
    pinned = _save(
        house, house.source(IMPORTED).listing(repo), imported={**record[target], "source": listing.source}
    )
    return ImportedModel(
        pinned=pinned,
        source=listing.source,
        source_revision=listing.revision,
        pickle=file,
        pickle_sha256=before,
        file=target,
        sha256=after,
        tensors=converted.tensors,
        dropped=converted.dropped,
    )


def _local_source(house: House, repo: str, revision: str | None) -> ModelSource | None:
    """The first folder that holds the repository at that revision; None leaves it to the hub."""
    found = [source for source in house.sources if source.name != HUB and repo in source.repositories()]
    if not found and house.hub.is_offline:
        places = ", ".join(source.name for source in house.sources if source.name != HUB)
        raise UnknownName(
            f"No source holds {repo}; there are: {places}. The hub is switched off.",
            "Add the folder that holds it to RIGHTSTEP_MODEL_FOLDERS, or unset RIGHTSTEP_HUB_OFFLINE.",
        )
    if house.hub.is_offline:
        return found[0]
    for source in found:
        if source.name == IMPORTED:
            continue  # a hub may hold more of it than was converted here
        try:
            source.locate(repo, revision)
        except UnknownName:
            continue
        return source
    return None


def _save(
    house: House,
    listing: SourceListing,
    *,
    fetched: HubListing | None = None,
    imported: Mapping[str, object] | None = None,
) -> PinRecord:
    """Pin, claims, texts, what the hub said and what was converted, in one transaction."""
    methods = [repo for preset in house.catalogue.presets for repo in preset.repos]
    pin = pin_of(listing, role_of(listing, methods))
    texts = [*listing.licence_files, *listing.notice_files]
    if fetched is not None and fetched.card is not None:
        texts.append(("README.md", fetched.card))
    actor, now = house.settings.actor, house.clock()
    with unit_of_work(house.engine) as work:
        work.models.save_pin(
            pin,
            source=listing.source,
            claims=claims_of(listing),
            texts=texts_of(listing) if fetched is None else [body for _, body in texts],
            actor=actor,
            now=now,
        )
        if fetched is not None:
            digests = [(path, hashlib.sha256(body).hexdigest()) for path, body in texts]
            work.upstream.save_snapshot(pin, fetched.facts, digests, actor=actor, now=now)
        if imported is not None:
            payload = canonical_json({**imported, "pin_id": pin.pin_id})
            event = AuditEvent(
                tag="registry:model:imported", actor=actor, subject=pin.pin_id, payload=payload
            )
            work.audit.append(event, now)
        record = work.models.pin_of(pin.repo, pin.revision)
        work.commit()
    return record


def _read_record(folder: Path, listing: SourceListing) -> dict[str, dict[str, object]]:
    """What was imported into this folder before; files of two commits are never mixed."""
    path = folder / RECORD
    if not path.is_file():
        return {}
    record: dict[str, dict[str, object]] = json.loads(path.read_text(encoding="utf-8"))
    others = {str(entry["revision"]) for entry in record.values()} - {listing.revision}
    if others:
        raise WrongUse(
            f"{folder} holds imports of commit {others.pop()[:12]}.",
            f"Name that commit with --revision, or move the folder away; this is {listing.revision[:12]}.",
        )
    return record


def _copy_texts(listing: SourceListing, folder: Path) -> None:
    for path in listing.paths:
        if is_always_brought(path) and path != RECORD:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, resolve_inside(Path(listing.root), path).read_bytes())


def _replace(path: Path, body: bytes) -> None:
    """Whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    draft.write_bytes(body)
    draft.replace(path)
