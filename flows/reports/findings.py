"""What the figures of a job amount to, in sentences and rows; pure functions over a JobView."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from flows.reports.job_view import JobView, LookJudgement
from flows.reports.pages import sentence
from policy.plan import Decision
from policy.tasks import TakeState
from policy.wording import duration, plural, rounded
from registry.records import JobState, ShotRecord

BARS = 48  # at most, in the timeline
GIST = 160  # letters of a failure that are read at a glance
SHORTEST_BAR = timedelta(seconds=1)


class Tone(StrEnum):
    """How a fact is coloured."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, kw_only=True, slots=True)
class Headline:
    """What a person reads first, and often all that is read."""

    tone: Tone
    text: str
    more: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CourseRow:
    """How the shots of one decision ran, beside what was predicted."""

    number: int
    decision: Decision
    shots: int
    done: int
    reused: int
    open: int
    lost: int  # dead or cancelled
    seconds: float | None  # measured, a rendered picture
    look: LookJudgement | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """Pictures finished within one interval of the timeline; places are shares of the whole, 0..1."""

    start: datetime
    pictures: int
    left: float
    width: float
    height: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """The night as bars of equal length."""

    bars: tuple[Bar, ...]
    start: datetime
    end: datetime
    each: timedelta
    rate: str  # over the whole, in words
    best: int  # pictures in the fullest bar


@dataclass(frozen=True, kw_only=True, slots=True)
class FailureRow:
    """One way in which shots failed, and which."""

    detail: str
    fault: str
    workers: tuple[str, ...]
    attempts: int
    shots: tuple[str, ...]
    given_up: int

    @property
    def gist(self) -> str:
        """The detail, or its beginning where it is long."""
        return self.detail if len(self.detail) <= GIST else self.detail[:GIST].rpartition(" ")[0] + " ..."

    @property
    def is_long(self) -> bool:
        return len(self.detail) > GIST


def make_headline(view: JobView) -> Headline:
    """One sentence for the job, one for the clock."""
    counts = view.job.counts
    total, thing = counts.shots, view.thing
    match view.job.state:
        case JobState.FINISHED:
            text = f"All {plural(total, thing)} are made" if total != 1 else f"The {thing} is made"
            if counts.eaten:
                text = f"{counts.made:,} of {plural(total, thing)} made, {counts.eaten:,} eaten"
            tone = Tone.NOTE if counts.eaten else Tone.GOOD
        case JobState.FAILED:
            text = f"{counts.made:,} of {plural(total, thing)} made, {counts.dead:,} given up"
            tone = Tone.BAD
        case JobState.CANCELLED:
            text = f"Cancelled with {counts.made:,} of {plural(total, thing)} made"
            tone = Tone.NOTE
        case JobState.HELD:
            text = f"Held, with {counts.made:,} of {plural(total, thing)} made"
            tone = Tone.NOTE
        case JobState.PAUSED:
            text = f"Paused, with {counts.made:,} of {plural(total, thing)} made"
            tone = Tone.NOTE
        case JobState.QUEUED | JobState.RUNNING:
            text = f"Under way: {counts.made:,} of {plural(total, thing)} made"
            tone = Tone.NOTE
        case _:
            assert_never(view.job.state)
    clock, late = punctuality(view)
    more = " ".join(part for part in (clock, sentence(view.job.detail)) if part)
    held = sum(not hold.is_released for hold in view.holds)
    if held:
        more = f"{more} {plural(held, thing)} held for a look.".strip()
    return Headline(tone=Tone.BAD if late and tone is Tone.GOOD else tone, text=text, more=more)


def punctuality(view: JobView) -> tuple[str, bool]:
    """A sentence on the deadline, and whether it was missed; nothing where none was set."""
    deadline = view.job.deadline
    if deadline is None:
        return "", False
    end = view.job.ended_at
    if end is None:
        left = (deadline - view.made_at).total_seconds()
        if left < 0:
            return f"The deadline passed {duration(-left)} ago.", True
        return f"The deadline is in {duration(left)}.", False
    spare = (deadline - end).total_seconds()
    if spare < 0:
        return f"Ended {duration(-spare)} after the deadline.", True
    return f"Ended {duration(spare)} before the deadline.", False


def course_rows(view: JobView) -> tuple[CourseRow, ...]:
    """One row a decision, in the plan's order."""
    by_decision: dict[int, list[ShotRecord]] = defaultdict(list)
    for shot in view.shots:
        by_decision[shot.decision].append(shot)
    looks = {look.decision: look for look in view.looks}
    return tuple(
        _course_row(number, decision, by_decision[number], looks.get(number))
        for number, decision in enumerate(view.plan.decisions)
    )


def _course_row(
    number: int, decision: Decision, shots: Sequence[ShotRecord], look: LookJudgement | None
) -> CourseRow:
    states = Counter(shot.state for shot in shots)
    seconds = [shot.seconds for shot in shots if shot.state is TakeState.DONE and shot.seconds is not None]
    return CourseRow(
        number=number,
        decision=decision,
        shots=len(shots),
        done=states[TakeState.DONE],
        reused=states[TakeState.REUSED],
        open=states[TakeState.QUEUED] + states[TakeState.LEASED],
        lost=states[TakeState.DEAD] + states[TakeState.CANCELLED] + states[TakeState.FAILED],
        seconds=sum(seconds) / len(seconds) if seconds else None,
        look=look,
    )


def make_timeline(view: JobView) -> Timeline | None:
    """Bars of finished pictures between start and end; None where fewer than two were finished."""
    times = sorted(view.settled_at)
    if len(times) < 2:
        return None
    start = min(view.job.started_at or times[0], times[0])
    end = max(view.job.ended_at or times[-1], times[-1])
    span = max(end - start, SHORTEST_BAR)
    count = max(1, min(BARS, span // SHORTEST_BAR))
    each = span / count
    filled = Counter(min(int((at - start) / each), count - 1) for at in times)
    best = max(filled.values())
    bars = tuple(
        Bar(
            start=start + place * each,
            pictures=filled[place],
            left=place / count,
            width=1 / count,
            height=filled[place] / best,
        )
        for place in range(count)
    )
    return Timeline(bars=bars, start=start, end=end, each=each, rate=pace(len(times), span), best=best)


def pace(pictures: int, span: timedelta) -> str:
    """How fast pictures came, in the unit that reads best: "21 pictures a minute"."""
    a_second = pictures / max(span.total_seconds(), SHORTEST_BAR.total_seconds())
    for article, unit, seconds in (("a", "second", 1), ("a", "minute", 60), ("an", "hour", 3600)):
        if a_second * seconds >= 2 or unit == "hour":
            return f"{rounded(a_second * seconds)} pictures {article} {unit}"
    raise AssertionError("the last unit always fits")


def failure_rows(view: JobView) -> tuple[FailureRow, ...]:
    """Failed attempts gathered by what was said of them, the most frequent first."""
    dead = {shot.name for shot in view.shots if shot.state is TakeState.DEAD}
    gathered: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for take in view.failed_takes:
        fault = take.fault.value if take.fault else "unknown"
        gathered[take.detail or "No reason was given.", fault].append((take.shot, take.worker or ""))
    rows = [
        FailureRow(
            detail=detail,
            fault=fault,
            workers=tuple(sorted({worker for _, worker in attempts if worker})),
            attempts=len(attempts),
            shots=tuple(dict.fromkeys(shot for shot, _ in attempts)),
            given_up=len({shot for shot, _ in attempts} & dead),
        )
        for (detail, fault), attempts in gathered.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.given_up, -row.attempts, row.detail)))
