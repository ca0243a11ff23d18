"""Looking back from what changed to what left: recalls, revocations, and judging a shipment again."""

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from flows.bootstrap import House
from flows.bought import bought_for
from flows.planning import complete_use, components_of, pin_records
from flows.reports.tables import write_table
from policy.errors import UnknownName
from policy.quarantine import Revocation
from policy.uses import IntendedUse, asked_again
from policy.verdicts import Reason, Ruling, all_of, from_reasons
from registry.recall import PAGE
from registry.reevaluation import (
    Known,
    Reevaluation,
    changed_terms,
    compare,
    judge_as_kept,
    judge_as_known,
)
from registry.shipment_records import Recall
from registry.unit_of_work import unit_of_work

EVERYTHING = 1 << 40
HEADS = (
    "shipment",
    "shipped_at",
    "job",
    "shot",
    "stack",
    "artefact_sha256",
    "shipped_sha256",
    "recipient",
    "media_type",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RevocationAnswer:
    """A model that was withdrawn, and everything shipped that it is in."""

    revocation: Revocation
    affected: Recall


def affected(house: House, needle: str, limit: int = PAGE) -> Recall:
    """Every shipped file that used a file, repository, stack, pin, licence, text or clause, or that is it.

    With the live sessions that showed what was made with it; these are not found by licence, text or clause.
    """
    with unit_of_work(house.engine, read_only=True) as work:
        return replace(work.shipments.affected(needle, limit=limit), live=work.live.touched_by(needle))


def affected_csv(house: House, needle: str, out: Path) -> int:
    """Write every affected file to a table for a spreadsheet; returns how many there are."""
    found = affected(house, needle, EVERYTHING)
    rows = (
        (
            one.shipment_id,
            one.shipped_at.isoformat(),
            one.job_id,
            one.shot,
            one.stack_id,
            one.artefact_sha256,
            one.shipped_sha256,
            one.recipient,
            one.media_type,
        )
        for one in found.files
    )
    write_table(out, HEADS, rows)
    return len(found.files)


def revoke_model(house: House, name: str, reason: str) -> RevocationAnswer:
    """Withdraw ``org/name`` or ``org/name@commit``: nothing is planned or shipped with it from now on."""
    repo, _, revision = name.partition("@")
    with unit_of_work(house.engine) as work:
        pin = work.models.pin_of(repo, revision or None).pin  # a name that nobody pinned is a slip
        revocation = work.revocations.revoke(
            repo, revision, reason=reason, actor=house.settings.actor, now=house.clock()
        )
        work.commit()
    return RevocationAnswer(revocation=revocation, affected=affected(house, pin.pin_id if revision else repo))


def known_now(house: House) -> Known:
    """Everything that a shipment is judged by today."""
    with unit_of_work(house.engine, read_only=True) as work:
        revocations = work.revocations.all()
    return Known(components=components_of(house, pin_records(house)), revocations=revocations)


def reevaluate(
    house: House, shipment_id: str, on: date | None = None, known: Known | None = None
) -> Reevaluation:
    """Judge a shipment by the terms and facts of its day, and by those of today.

    ``on`` asks today's knowledge about another day: a conclusion that has ended by then does
    not count. ``known`` spares many shipments the reading of one and the same.
    """
    with unit_of_work(house.engine, read_only=True) as work:
        shipment = work.shipments.shipment(shipment_id)
        context = work.shipments.context(shipment_id)
    use, doubts = _use_today(house, shipment.use, on)
    today = judge_as_known(
        context,
        use,
        known or known_now(house),
        house.catalogue.terms,
        bought_for(house, shipment.use.act),
    )
    if doubts:
        today = all_of((today, from_reasons(doubts)))
    return compare(
        shipment_id,
        shipment.verdict,
        judge_as_kept(context, shipment.use),
        today,
        changed_terms(context, house.catalogue.term_files, house.catalogue.texts),
    )


def _use_today(house: House, shipped: IntendedUse, on: date | None) -> tuple[IntendedUse, tuple[Reason, ...]]:
    """The use by what its context says today; where it is described no more, as it was said then."""
    try:
        return complete_use(house, replace(asked_again(shipped), on=on)), ()
    except UnknownName:
        doubt = Reason(
            code="context_unknown",
            ruling=Ruling.REVIEW,
            detail=f"The context {shipped.context.name} is not described any more.",
        )
        return replace(shipped, on=on or house.clock().date()), (doubt,)
