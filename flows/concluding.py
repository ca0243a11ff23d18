"""Concluding which licence a pinned model has: who says so, for which files, on what, until when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from flows.attachments import read_attachments
from flows.bootstrap import House
from flows.identities import signatory
from flows.pinning import parse_reference
from registry.licences.claims import Conclusion
from registry.unit_of_work import unit_of_work


@dataclass(frozen=True, kw_only=True, slots=True)
class LicenceConcluded:
    """A conclusion and what it is of."""

    repo: str
    revision: str  # 40 hex
    pin_id: str
    conclusion: Conclusion


def conclude_licence(
    house: House,
    model: str,
    *,
    licences: Sequence[str],
    approver: str,
    reason: str,
    evidence: Sequence[Path],
    files: str = "",
    valid_until: date | None = None,
) -> LicenceConcluded:
    """Conclude it of ``REPO[@REVISION]``, or of the files that match a pattern, with an approver's own key.

    It stands beside the claims and changes none; a later conclusion takes its place. UnknownName
    for a model that is not pinned or a licence whose terms nobody knows.
    """
    for licence in licences:
        house.catalogue.terms_of(licence)
    repo, revision = parse_reference(model)
    by = signatory(house, approver)
    attached = read_attachments(evidence)
    now = house.clock()
    drawn = Conclusion(
        licences=tuple(dict.fromkeys(licences)),
        reason=reason,
        concluded_by=by.identity.name,
        concluded_on=now.date(),
        valid_until=valid_until,
        scope=files,
    )
    with unit_of_work(house.engine) as work:
        pin = work.models.pin_of(repo, revision).pin
        kept = work.models.conclude(pin, drawn, by.identity, by.key, evidence=attached, now=now)
        work.commit()
    return LicenceConcluded(repo=pin.repo, revision=pin.revision, pin_id=pin.pin_id, conclusion=kept)
