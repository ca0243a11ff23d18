"""What licences ask of whoever uses a model: a fact nobody gave is a question, and this says whose."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from policy.uses import DELIVERED
from registry.licences.terms import LicenceTerms


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedFact:
    """A field of an organisation or of its delivery that a licence asks about."""

    fact: str  # such as "annual_revenue_usd"
    licence: str
    clause: str


def asked_facts(terms: Iterable[LicenceTerms]) -> tuple[AskedFact, ...]:
    """Everything that these licences ask, for any act, each once."""
    return tuple(dict.fromkeys(asked for licence in terms for asked in _asked_by(licence)))


def _asked_by(licence: LicenceTerms) -> Iterator[AskedFact]:
    for condition in licence.conditions:
        yield AskedFact(fact=condition.attribute, licence=licence.id, clause=condition.clause)
    for duty in licence.duties:
        if duty.id in DELIVERED:
            yield AskedFact(fact=DELIVERED[duty.id], licence=licence.id, clause=duty.clause)
    if licence.territory.excluded:
        yield AskedFact(fact="domicile", licence=licence.id, clause=licence.territory.clause)
    if licence.outputs.marking_must_stay:
        clause = licence.outputs.marking_clause
        yield AskedFact(fact="removes_provenance_marking", licence=licence.id, clause=clause)
