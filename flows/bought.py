"""Licences that were bought: what standing grants come to, for the licence rules."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from flows.bootstrap import House
from policy.approvals import Grant, stands
from policy.uses import Act
from registry.licences.circumstances import Circumstances, PaidLicence
from registry.unit_of_work import unit_of_work


def standing_among(grants: Iterable[Grant], act: Act, at: datetime) -> tuple[Grant, ...]:
    """The paid licences that count for an act at a moment."""
    return tuple(grant for grant in grants if stands(grant, grant.stack_id, act, at))


def bought_by(grants: Iterable[Grant]) -> Mapping[str, Circumstances]:
    """What the licence rules are told, by stack; nothing for all other stacks."""
    found: dict[str, list[PaidLicence]] = defaultdict(list)
    for grant in grants:
        found[grant.stack_id].append(_paid(grant))
    return {stack_id: Circumstances(paid=tuple(paid)) for stack_id, paid in found.items()}


def bought_for(house: House, act: Act) -> Mapping[str, Circumstances]:
    """The paid licences that stand for an act at this moment, by stack."""
    with unit_of_work(house.engine, read_only=True) as work:
        grants = house.registry.at(work).grants(act)
    return bought_by(standing_among(grants, act, house.clock()))


def _paid(grant: Grant) -> PaidLicence:
    return PaidLicence(
        licensor=grant.paid.licensor,
        repos=grant.paid.repos,
        acts=(grant.act,),
        document_sha256=grant.evidence[0].sha256 if grant.evidence else "",
        valid_until=(grant.valid_until - timedelta(microseconds=1)).date(),
    )
