"""Term tables to values: strict, so that a slip in a term file is found when it is read.

An unknown key, act or word is refused; a fact without ``verified`` counts as unverified.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from policy.uses import Act
from policy.verdicts import Ruling
from registry.licences.strict_table import StrictTable
from registry.licences.terms import (
    ActTerm,
    Binding,
    Comparison,
    Condition,
    Duty,
    EdgeKind,
    LicenceTerms,
    Lineage,
    NamedModel,
    OutputTerms,
    Quote,
    RequiredEvidence,
    Stance,
    Territory,
    TextSource,
    Updating,
    UseRestrictions,
)

_NEXT = "Correct the term file; its neighbours show every key."
_NUMBERS = frozenset({"annual_revenue_usd", "group_revenue_usd", "mau", "monthly_visits"})
_WORDS = frozenset({"domicile", "kind"})  # all of them fields of Organisation


def parse_terms(table: Mapping[str, Any], where: str) -> LicenceTerms:
    """The terms that a table describes; anything unexpected is a FormatFault naming file and key."""
    read = StrictTable(table, where, _NEXT)
    terms = LicenceTerms(
        id=read.text("id"),
        name=read.text("name"),
        family=read.text("family"),
        version=read.text("version"),
        spdx=read.text("spdx", "") or None,
        hub_tags=read.texts("hub_tags"),
        hub_names=tuple(name.lower() for name in read.texts("hub_names")),
        acts=_acts(read),
        source=read.one("source", _source),
        licensor=read.texts("licensor"),
        model=read.optional("model", _model, None),
        conditions=read.many("conditions", _condition),
        evidence=read.many("evidence", _evidence),
        duties=read.many("obligations", _duty),
        territory=read.optional("territory", _territory, Territory()),
        lineage=read.optional("lineage", _lineage, Lineage()),
        restrictions=read.optional("use_restrictions", _restrictions, UseRestrictions()),
        outputs=read.optional("outputs", _outputs, OutputTerms()),
        updating=read.optional("updating", _updating, Updating()),
        quotes=read.many(
            "quotes", lambda inner: Quote(clause=inner.text("clause"), words=inner.text("words"))
        ),
    )
    read.close()
    return terms


def _on(read: StrictTable) -> tuple[Act, ...]:
    """The acts a fact speaks of; leaving them out means all of them."""
    return read.choices("acts", Act) if read.has("acts") else tuple(Act)


def _acts(read: StrictTable) -> tuple[ActTerm, ...]:
    """One entry may speak of several acts; an act spoken of twice is a contradiction."""
    found: dict[Act, ActTerm] = {}
    for inner in read.tables("acts"):
        stance = inner.choice("stance", Stance)
        shared = {
            "code": inner.text("code", "granted" if stance is Stance.ALLOW else None),
            "clause": inner.text("clause"),
        }
        detail, verified = inner.text("detail"), inner.flag("verified")
        remedy = inner.text("remedy", "")
        for act in inner.choices("on", Act):
            if act in found:
                raise inner.fault(f'"{act}" is spoken of twice.')
            found[act] = ActTerm(
                act=act, stance=stance, detail=detail, verified=verified, remedy=remedy, **shared
            )
        inner.close()
    return tuple(found[act] for act in Act if act in found)


def _source(read: StrictTable) -> TextSource:
    return TextSource(
        url=read.text("url"),
        read_from=read.text("read_from"),
        read_on=read.take("read_on", date),
        text_sha256=read.text("text_sha256"),
        variants=read.texts("variants"),
    )


def _model(read: StrictTable) -> NamedModel | None:
    return NamedModel(
        named=read.text("named"),
        family=_pattern(read, "family"),
        matches=_pattern(read, "matches"),
        clause=read.text("clause"),
    )


def _pattern(read: StrictTable, key: str) -> str:
    text = read.text(key)
    try:
        re.compile(text)
    except re.error as error:
        raise read.fault(f'"{key}" is not a regular expression: {error}.') from None
    return text


def _condition(read: StrictTable) -> Condition:
    attribute = read.text("attribute")
    comparison = read.choice("comparison", Comparison)
    in_words = comparison in {Comparison.ONE_OF, Comparison.NONE_OF}
    if attribute not in (_WORDS if in_words else _NUMBERS):
        raise read.fault(f'"{attribute}" cannot be compared with "{comparison}".')
    return Condition(
        id=read.text("id"),
        attribute=attribute,
        comparison=comparison,
        value=read.texts("value") if in_words else read.take("value", int),
        scope=read.text("scope", "entity"),
        acts=_on(read),
        if_false=read.choice("if_false", Ruling),
        code=read.text("code"),
        clause=read.text("clause"),
        detail=read.text("detail"),
        remedy=read.text("remedy", ""),
        verified=read.flag("verified"),
    )


def _evidence(read: StrictTable) -> RequiredEvidence:
    return RequiredEvidence(
        id=read.text("id"),
        acts=_on(read),
        if_missing=read.choice("if_missing", Ruling),
        code=read.text("code"),
        clause=read.text("clause"),
        detail=read.text("detail"),
        verified=read.flag("verified"),
    )


def _duty(read: StrictTable) -> Duty:
    return Duty(
        id=read.text("id"),
        acts=_on(read),
        when=read.text("when"),
        text=read.text("text"),
        clause=read.text("clause"),
        verified=read.flag("verified"),
    )


def _territory(read: StrictTable) -> Territory:
    return Territory(
        excluded=read.texts("excluded"), clause=read.text("clause", ""), verified=read.flag("verified")
    )


def _lineage(read: StrictTable) -> Lineage:
    return Lineage(
        covers=read.choices("covers", EdgeKind),
        share_alike=read.flag("share_alike"),
        outbound=read.texts("outbound"),
        clause=read.text("clause"),
        verified=read.flag("verified"),
    )


def _restrictions(read: StrictTable) -> UseRestrictions:
    return UseRestrictions(
        must_flow_down=read.flag("must_flow_down"),
        clause=read.text("clause"),
        items=read.texts("items"),
        verified=read.flag("verified"),
    )


def _outputs(read: StrictTable) -> OutputTerms:
    return OutputTerms(
        licensor_claims=read.text("licensor_claims"),
        clause=read.text("clause", ""),
        detail=read.text("detail", ""),
        marking_must_stay=read.flag("marking_must_stay"),
        marking_clause=read.text("marking_clause", ""),
        verified=read.flag("verified"),
    )


def _updating(read: StrictTable) -> Updating:
    return Updating(
        binding=read.choice("binding", Binding),
        binding_clause=read.text("binding_clause", ""),
        revocable=read.flag("revocable"),
        termination=read.text("termination", ""),
        termination_clause=read.text("termination_clause", ""),
        verified=read.flag("verified"),
    )
