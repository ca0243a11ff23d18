"""Provenance only: served pictures whose bytes are handed out and not kept.

Take, shipment, plan hash, digest and figures stay in the ledger; a recall finds them as ever.
"""

from collections.abc import Sequence

from flows.bootstrap import House
from policy.audit import AuditEvent
from policy.canonical import canonical_json
from policy.errors import UnknownName
from registry.records import ShotRecord
from registry.unit_of_work import UnitOfWork, unit_of_work


def declare_share(house: House) -> None:
    """Say in the audit log who serves without keeping everything, and which share stays; else nothing."""
    share = house.settings.serve_kept
    if share >= 1:
        return
    event = AuditEvent(
        tag="serve:pictures:unkept",
        actor=house.settings.actor,
        subject=str(house.settings.home),
        payload=canonical_json({"kept_share": float(share)}),
    )
    with unit_of_work(house.engine) as work:
        work.audit.append(event, house.clock())
        work.commit()


def leave_unkept(house: House, work: UnitOfWork, job_id: str, shots: Sequence[ShotRecord]) -> None:
    """Remove the bytes of a job's pictures that no other take is; the caller holds what it hands out.

    They go before the transaction ends, so that no order that comes after it finds them and relies on them.
    Where it fails, the takes that it records are taken back with it.
    """
    digests = sorted({shot.artefact.sha256 for shot in shots if shot.artefact is not None})
    alone = sorted(set(digests) - work.keeping.others_rest_on(job_id, digests))
    because = f"{house.settings.serve_kept:g} of served pictures are kept"
    work.keeping.note_removed(job_id, alone, actor=house.settings.actor, because=because, now=house.clock())
    for sha256 in alone:
        house.store.remove(sha256)


def why_gone(house: House, shot: str, sha256: str) -> UnknownName:
    """What is said of bytes that are not in the store: that they were not kept, or that they are lost."""
    with unit_of_work(house.engine, read_only=True) as work:
        unkept = work.keeping.removed(sha256)
    if unkept is None:
        return UnknownName(f"The bytes of shot {shot} are gone from the store.", "Render the shot again.")
    return UnknownName(
        f"Shot {shot}: {unkept.told}",
        "Render it again; a served picture is kept where it is asked for with response_format url.",
    )
