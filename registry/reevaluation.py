"""Asking the licence rules again about something that was shipped: by the terms of that day, and by today's.

What the rules looked at is kept with the shipment, as values: the components with their
claims and descent, and the bytes of every term file and licence text. The terms of that day
are read from those bytes, so that a correction made since changes nothing in the past.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from policy.codec import decode, encode
from policy.errors import IntegrityFault
from policy.quarantine import Revocation, quarantined
from policy.uses import IntendedUse
from policy.verdicts import Reason, Ruling, Verdict, all_of, from_reasons
from registry.licences.circumstances import ORDINARY, Circumstances, as_stated
from registry.licences.claims import LicensedComponent
from registry.licences.evaluation import evaluate
from registry.licences.terms import LicenceTerms
from registry.licences.terms_parsing import parse_terms
from registry.licences.texts import normalised_sha256
from registry.shipment_records import ShipmentContext, TermsOfTheDay


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedStack:
    """A stack as the licence rules see it."""

    stack_id: str
    name: str
    components: tuple[LicensedComponent, ...]
    circumstances: Circumstances = ORDINARY  # licences that were bought for it, and how it was delivered


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedStacks:
    """Every stack of a shipment."""

    stacks: tuple[JudgedStack, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What is known now: components by repository, and what was withdrawn."""

    components: Mapping[str, LicensedComponent]
    revocations: tuple[Revocation, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reevaluation:
    """A shipment judged again."""

    shipment_id: str
    recorded: Verdict  # as it was shipped on
    that_day: Verdict  # by the terms and facts that were kept with it
    today: Verdict  # by what is known now
    changed_terms: tuple[str, ...]  # licence ids whose terms or text are not what they were
    worse: tuple[Reason, ...]  # reasons against it that only today knows
    gone: tuple[Reason, ...]  # reasons against it that only that day knew


def judged_json(stacks: Iterable[str]) -> str:
    """Stacks as they are kept with a shipment, each as ``stack_json`` wrote it."""
    return f'{{"stacks": [{", ".join(stacks)}]}}'


def stack_json(stack: JudgedStack) -> str:
    """One stack as it is kept."""
    return json.dumps(encode(stack), ensure_ascii=False, sort_keys=True)


def kept_stacks(context: ShipmentContext) -> tuple[JudgedStack, ...]:
    """The stacks of a shipment as they were judged."""
    return decode(JudgedStacks, json.loads(context.stacks_json)).stacks


def judge_as_kept(context: ShipmentContext, use: IntendedUse) -> Verdict:
    """The verdict by what was kept; IntegrityFault where a kept text is not the one of its terms."""
    terms = {one.licence: _terms(one) for one in context.terms}
    return all_of(
        evaluate(stack.components, use, terms, stack.circumstances) for stack in kept_stacks(context)
    )


def judge_as_known(
    context: ShipmentContext,
    use: IntendedUse,
    known: Known,
    terms: Mapping[str, LicenceTerms],
    bought: Mapping[str, Circumstances],
) -> Verdict:
    """The verdict on the same stacks by what is known of their repositories now.

    A part that is pinned otherwise by now denies, and what its newer pin is under is told too.
    ``bought`` are paid licences that stand for the use, by stack.
    """
    return all_of(_judge_now(stack, use, known, terms, bought) for stack in kept_stacks(context))


def _judge_now(
    stack: JudgedStack,
    use: IntendedUse,
    known: Known,
    terms: Mapping[str, LicenceTerms],
    bought: Mapping[str, Circumstances],
) -> Verdict:
    now = [
        known.components[part.repo].at_path(part.path)
        for part in stack.components
        if part.repo in known.components
    ]
    same = {(one.repo, one.revision) for one in now}
    moved = [
        Reason(
            code="unpinned_revision",
            ruling=Ruling.DENY,
            detail=f"{part.revision[:12]} is not what is pinned today.",
            component=part.repo,
        )
        for part in stack.components
        if (part.repo, part.revision) not in same
    ]
    verdict = evaluate(now, use, terms, as_stated(bought.get(stack.stack_id, ORDINARY), use))
    if moved:
        verdict = all_of((verdict, from_reasons(moved)))
    return quarantined(verdict, stack.components, known.revocations)


def changed_terms(
    context: ShipmentContext, term_files: Mapping[str, bytes], texts: Mapping[str, bytes]
) -> tuple[str, ...]:
    """Licence ids whose term file or text differs from today's, or which are not known any more."""
    return tuple(
        one.licence
        for one in context.terms
        if term_files.get(one.licence) != one.terms or texts.get(one.licence) != one.text
    )


def compare(
    shipment_id: str, recorded: Verdict, that_day: Verdict, today: Verdict, changed: tuple[str, ...]
) -> Reevaluation:
    """Put the verdicts side by side: what speaks against the shipment now, and did not then."""
    then, now = that_day.against(), today.against()
    return Reevaluation(
        shipment_id=shipment_id,
        recorded=recorded,
        that_day=that_day,
        today=today,
        changed_terms=changed,
        worse=tuple(reason for reason in now if reason not in then),
        gone=tuple(reason for reason in then if reason not in now),
    )


def _terms(kept: TermsOfTheDay) -> LicenceTerms:
    terms = parse_terms(tomllib.loads(kept.terms.decode()), f"the kept terms of {kept.licence}")
    if normalised_sha256(kept.text) != terms.source.text_sha256:
        raise IntegrityFault(
            f"The kept text of {kept.licence} is not the one its terms were read from.",
            "The database was changed: run rightstep audit verify.",
        )
    return terms
