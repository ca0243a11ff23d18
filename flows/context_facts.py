"""A context laid open: what is known of it, since when, and which licences ask for what is not."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date

from flows.contexts import contexts_file, find_context, known_contexts
from flows.settings import Settings
from policy.uses import Context, Organisation
from registry.licences.questions import asked_facts
from registry.licences.terms import LicenceTerms


@dataclass(frozen=True, kw_only=True, slots=True)
class UnknownFact:
    """A fact that nobody gave."""

    fact: str
    asked_by: tuple[tuple[str, str], ...]  # licence ids with the clause that asks


@dataclass(frozen=True, kw_only=True, slots=True)
class ContextShown:
    """A context as a person asks about it."""

    context: Context
    organisation: Organisation
    territories: tuple[str, ...]
    source: str  # the file that it stands in, or "settings"
    outdated: bool  # too old to be taken as said today
    unknown: tuple[UnknownFact, ...]
    default: str  # name of the context of an order that names none
    names: tuple[str, ...]  # of every context
    file: str  # where contexts are described, or would be


def show_context(settings: Settings, terms: Iterable[LicenceTerms], name: str, today: date) -> ContextShown:
    """A context by name, or that of an order that names none; UnknownName with the nearest names."""
    found = find_context(settings, name, today)
    return ContextShown(
        context=found.context,
        organisation=found.organisation,
        territories=found.territories,
        source=found.source,
        outdated=found.context.is_outdated(today),
        unknown=_unknown(found.organisation, found.context, terms),
        default=settings.context,
        names=tuple(sorted(known_contexts(settings, today))),
        file=str(contexts_file(settings)),
    )


def _unknown(
    organisation: Organisation, context: Context, terms: Iterable[LicenceTerms]
) -> tuple[UnknownFact, ...]:
    asked: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for one in asked_facts(terms):
        asked[one.fact].append((one.licence, one.clause))
    return tuple(
        UnknownFact(fact=field.name, asked_by=tuple(sorted(asked[field.name])))
        for facts in (organisation, context.delivery)
        for field in fields(facts)
        if field.name in asked and getattr(facts, field.name) is None
    )
