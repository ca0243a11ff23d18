"""Duties of a shipment that a person discharges: what is owed, what is handed in, what was recorded."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from flows.attachments import read_attachment
from policy.discharges import MetObligation, RecordedDischarge
from policy.errors import UnknownName, WrongUse
from policy.uses import DELIVERED
from policy.verdicts import Obligation, Reason, Ruling
from registry.shipment_records import FreshDischarge


def read_discharges(given: Sequence[str], job_id: str) -> tuple[FreshDischarge, ...]:
    """``ID=FILE`` or ``ID=words`` from the command line; what looks like neither is WrongUse."""
    return tuple(_read(one, job_id) for one in given)


def _read(given: str, job_id: str) -> FreshDischarge:
    duty, _, evidence = given.partition("=")
    if not duty.strip() or not evidence.strip():
        raise WrongUse(f"{given!r} names no duty and evidence.", "Write --discharge ID=FILE, or ID='words'.")
    path = Path(evidence).expanduser()
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # words too long for a file name
        is_file = False
    if not is_file:
        return FreshDischarge(
            duty=duty.strip(), job_id=job_id, evidence_name="text", evidence=evidence.encode()
        )
    body = read_attachment(path)
    return FreshDischarge(duty=duty.strip(), job_id=job_id, evidence_name=path.name, evidence=body)


def sort_out(
    fresh: Sequence[FreshDischarge], owed: Sequence[Obligation], proofs: Sequence[Obligation]
) -> tuple[FreshDischarge, ...]:
    """Handed-in evidence with its reach: a proof holds for the house. For what nobody owes: UnknownName."""
    of_house = {one.id for one in proofs}
    known = {one.id for one in owed} | of_house
    for one in fresh:
        if one.duty not in known:
            raise UnknownName(
                f"Nothing here asks for {one.duty!r}.",
                f"Owed are: {', '.join(sorted(known)) or 'no duties'}.",
            )
    return tuple(
        FreshDischarge(
            duty=one.duty,
            job_id="" if one.duty in of_house else one.job_id,
            evidence_name=one.evidence_name,
            evidence=one.evidence,
        )
        for one in fresh
    )


def as_recorded(fresh: Iterable[FreshDischarge], actor: str) -> tuple[RecordedDischarge, ...]:
    """Handed-in evidence as it will stand in the ledger."""
    return tuple(
        RecordedDischarge(
            duty=one.duty,
            evidence_name=one.evidence_name,
            evidence_sha256=hashlib.sha256(one.evidence).hexdigest(),
            actor=actor,
        )
        for one in fresh
    )


def undischarged(met: Iterable[MetObligation], job_id: str) -> tuple[Reason, ...]:
    """A reason against the shipment for every duty that nothing meets, with the command that would."""
    return tuple(
        Reason(
            code="obligation_undischarged",
            ruling=Ruling.DENY,
            detail=(
                f"{one.obligation.text} Nothing shows that it was done: "
                f"rightstep ship {job_id} --discharge {one.obligation.id}=FILE{_or_in_a_context(one)}"
            ),
            component=one.obligation.component,
            licence=one.obligation.licence,
        )
        for one in met
        if one.discharged_by is None
    )


def _or_in_a_context(met: MetObligation) -> str:
    return ", or say so in its context" if met.obligation.id in DELIVERED else ""
