"""Delivery of what somebody waited for: a shipment of one, without a folder and papers of its own.

The same gate as for any shipment, on what was really loaded and made. Two things differ: the weights are
not hashed again, because a replica attested them when it made them resident, and the files go out as they
lie in the store, marked but without content credentials. Recall finds it like any other.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from flows.bootstrap import House
from flows.goods_files import StagedFile, unsigned
from flows.shipment import draft_of, facts_of, judge, with_proofs
from flows.shipping import gather, record_refusal
from policy.errors import UnknownName
from policy.gates import require
from registry.evidence.disclosure import says_machine_made
from registry.records import ShotRecord
from registry.shipment_records import ShipmentRecord
from registry.shipments import fresh_shipment_id
from registry.unit_of_work import unit_of_work


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveredPictures:
    """What leaves, in the order of the plan, and the record of it."""

    shipment: ShipmentRecord
    pictures: tuple[bytes, ...]


def deliver_job(house: House, job_id: str) -> DeliveredPictures:
    """Record the pictures of a finished job as shipped to its recipients, and hand them out.

    A refusal writes one audit event and is raised as Refused with every reason.
    """
    goods = gather(house, job_id)
    with unit_of_work(house.engine, read_only=True) as work:
        earlier = work.shipments.discharges_for(goods.job.job_id)
    goods = with_proofs(house, goods, (), earlier)
    kept = [_kept(house, shot) for shot in goods.shots]
    files = [_staged(shot, path, body) for shot, (path, body) in zip(goods.shots, kept, strict=True)]
    judged = judge(house, goods, files, (), earlier, hash_weights=False)
    if not judged.verdict.is_permit:
        record_refusal(house, goods, judged.verdict)
    require(judged.verdict)
    now = house.clock()
    papers = tuple(unsigned(goods, file) for file in files)
    facts = facts_of(house, goods, judged, papers, shipment_id=fresh_shipment_id(now), at=now)
    draft = draft_of(house, goods, judged, facts, goods.job.recipients)
    with unit_of_work(house.engine) as work:
        shipment = work.shipments.ship(draft, now)
        work.commit()
    return DeliveredPictures(shipment=shipment, pictures=tuple(body or b"" for _, body in kept))


def _kept(house: House, shot: ShotRecord) -> tuple[Path, bytes | None]:
    """Where a picture lies, and its bytes; none where there is no picture, which the gate then refuses."""
    if shot.artefact is None:
        return Path(), None
    try:
        path = house.store.path_of(shot.artefact.sha256)
        return path, path.read_bytes()
    except (UnknownName, FileNotFoundError):
        return Path(), None


def _staged(shot: ShotRecord, path: Path, body: bytes | None) -> StagedFile:
    return StagedFile(
        shot=shot,
        name=f"{shot.name}.png",
        path=path,
        size=len(body or b""),
        sha256=None if body is None else hashlib.sha256(body).hexdigest(),
        is_marked=body is not None and says_machine_made(body),
    )
