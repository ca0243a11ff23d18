"""``rightstep plan``: what would run, why, and what it would take; nothing is written."""

from collections import Counter
from typing import Annotated

import typer

from policy.plan import ExecutionPlan, PlanRefusal
from policy.wording import duration, number, plural
from rightstep.cli.door import enter_house, now
from rightstep.cli.edge import show_problem
from rightstep.cli.options import AsJson, Context, Deadline, Manifest, Tier, Use
from rightstep.cli.output import ExitCode, print_data, print_json, print_table


def plan(
    manifest: Manifest,
    *,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say why each choice was made, and what was turned down.")
    ] = False,
    tier: Tier = None,
    deadline: Deadline = None,
    use: Use = None,
    context: Context = None,
    as_json: AsJson = False,
) -> None:
    """Plan an order without running it: method, steps, passes, seconds and licence verdict of every shot.

    Writes nothing. A refusal names the clause, the reason and what would make it work, and exits with 1.
    """
    from flows.manifest_files import load_manifest
    from flows.steps import Overrides, plan_manifest

    house = enter_house()
    overrides = Overrides(tier=tier, deadline=deadline, use=use, context=context)
    outcome = plan_manifest(house, load_manifest(manifest, now=now()), overrides)
    if isinstance(outcome, PlanRefusal):
        raise typer.Exit(show_refusal(outcome, as_json=as_json))
    if as_json:
        print_json(outcome)
        return
    show_plan(outcome)
    if explain:
        from policy.explain import explain_plan

        print_data("")
        for line in explain_plan(outcome):
            print_data(line)


def show_refusal(refusal: PlanRefusal, *, as_json: bool) -> ExitCode:
    """Every reason with the clause it rests on, then what would work; returns the exit code it amounts to."""
    from policy.explain import reason_line
    from policy.refusals import is_wrong_order

    is_wrong = is_wrong_order(refusal)
    if as_json:
        from rightstep.cli.shapes import Refusal

        print_json(Refusal(refused=True, reasons=refusal.reasons, remedies=refusal.remedies))
    lines = [reason_line(reason) for reason in refusal.reasons]
    message = lines.pop() if len(lines) == 1 else "No plan can be made of this order."
    show_problem("Wrong order" if is_wrong else "Refused", message, lines, refusal.remedies)
    return ExitCode.WRONG_USE if is_wrong else ExitCode.REFUSED


def show_plan(plan: ExecutionPlan) -> None:
    """One row a decision, then the totals."""
    shots = Counter(planned.decision for planned in plan.shots)
    print_table(
        ("stack", "method", "steps", "guidance", "shots", "passes", "seconds p50", "p95", "licence"),
        [
            (
                decision.offer.stack.name,
                decision.offer.preset.name,
                decision.steps,
                ", ".join(number(value) for _, value in decision.guidance) or "none",
                f"{shots[place]:,}",
                f"{shots[place] * decision.forward_passes:,}",
                f"{decision.seconds_p50:.2f}",
                f"{decision.seconds_p95:.2f}",
                decision.offer.verdict.ruling.value,
            )
            for place, decision in enumerate(plan.decisions)
        ],
        right=(2, 3, 4, 5, 6, 7),
    )
    print_data(totals_line(plan))
    for warning in plan.warnings:
        print_data(f"Note: {warning}")


def totals_line(plan: ExecutionPlan) -> str:
    """The whole order in one sentence."""
    totals = plan.totals
    parts = [
        plural(totals.shots, "shot"),
        plural(totals.forward_passes, "forward pass"),
        f"{duration(totals.seconds_p50)} of device time (p95 {duration(totals.seconds_p95)})",
        f"{duration(totals.wall_seconds_p50)} on this fleet (p95 {duration(totals.wall_seconds_p95)})",
    ]
    if totals.price is not None:
        parts.append(f"{totals.price:,.2f} {totals.currency}")
    return f"{', '.join(parts)}. Plan {plan.plan_hash[:12]}."
