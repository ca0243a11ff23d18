"""The contact sheet: every picture of a night on one page, grouped by how it was made."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from flows.reports.findings import CourseRow, course_rows, make_headline
from flows.reports.job_view import JobView
from flows.reports.pages import Clock, write_page
from flows.reports.pictures import SHOWN, Thumbnail, choose_shown, load_thumbnail
from policy.tasks import TakeState
from registry.records import ShotRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One shot as it is shown."""

    shot: ShotRecord
    thumbnail: Thumbnail | None
    kind: str  # done | reused | lost | eaten | open
    file: str  # beside the page; "" where there is none
    held: str  # why an output check holds it; ""
    gone: str  # what is said in place of a picture whose bytes are not in the store


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Shots that were made the same way."""

    row: CourseRow
    licences: tuple[str, ...]
    cards: tuple[Card, ...]

    @property
    def unseen(self) -> int:
        return self.row.shots - len(self.cards)


KINDS = {
    TakeState.DONE: "done",
    TakeState.REUSED: "reused",
    TakeState.QUEUED: "open",
    TakeState.LEASED: "open",
    TakeState.FAILED: "lost",
    TakeState.DEAD: "lost",
    TakeState.CANCELLED: "lost",
    TakeState.EATEN: "eaten",
}


def write_contact_sheet(view: JobView, out: Path, *, limit: int = SHOWN) -> Path:
    """Write the sheet to ``out``; at most ``limit`` shots are shown, and the page says how many are not."""
    groups = make_groups(view, limit)
    kinds = Counter(KINDS[shot.state] for shot in view.shots)
    facts: dict[str, object] = {
        "view": view,
        "job": view.job,
        "headline": make_headline(view),
        "clock": Clock(view.plan.manifest.timezone),
        "groups": groups,
        "kinds": kinds,
        "shown": sum(len(group.cards) for group in groups),
    }
    return write_page("contact-sheet.html.j2", out, facts)


def make_groups(view: JobView, limit: int) -> tuple[Group, ...]:
    """The shown shots by decision; decisions without a shown shot are left out."""
    held = {hold.ordinal: hold.detail for hold in view.holds if not hold.is_released}
    cards: dict[int, list[Card]] = {}
    for shot in choose_shown(view.shots, limit):
        card = Card(
            shot=shot,
            thumbnail=load_thumbnail(shot, view.read_picture),
            kind=KINDS[shot.state],
            file=view.files.get(shot.name, ""),
            held=held.get(shot.ordinal, ""),
            gone=view.unkept.get(shot.name, "the picture file is gone"),
        )
        cards.setdefault(shot.decision, []).append(card)
    return tuple(
        Group(row=row, licences=licences_of(row), cards=tuple(cards[row.number]))
        for row in course_rows(view)
        if row.number in cards
    )


def licences_of(row: CourseRow) -> tuple[str, ...]:
    """Licence ids of a stack, as its verdict names them."""
    return tuple(sorted({reason.licence for reason in row.decision.offer.verdict.reasons if reason.licence}))
