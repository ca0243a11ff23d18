"""Every pinned base model with what its licence says of a use."""

from dataclasses import dataclass
from datetime import datetime

from flows.bootstrap import House
from flows.planning import components_of, in_context, pin_records
from policy.errors import UnknownName
from policy.stacks import Role
from policy.uses import Act, IntendedUse
from policy.verdicts import Verdict
from registry.licences.case import make_case
from registry.licences.circumstances import ORDINARY, as_stated
from registry.licences.claims import LicensedComponent
from registry.licences.evaluation import findings_of, verdict_of


@dataclass(frozen=True, kw_only=True, slots=True)
class LicensedModel:
    """A base model that an order may name, and whether the use is permitted with it alone."""

    repo: str
    revision: str  # 40 hex
    pinned_at: datetime
    act: Act
    verdict: Verdict


def licensed_models(house: House, act: Act | None = None, context: str = "") -> tuple[LicensedModel, ...]:
    """Base models in reach by name, judged for an act in a context; UnknownName where there is no such."""
    records = {repo: record for repo, record in pin_records(house).items() if record.pin.role is Role.BASE}
    components = components_of(house, records)
    use = in_context(house, context, act or Act.SHIP_OUTPUT_COMMERCIAL)
    return tuple(
        LicensedModel(
            repo=repo,
            revision=record.pin.revision,
            pinned_at=record.pinned_at,
            act=use.act,
            verdict=_verdict(house, components[repo], use),
        )
        for repo, record in sorted(records.items())
    )


def licensed_model(house: House, repo: str, act: Act | None = None, context: str = "") -> LicensedModel:
    """One of them; UnknownName where it is no pinned base model."""
    for model in licensed_models(house, act, context):
        if model.repo == repo:
            return model
    raise UnknownName(f"There is no model {repo!r}.", "See: rightstep model list.")


def _verdict(house: House, component: LicensedComponent, use: IntendedUse) -> Verdict:
    case = make_case((component,), use, house.catalogue.terms, as_stated(ORDINARY, use))
    return verdict_of(case, findings_of(case))
