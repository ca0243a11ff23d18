"""The morning report: what was made, what was not and why, what it cost, what must be said when it leaves."""

from dataclasses import dataclass
from pathlib import Path

from flows.reports.contact_sheet import licences_of
from flows.reports.findings import course_rows, failure_rows, make_headline, make_timeline, punctuality
from flows.reports.job_view import JobView
from flows.reports.pages import Clock, write_page
from flows.reports.pictures import Thumbnail, choose_shown, load_thumbnail
from flows.reports.predictions import make_prediction
from policy.stacks import Stack
from policy.tasks import TakeState
from policy.verdicts import Obligation, Verdict

STRIP = 12  # pictures at the head of the report
GIVEN_UP_SHOWN = 50
OTHER_PAGE = "contact-sheet.html"


@dataclass(frozen=True, kw_only=True, slots=True)
class Duty:
    """One obligation, said once, with every part of the stacks that asks for it."""

    obligation: Obligation
    components: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StackRow:
    """A stack with what workers attested of it."""

    stack: Stack
    devices: tuple[str, ...]
    workers: int
    attested: bool
    versions: tuple[tuple[str, str], ...]


def write_morning_report(view: JobView, out: Path) -> Path:
    """Write the report to ``out``; it needs no other file, and links to the contact sheet beside it."""
    clock, late = punctuality(view)
    facts: dict[str, object] = {
        "view": view,
        "job": view.job,
        "headline": make_headline(view),
        "clock": Clock(view.plan.manifest.timezone),
        "punctuality": clock,
        "late": late,
        "strip": make_strip(view),
        "rows": course_rows(view),
        "licences_of": licences_of,
        "timeline": make_timeline(view),
        "prediction": make_prediction(view),
        "failures": failure_rows(view),
        "eaten": [shot for shot in view.shots if shot.state is TakeState.EATEN],
        "given_up": [shot for shot in view.shots if shot.state is TakeState.DEAD][:GIVEN_UP_SHOWN],
        "duties": make_duties(view.verdict),
        "stacks": make_stacks(view),
        "other_page": OTHER_PAGE,
    }
    return write_page("morning-report.html.j2", out, facts)


def make_strip(view: JobView) -> tuple[tuple[str, Thumbnail], ...]:
    """A dozen pictures from all over the night."""
    made = [shot for shot in view.shots if shot.artefact is not None]
    chosen = choose_shown(made, STRIP)
    seen = [(shot.name, load_thumbnail(shot, view.read_picture)) for shot in chosen]
    return tuple((name, thumbnail) for name, thumbnail in seen if thumbnail is not None)


def make_duties(verdict: Verdict) -> tuple[Duty, ...]:
    """Obligations with the same words, gathered over the parts that ask for them."""
    gathered: dict[tuple[str, str, str, str], list[Obligation]] = {}
    for obligation in verdict.obligations:
        key = (obligation.id, obligation.text, obligation.when, obligation.licence)
        gathered.setdefault(key, []).append(obligation)
    return tuple(
        Duty(
            obligation=same[0],
            components=tuple(dict.fromkeys(one.component for one in same if one.component)),
        )
        for same in gathered.values()
    )


def make_stacks(view: JobView) -> tuple[StackRow, ...]:
    """Every stack of the plan once, with its attestations."""
    stacks: dict[str, Stack] = {}
    for decision in view.plan.decisions:
        stacks.setdefault(decision.offer.stack.stack_id, decision.offer.stack)
    return tuple(_stack_row(stack, view) for stack in stacks.values())


def _stack_row(stack: Stack, view: JobView) -> StackRow:
    attested = [one for one in view.loaded if one.stack_id == stack.stack_id]
    return StackRow(
        stack=stack,
        devices=tuple(dict.fromkeys(one.device for one in attested)),
        workers=len({one.worker for one in attested}),
        attested=any(one.loaded for one in attested),
        versions=tuple(sorted({pair for one in attested for pair in one.versions})),
    )
