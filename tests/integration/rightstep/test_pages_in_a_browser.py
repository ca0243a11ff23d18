"""The pages in a real browser: what is seen, at the width of a desk and of a phone, by day and by night."""

import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from flows.audit_reports import AuditReport, ShipmentLine, draw_report
from flows.reports.contact_sheet import write_contact_sheet
from flows.reports.morning_report import write_morning_report
from policy.audit import AuditEvent, chain
from policy.quarantine import Revocation
from policy.tasks import TakeState
from registry.audit_walk import AuditCheck
from registry.records import JobState
from tests.factories import NOW
from tests.unit.flows.reports.night import (
    make_failed_take,
    make_job_view,
    make_lost_shot,
    make_shipment_view,
    make_shot_record,
)

pytestmark = pytest.mark.browser

HOSTILE = '<script>document.title = "taken"</script><img src=x onerror="document.title=\'taken\'">'
DESK, PHONE = 1360, 390


@dataclass
class Seen:
    """An open page, what it asked the network for, and what it complained of."""

    page: Any
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()

    def visible(self, selector: str) -> int:
        return sum(one.is_visible() for one in self.page.locator(selector).all())

    def ask(self, script: str) -> Any:
        return self.page.evaluate(script)


def seen_at(context: Any, url: str) -> Seen:
    """Open a page, listening to what it asks for and complains of from its first byte on."""
    seen = Seen(context.new_page())
    seen.page.on("request", lambda request: seen.asked.append(request.url))
    seen.page.on("console", lambda message: seen.complaints.append(message.text))
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.goto(url)
    return seen


@pytest.fixture
def look(browser: Any):
    contexts = []

    def opened(path: Path, *, width: int = DESK, scheme: str = "light") -> Seen:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        return seen_at(context, path.as_uri())

    yield opened
    for context in contexts:
        context.close()


def make_night():
    shots = [make_shot_record(number) for number in range(12)]
    shots[3] = make_shot_record(3, state=TakeState.REUSED, seconds=None)
    shots[5] = make_lost_shot(5, "The picture is black in every attempt.")
    shots[7] = make_shot_record(7, prompt=HOSTILE, name="hostile")
    takes = tuple(make_failed_take(shots[5], attempt, shots[5].detail) for attempt in (1, 2, 3))
    failed = {"state": JobState.FAILED, "detail": "one shot was given up"}
    return make_job_view(shots, failed_takes=takes, shipments=(make_shipment_view(),), job=failed)


@pytest.fixture
def sheet(folder: Path) -> Path:
    return write_contact_sheet(make_night(), folder / "contact-sheet.html")


@pytest.fixture
def report(folder: Path) -> Path:
    return write_morning_report(make_night(), folder / "report.html")


def test_every_picture_is_really_drawn(look, sheet: Path):
    seen = look(sheet)
    drawn = seen.ask(
        "[...document.images].map(i => i.complete && i.naturalWidth === 64 && i.clientWidth >= 150)"
    )
    assert drawn == [True] * 11


def test_small_pictures_are_enlarged_without_blur(look, sheet: Path):
    assert look(sheet).ask("getComputedStyle(document.images[0]).imageRendering") == "pixelated"


@pytest.mark.parametrize("which", ["sheet", "report"])
def test_a_page_asks_the_network_for_nothing(look, which: str, request: pytest.FixtureRequest):
    path = request.getfixturevalue(which)
    seen = look(path)
    assert [url for url in seen.asked if not url.startswith("data:")] == [path.as_uri()]
    assert seen.complaints == []


@pytest.mark.parametrize("which", ["sheet", "report"])
def test_a_hostile_prompt_does_nothing(look, which: str, request: pytest.FixtureRequest):
    seen = look(request.getfixturevalue(which))
    assert seen.page.title() != "taken"
    assert seen.count("script") == 0


@pytest.mark.parametrize("which", ["sheet", "report"])
@pytest.mark.parametrize("width", [DESK, 768, PHONE])
def test_nothing_is_wider_than_the_window(look, which: str, width: int, request: pytest.FixtureRequest):
    seen = look(request.getfixturevalue(which), width=width)
    assert seen.ask("document.documentElement.scrollWidth") <= width


def test_a_phone_shows_two_pictures_a_row(look, sheet: Path):
    tops = look(sheet, width=PHONE).ask(
        "[...document.querySelectorAll('.card')].map(c => Math.round(c.offsetTop))"
    )
    assert tops.count(tops[0]) == 2


def test_day_and_night_are_told_apart(look, sheet: Path, report: Path):
    for path in (sheet, report):
        day = look(path, scheme="light").ask("getComputedStyle(document.body).backgroundColor")
        night = look(path, scheme="dark").ask("getComputedStyle(document.body).backgroundColor")
        assert brightness(day) > 200
        assert brightness(night) < 60


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(look, report: Path, scheme: str):
    seen = look(report, scheme=scheme)
    ground = brightness(seen.ask("getComputedStyle(document.body).backgroundColor"))
    for selector in ("h1", ".lede", ".facts", "section > h2"):
        ink = brightness(seen.ask(f"getComputedStyle(document.querySelector('{selector}')).color"))
        assert abs(ink - ground) > 85, selector


def brightness(colour: str) -> float:
    red, green, blue = (float(part) for part in colour.removeprefix("rgb(").rstrip(")").split(",")[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_filter_shows_only_what_was_asked_without_a_script(look, sheet: Path):
    seen = look(sheet)
    assert seen.visible(".card") == 12
    seen.page.locator("label[for=only-lost]").click()
    assert seen.visible(".card") == 1
    assert seen.page.locator(".card.lost").inner_text().count("black") == 1
    seen.page.locator("label[for=only-all]").click()
    assert seen.visible(".card") == 12


def test_the_headline_is_the_first_thing_read(look, report: Path):
    seen = look(report)
    assert seen.page.locator("h1").inner_text() == "11 of 12 pictures made, 1 given up."
    sizes = seen.ask(
        "[...document.querySelectorAll('h1, h2, .tile dd')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert sizes[0] == max(sizes)


def test_why_each_choice_was_made_opens_on_a_click(look, report: Path):
    seen = look(report)
    reasons = seen.page.locator("details.plan .why")
    assert not reasons.is_visible()
    seen.page.locator("details.plan summary").click()
    assert reasons.is_visible()


def test_a_screenshot_has_the_colours_of_the_pictures(look, sheet: Path, folder: Path):
    """The page as pixels, so that a page which is blank although its parts are all there would be caught."""
    from PIL import Image

    seen = look(sheet)
    shot = folder / "sheet.png"
    seen.page.screenshot(path=str(shot), full_page=True)
    colours = Image.open(shot).convert("RGB").getcolors(1 << 24) or []
    assert len(colours) > 100
    box = seen.page.locator(".card img").first.bounding_box()
    assert box is not None
    centre = (int(box["x"] + box["width"] / 2), int(box["y"] + box["height"] / 2))
    expected = make_night().read_picture(make_night().shots[0].artefact.sha256)
    assert expected is not None
    pixel = Image.open(io.BytesIO(expected)).convert("RGB").getpixel((32, 32))
    assert Image.open(shot).convert("RGB").getpixel(centre) == pixel


# The audit report


@pytest.fixture
def audit_page(folder: Path) -> Path:
    line = ShipmentLine(
        shipment_id="ship-20260131-0a1b2c3d",
        shipped_at=NOW,
        job_id="20260131-0a1b2c3d",
        actor="officer",
        act="ship_output_commercial",
        items=12,
        recipients=("editor@studio.example",),
        licences=("apache-2.0", "cc-by-4.0"),
        obligations=(f"attribution: notices:{'a' * 64}",),
        today="permit",
        against=(),
        folder="shipments/ship-20260131-0a1b2c3d",
    )
    withdrawn = replace(
        line,
        shipment_id="ship-20260130-ffffffff",
        today="deny",
        against=(f"studio/style: {HOSTILE}",),
        folder="",
    )
    event = chain(
        None,
        AuditEvent(tag="shipment:job:shipped", actor="officer", subject=line.shipment_id, payload="{}"),
        "2026-01-31T19:00:00.000000Z",
    )
    report = AuditReport(
        made_at=NOW,
        check=AuditCheck(
            ok=True, rows=1, broken_at=None, detail="The chain holds.", guards_missing=(), head=event.hash
        ),
        findings=(f"{withdrawn.shipment_id} would not ship today: {HOSTILE}",),
        shipments=(line, withdrawn),
        revocations=(
            Revocation(repo="studio/style", revision="", reason=HOSTILE, actor="officer", revoked_at=NOW),
        ),
        events=(event,),
    )
    return draw_report(report, "Small Studio", folder / "audit.html")


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_the_audit_report_stands_alone_and_fits(look, audit_page: Path, width: int):
    seen = look(audit_page, width=width)
    assert seen.asked == [audit_page.as_uri()]
    assert seen.complaints == []
    assert seen.ask("document.documentElement.scrollWidth <= window.innerWidth")
    assert seen.page.title().startswith("Audit report")
    assert seen.count("script") == 0
    assert seen.visible("#findings li") == 1
    assert seen.visible("#shipments .badge.deny") == 1
