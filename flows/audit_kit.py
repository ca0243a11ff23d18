"""The offline kit: everything an officer needs to check what was shipped, and the program that checks it."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from flows.auditing import make_checkpoint
from flows.bootstrap import House
from policy.checkpoints import Checkpoint
from policy.codec import encode
from policy.errors import LedgerFault, UnknownName
from registry.audit_log import row_of
from registry.evidence.kit import KitFile, json_file, kit_file, verifier, write_kit
from registry.kit_reading import identity_told, shipment_told, stacks_told
from registry.merkle import consistency_ranges, inclusion_ranges, range_roots
from registry.shipment_records import ShipmentRecord
from registry.unit_of_work import UnitOfWork, unit_of_work
from registry.vouching import SignedConclusion

TRIES = 5  # somebody may write between the checkpoint and the reading
README = """\
This kit shows what a render house shipped, by which exact bytes, under which licence texts, who approved
or concluded what on which evidence; and that the log which says so is the one that was signed at the time.

    python -I -S verify.py                        checks everything in this folder, or a zip named after it
    python -I -S verify.py --house-key ID         and that the signatures are of the key you were told
    python -I -S verify.py --checkpoint FILE      and that the log continues the checkpoint you kept

verify.py needs Python 3.11 and nothing else. Read it before you run it, or take it from a copy you trust.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class KitWritten:
    """A kit that was written."""

    path: str
    sha256: str
    events: int
    shipments: int
    checkpoint: Checkpoint  # the newest: the kit ends where it does


def export_kit(house: House, path: Path) -> KitWritten:
    """Sign the log as it stands, then write the kit; the same log gives the same bytes."""
    for _ in range(TRIES):
        newest = make_checkpoint(house)
        with unit_of_work(house.engine, read_only=True) as work:
            last = work.audit.latest(1)
            if last and last[0].seq == newest.size:
                return _written(house, work, path)
    raise LedgerFault("The log grows faster than it can be exported.", "Try when fewer jobs are running.")


def _written(house: House, work: UnitOfWork, path: Path) -> KitWritten:
    checkpoints = work.checkpoints.known()
    shipments = work.shipments.all()
    contents = [
        kit_file("README.txt", README.encode()),
        verifier(),
        KitFile(name="events.jsonl", body=lambda: _events(work), is_large=True),
        json_file("checkpoints.json", [encode(one) for one in checkpoints]),
        json_file("proofs.json", _proofs(work, checkpoints, [one.audit_seq for one in shipments])),
        json_file("keys.json", [identity_told(one) for one in work.identities.known()]),
        json_file("approvals.json", [encode(one) for one in work.approvals.signed()]),
        json_file("conclusions.json", [encode(one) for one in _conclusions(work)]),
        json_file(
            "stacks.json",
            stacks_told(work.connection, (item.stack_id for one in shipments for item in one.items)),
        ),
        *_evidence(work),
        *_licences(house, work, shipments),
        *(file for one in shipments for file in files_of_shipment(house, work, one)),
    ]
    digest = write_kit(path, contents)
    return KitWritten(
        path=str(path),
        sha256=digest,
        events=checkpoints[-1].size,
        shipments=len(shipments),
        checkpoint=checkpoints[-1],
    )


def files_of_shipment(house: House, work: UnitOfWork, shipment: ShipmentRecord) -> Iterator[KitFile]:
    """Whatever a shipment has beside its pictures: record, notices, and every paper in its folder."""
    place = f"shipments/{shipment.shipment_id}"
    yield json_file(f"{place}/record.json", shipment_told(shipment))
    yield kit_file(f"{place}/notices.txt", work.shipments.notices(shipment.notices_sha256).encode())
    folder = house.settings.home / "shipments" / shipment.shipment_id
    for paper in sorted(folder.glob("*")):
        if paper.is_file() and paper.name not in {"record.json", "notices.txt"}:
            yield kit_file(f"{place}/{paper.name}", paper.read_bytes())


def _events(work: UnitOfWork) -> Iterator[bytes]:
    after = 0
    while page := work.audit.events(after=after, limit=5_000):
        for one in page:
            yield f"{json.dumps(row_of(one), ensure_ascii=False, separators=(',', ':'))}\n".encode()
        after = page[-1].seq


def _proofs(
    work: UnitOfWork, checkpoints: tuple[Checkpoint, ...], events: list[int]
) -> dict[str, list[dict[str, object]]]:
    """That every shipment is in the newest checkpoint, and that each checkpoint begins the next."""
    size = checkpoints[-1].size
    sizes = sorted({one.size for one in checkpoints})
    inside = {seq: inclusion_ranges(seq - 1, size) for seq in sorted(events)}
    growing = {pair: consistency_ranges(*pair) for pair in pairwise(sizes)}
    ranges = tuple(dict.fromkeys(one for path in (*inside.values(), *growing.values()) for one in path))
    leaves = (bytes.fromhex(found) for found in work.checkpoints.hashes(upto=size))
    roots = dict(zip(ranges, (root.hex() for root in range_roots(ranges, leaves)), strict=True))
    hashes = {seq: event.hash for seq in inside if (event := work.audit.event(seq)) is not None}
    return {
        "inclusion": [
            {"seq": seq, "hash": hashes[seq], "size": size, "path": [roots[one] for one in path]}
            for seq, path in inside.items()
        ],
        "consistency": [
            {"first": first, "second": second, "path": [roots[one] for one in path]}
            for (first, second), path in growing.items()
        ],
    }


def _conclusions(work: UnitOfWork) -> tuple[SignedConclusion, ...]:
    """What was concluded of licences and of changes upstream, whether or not the keys still count."""
    return (*work.models.signed_conclusions(), *work.upstream.signed_conclusions())


def _evidence(work: UnitOfWork) -> Iterator[KitFile]:
    """Every file that an approval or a conclusion rests on."""
    signed = (*work.approvals.known(), *(one for pin in work.models.pins() for one in pin.conclusions))
    digests = {file.sha256 for one in signed for file in one.evidence}
    for sha256 in sorted(digests):
        yield kit_file(f"evidence/{sha256}", work.approvals.evidence(sha256))


def _licences(house: House, work: UnitOfWork, shipments: tuple[ShipmentRecord, ...]) -> Iterator[KitFile]:
    """Every licence text that something was shipped under: as it was read at the pin, else as it is known."""
    used = {(one.licence, one.text_sha256) for shipment in shipments for one in shipment.licences}
    bodies: dict[str, bytes] = {}
    for licence, text_sha256 in used:
        try:
            if text_sha256 is not None:
                body = work.models.licence_text(text_sha256).body
            else:
                body = house.catalogue.text_of(licence)
        except UnknownName:
            continue  # the record names its digest; nobody kept the text
        bodies[hashlib.sha256(body).hexdigest()] = body
    for sha256, body in sorted(bodies.items()):
        yield kit_file(f"licences/{sha256}.txt", body)
