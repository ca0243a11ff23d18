"""Delivery of what somebody waited for: a shipment of one, without a folder and papers of its own.

The same gate as for any shipment, on what was really loaded and made. Two things differ: the weights are
not hashed again, because a replica attested them when it made them resident, and the files go out as they
lie in the store, marked but without content credentials. Recall finds it like any other.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from flows.bootstrap import House
from flows.file_names import file_name
from flows.goods_files import StagedFile, staged_file, unsigned
from flows.shipment import draft_of, facts_of, judge, with_proofs
from flows.shipping import gather_within, refusal_event
from policy.errors import UnknownName
from policy.verdicts import Verdict
from registry.records import JobRecord, PlanHeader, ShotRecord
from registry.shipment_records import ShipmentRecord
from registry.shipments import fresh_shipment_id
from registry.unit_of_work import UnitOfWork


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveredPictures:
    """What leaves, in the order of the plan, and the record of it."""

    shipment: ShipmentRecord
    pictures: tuple[bytes, ...]


def deliver_within(
    house: House, work: UnitOfWork, job: JobRecord, header: PlanHeader, shots: tuple[ShotRecord, ...]
) -> DeliveredPictures | Verdict:
    """Record the pictures of a finished job as shipped to its recipients; the caller commits, then hands out.

    The registry is held as it is judged until then. A verdict against it writes one audit event and no
    shipment, and is the answer.
    """
    goods = gather_within(house, work, job, header, shots, registry=house.registry.at(work, held=True))
    goods = with_proofs(house, goods, ())
    kept = [_kept(house, shot) for shot in goods.shots]
    files = [_staged(shot, path, body) for shot, (path, body) in zip(goods.shots, kept, strict=True)]
    judged = judge(house, goods, files, (), hash_weights=False)
    now = house.clock()
    if not judged.verdict.is_permit:
        work.audit.append(refusal_event(house, goods, judged.verdict), now)
        return judged.verdict
    papers = tuple(unsigned(goods, file) for file in files)
    facts = facts_of(house, goods, judged, papers, shipment_id=fresh_shipment_id(now), at=now)
    draft = draft_of(house, goods, judged, facts, job.recipients)
    shipment = work.shipments.ship(draft, now, job=job)
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
    made = shot.artefact
    file = staged_file(shot, path, made.media_type if made else "", made.sha256 if made else "", body)
    return replace(file, name=file_name(shot) or shot.name)
