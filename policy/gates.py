"""The gate, asked twice: on the plan, and again at shipping on what was really used.

Licences and files change between the two, so the second gate trusts nothing of the
first. Each gate is a visible tuple of rules; each rule looks at one thing and answers
with a verdict, and the strictest wins. A gate that has nothing to judge refuses.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from policy.approvals import Approval, lift, relied_on
from policy.errors import Refused
from policy.plan import ExecutionPlan
from policy.uses import Act
from policy.verdicts import Reason, Ruling, Verdict, all_of, from_reasons
from policy.wording import names


@dataclass(frozen=True, kw_only=True, slots=True)
class StackEvidence:
    """What was pinned and what workers really loaded for one stack, with today's verdict on it."""

    stack_id: str
    name: str
    expected: tuple[tuple[str, str], ...]  # (repo/path, sha256) of the pinned files
    loaded: tuple[tuple[str, str], ...]  # the same, as hashed on the workers at load
    verdict: Verdict  # of the whole stack for the intended use, today


@dataclass(frozen=True, kw_only=True, slots=True)
class ShippedItem:
    """One picture or clip that is to leave."""

    shot: str
    stack_id: str
    recorded_sha256: str  # as the ledger has it
    found_sha256: str | None  # hashed again just now; None: the file is gone
    was_kept: bool = True  # False: its bytes were removed on purpose, and the record alone was kept


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityHold:
    """Pictures that an output check holds for review."""

    stack: str  # name of the stack
    check: str  # such as "burnt"
    shots: tuple[str, ...]
    detail: str  # one sentence with the figures
    waived: bool = False  # waived in the manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftHold:
    """A pinned model whose upstream moved in a way that a person has to look at first."""

    repo: str
    detail: str  # one sentence
    found_on: date
    only_notice: bool = False  # it is worth a look, and holds nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class ShipEvidence:
    """Everything that the ship gate judges, gathered after the last render."""

    stacks: tuple[StackEvidence, ...]
    items: tuple[ShippedItem, ...]
    undone: tuple[str, ...]  # shots without a finished take
    holds: tuple[QualityHold, ...]
    drift: tuple[DriftHold, ...] = ()
    act: Act | None = None  # what it is shipped for; without act and moment no approval counts
    at: datetime | None = None
    approvals: tuple[Approval, ...] = ()  # standing or not: the gate judges them itself
    undischarged: tuple[Reason, ...] = ()  # one for every duty that nothing meets


def require(verdict: Verdict) -> None:
    """Raise Refused, with the whole verdict, unless it permits: the one edge where a refusal is raised."""
    if not verdict.is_permit:
        raise refused(verdict)


def refused(verdict: Verdict) -> Refused:
    """A verdict that does not permit, as the error that it is raised as."""
    against = verdict.against()
    said = "; ".join(_in_words(reason) for reason in against[:3])
    more = f" (and {len(against) - 3} more)" if len(against) > 3 else ""
    word = "Refused" if verdict.ruling is Ruling.DENY else "Held for review"
    next_step = (
        "Change what the reasons name and ask again."
        if verdict.ruling is Ruling.DENY
        else "A person has to decide: supply the missing evidence, or record an approval."
    )
    return Refused(f"{word}: {said}{more}", next_step, verdict)


def _in_words(reason: Reason) -> str:
    place = ", ".join(
        part
        for part in (reason.component, reason.licence, reason.clause and f"clause {reason.clause}")
        if part
    )
    return f"{reason.detail} [{place}]" if place else reason.detail


# --- the gate on the plan ------------------------------------------------------------

LicenceRule = Callable[[ExecutionPlan], Verdict]


def the_plan_has_shots(plan: ExecutionPlan) -> Verdict:
    """An empty plan is refused: nothing asked is nothing permitted."""
    if plan.shots and plan.decisions:
        return _fine("plan_has_shots", f"{len(plan.shots):,} shots are planned.")
    return _denied("empty_plan", "The plan has no shots: nothing is known that could be permitted.")


def every_shot_has_its_decision(plan: ExecutionPlan) -> Verdict:
    """A shot without a decision has no verdict either."""
    count = len(plan.decisions)
    lost = [planned.shot.name for planned in plan.shots if not 0 <= planned.decision < count]
    if not lost:
        return _fine("shots_are_decided", "Every shot has a decision.")
    return _denied("undecided_shots", f"{names(lost)} without a decision.")


def every_stack_permits_the_use(plan: ExecutionPlan) -> Verdict:
    """The strictest stack decides for the job."""
    return all_of(decision.offer.verdict for decision in plan.decisions)


LICENCE_RULES: tuple[LicenceRule, ...] = (
    the_plan_has_shots,
    every_shot_has_its_decision,
    every_stack_permits_the_use,
)


def licence_gate(plan: ExecutionPlan) -> Verdict:
    """Permit a plan only where every stack in it permits the intended use; obligations are united."""
    return all_of(rule(plan) for rule in LICENCE_RULES)


# --- the gate at shipping ------------------------------------------------------------

ShipRule = Callable[[ShipEvidence], Verdict]


def something_is_shipped(evidence: ShipEvidence) -> Verdict:
    """A shipment of nothing is refused."""
    if evidence.items and evidence.stacks:
        return _fine("items_to_ship", f"{len(evidence.items):,} items are to ship.")
    return _denied("nothing_to_ship", "There is nothing to ship, or no stack is known that made it.")


def every_shot_is_finished(evidence: ShipEvidence) -> Verdict:
    """A lost or failed shot is never shipped as if it were done."""
    if not evidence.undone:
        return _fine("all_shots_finished", "Every shot has a finished take.")
    return _denied("unfinished_shots", f"{names(evidence.undone)} not finished. Resume the job first.")


def every_item_has_its_stack(evidence: ShipEvidence) -> Verdict:
    """An item whose stack is not in evidence was made from weights that nobody vouches for."""
    known = {stack.stack_id for stack in evidence.stacks}
    strays = [item.shot for item in evidence.items if item.stack_id not in known]
    if not strays:
        return _fine("stacks_in_evidence", "Every item's stack is in evidence.")
    return _denied("unknown_stack", f"{names(strays)} made with a stack that is not in evidence.")


def loaded_files_are_the_pinned_ones(evidence: ShipEvidence) -> Verdict:
    """What the workers hashed at load is what was pinned, file by file; no attestation means no."""
    return all_of(
        [_attested(stack) for stack in evidence.stacks]
        or [_denied("unattested_weights", "No stack is attested.")]
    )


def _attested(stack: StackEvidence) -> Verdict:
    expected, loaded = set(stack.expected), set(stack.loaded)
    if not expected or not loaded:
        return _denied(
            "unattested_weights", f"No worker attested what it loaded for {stack.name}.", stack.name
        )
    reasons = [
        Reason(
            code="foreign_weights",
            ruling=Ruling.DENY,
            detail="A worker loaded bytes that are not pinned.",
            component=path,
        )
        for path, _ in sorted(loaded - expected)
    ]
    reasons += [
        Reason(
            code="unloaded_weights",
            ruling=Ruling.DENY,
            detail="A pinned file was not attested as loaded.",
            component=path,
        )
        for path, _ in sorted(expected - loaded)
    ]
    return (
        from_reasons(reasons)
        if reasons
        else _fine("weights_attested", "Loaded bytes are the pinned ones.", stack.name)
    )


def artefacts_are_unchanged(evidence: ShipEvidence) -> Verdict:
    """Every item, hashed again, is the bytes that the ledger recorded."""
    gone = [item.shot for item in evidence.items if item.found_sha256 is None and item.was_kept]
    unkept = [item.shot for item in evidence.items if item.found_sha256 is None and not item.was_kept]
    changed = [item.shot for item in evidence.items if item.found_sha256 not in {None, item.recorded_sha256}]
    reasons: list[Reason] = []
    if gone:
        reasons.append(_reason("artefact_missing", f"{names(gone)} missing from the artefact store."))
    if unkept:
        reasons.append(_reason("artefact_not_kept", f"{names(unkept)} not kept: provenance only."))
    if changed:
        reasons.append(_reason("artefact_changed", f"{names(changed)} changed since the render."))
    return (
        from_reasons(reasons)
        if reasons
        else _fine("artefacts_unchanged", "Every item is as it was rendered.")
    )


def every_licence_permits_today(evidence: ShipEvidence) -> Verdict:
    """Licences as they stand now, on the stacks that were really used; obligations are united.

    A review is lifted by a standing approval for that very stack and act; a denial never.
    """
    return all_of(_lifted(evidence, stack.stack_id, stack.verdict) for stack in evidence.stacks)


def no_quality_hold_is_open(evidence: ShipEvidence) -> Verdict:
    """A held look is a person's decision; a waiver, in the manifest or signed, is shown and not hidden."""
    held = tuple(_held(evidence))
    if not held:
        return _fine("no_quality_hold", "No output check holds anything.")
    return all_of(_lifted(evidence, stack_id, verdict) for stack_id, verdict in held)


def _held(evidence: ShipEvidence) -> Iterator[tuple[str, Verdict]]:
    """Every hold as a verdict, with the stack whose approvals may answer it."""
    ids = {stack.name: stack.stack_id for stack in evidence.stacks}
    for hold in evidence.holds:
        reason = Reason(
            code=f"quality_{'waived' if hold.waived else 'hold'}_{hold.check}",
            ruling=Ruling.PERMIT if hold.waived else Ruling.REVIEW,
            detail=f"{hold.detail} ({names(hold.shots)}{', waived in the manifest' if hold.waived else ''})",
            component=hold.stack,
        )
        yield ids.get(hold.stack, ""), from_reasons([reason])


def _lifted(evidence: ShipEvidence, stack_id: str, verdict: Verdict) -> Verdict:
    if evidence.act is None or evidence.at is None:
        return verdict
    return lift(verdict, stack_id, evidence.act, evidence.at, evidence.approvals)


def relied_on_at_shipping(evidence: ShipEvidence) -> tuple[Approval, ...]:
    """The approvals and waivers that the ship gate needed, each once."""
    act, at = evidence.act, evidence.at
    if act is None or at is None:
        return ()
    judged = (*((stack.stack_id, stack.verdict) for stack in evidence.stacks), *_held(evidence))
    used = (
        one
        for stack_id, verdict in judged
        for one in relied_on(verdict, stack_id, act, at, evidence.approvals)
    )
    return tuple({one.approval_id: one for one in used}.values())


def no_drift_holds_a_model(evidence: ShipEvidence) -> Verdict:
    """What moved upstream never changes a licence verdict by itself; it waits for a person's conclusion."""
    reasons = [
        Reason(
            code="drift_noticed" if hold.only_notice else "drift_hold",
            ruling=Ruling.PERMIT if hold.only_notice else Ruling.REVIEW,
            detail=f"{hold.detail} Found on {hold.found_on}; not concluded yet.",
            component=hold.repo,
        )
        for hold in evidence.drift
    ]
    return from_reasons(reasons) if reasons else _fine("no_drift_hold", "No upstream change holds a model.")


def every_obligation_is_discharged(evidence: ShipEvidence) -> Verdict:
    """What the licences ask for is done and shown, or nothing ships."""
    if not evidence.undischarged:
        return _fine("obligations_discharged", "Every obligation is discharged, with evidence.")
    return from_reasons(evidence.undischarged)


SHIP_RULES: tuple[ShipRule, ...] = (
    something_is_shipped,
    every_shot_is_finished,
    every_item_has_its_stack,
    loaded_files_are_the_pinned_ones,
    artefacts_are_unchanged,
    every_licence_permits_today,
    every_obligation_is_discharged,
    no_quality_hold_is_open,
    no_drift_holds_a_model,
)


def ship_gate(evidence: ShipEvidence) -> Verdict:
    """Permit a shipment only where every rule does, on what was really loaded, made and licensed."""
    return all_of(rule(evidence) for rule in SHIP_RULES)


# --- wording -------------------------------------------------------------------------


def _reason(code: str, detail: str, component: str = "", ruling: Ruling = Ruling.DENY) -> Reason:
    return Reason(code=code, ruling=ruling, detail=detail, component=component)


def _fine(code: str, detail: str, component: str = "") -> Verdict:
    return from_reasons([_reason(code, detail, component, Ruling.PERMIT)])


def _denied(code: str, detail: str, component: str = "") -> Verdict:
    return from_reasons([_reason(code, detail, component)])
