"""Licences that were bought: what standing grants come to, for the licence rules."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta

from flows.bootstrap import House
from policy.approvals import Grant, stands
from policy.uses import Act
from registry.licences.circumstances import Circumstances, PaidLicence
from registry.unit_of_work import unit_of_work


def standing_grants(house: House, act: Act) -> tuple[Grant, ...]:
    """Every paid licence that counts for an act at this moment."""
    now = house.clock()
    with unit_of_work(house.engine, read_only=True) as work:
        grants = work.approvals.grants(act)
    return tuple(grant for grant in grants if stands(grant, grant.stack_id, act, now))


def bought_by(grants: Iterable[Grant]) -> Mapping[str, Circumstances]:
    """What the licence rules are told, by stack; nothing for all other stacks."""
    found: dict[str, list[PaidLicence]] = defaultdict(list)
    for grant in grants:
        found[grant.stack_id].append(_paid(grant))
    return {stack_id: Circumstances(paid=tuple(paid)) for stack_id, paid in found.items()}


def bought_for(house: House, act: Act) -> Mapping[str, Circumstances]:
    """The paid licences that stand for an act at this moment, by stack."""
    return bought_by(standing_grants(house, act))


def _paid(grant: Grant) -> PaidLicence:
    return PaidLicence(
        licensor=grant.paid.licensor,
        repos=grant.paid.repos,
        acts=(grant.act,),
        document_sha256=grant.evidence[0].sha256 if grant.evidence else "",
        valid_until=(grant.valid_until - timedelta(microseconds=1)).date(),
    )
