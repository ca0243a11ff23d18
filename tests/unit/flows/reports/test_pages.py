"""The pages of a job say what became of it, hold everything they show, and believe nothing they are told."""

import base64
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flows.reports.contact_sheet import write_contact_sheet
from flows.reports.morning_report import write_morning_report
from policy.errors import StorageFault
from policy.tasks import FaultKind, TakeState
from policy.verdicts import all_of
from registry.records import DeviceWork, HeldShot, JobState
from tests.factories import make_denial, make_execution_plan, make_manifest, make_obligation, make_verdict
from tests.unit.flows.reports.night import (
    ENDED,
    STARTED,
    make_failed_take,
    make_job_view,
    make_look,
    make_lost_shot,
    make_png,
    make_round,
    make_shipment_view,
    make_shot_record,
)

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7*7 }} &amp; '--"


class Page(HTMLParser):
    """What a browser would meet: tags with their attributes, and the words between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" not in self.inside:
            self.words.append(data)

    def all(self, tag: str, kind: str = "") -> list[dict[str, str | None]]:
        return [
            attributes
            for name, attributes in self.tags
            if name == tag and (not kind or kind in (attributes.get("class") or "").split())
        ]

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.words).split())


def sheet_of(view, tmp_path: Path, **options) -> Page:
    return Page(
        write_contact_sheet(view, tmp_path / "contact-sheet.html", **options).read_text(encoding="utf-8")
    )


def report_of(view, tmp_path: Path) -> Page:
    return Page(write_morning_report(view, tmp_path / "report.html").read_text(encoding="utf-8"))


def test_every_shot_is_on_the_sheet_with_its_picture(tmp_path: Path):
    page = sheet_of(make_job_view(), tmp_path)
    assert len(page.all("li", "card")) == 8
    assert len(page.all("img")) == 8
    assert "All 8 pictures are made" in page.said


def test_a_small_picture_is_embedded_byte_for_byte(tmp_path: Path):
    picture = make_png((12, 34, 56))
    page = sheet_of(make_job_view([make_shot_record()], read_picture=lambda _: picture), tmp_path)
    (image,) = page.all("img")
    assert image["src"] == f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    assert image["class"] == "tiny"


def test_a_large_picture_is_embedded_as_a_preview(tmp_path: Path):
    large = make_png(size=(1024, 768))
    page = sheet_of(make_job_view([make_shot_record()], read_picture=lambda _: large), tmp_path)
    (image,) = page.all("img")
    assert (image["src"] or "").startswith("data:image/webp;base64,")
    assert (image["width"], image["height"]) == ("1024", "768")
    assert "class" not in image


@pytest.mark.parametrize("content", [None, b"", b"no picture at all", make_png()[:40]])
def test_a_picture_that_cannot_be_read_is_said_to_be_gone(content: bytes | None, tmp_path: Path):
    page = sheet_of(make_job_view([make_shot_record()], read_picture=lambda _: content), tmp_path)
    assert page.all("img") == []
    assert "the picture file is gone" in page.said


@pytest.mark.parametrize("draw", [sheet_of, report_of])
def test_a_page_asks_for_nothing_outside_itself(draw, tmp_path: Path):
    page = draw(make_job_view(shipments=(make_shipment_view(),)), tmp_path)
    assert page.all("script") == []
    assert page.all("link") == []
    sources = [tag["src"] for tag in page.all("img")]
    assert sources
    assert all((source or "").startswith("data:image/") for source in sources)
    assert all((tag["href"] or "").startswith(("./", "#")) for tag in page.all("a"))
    assert re.search(r"url\(|@import", page.text) is None
    assert "default-src 'none'" in page.text


@pytest.mark.parametrize("draw", [sheet_of, report_of])
def test_words_from_outside_stay_words(draw, tmp_path: Path):
    shots = [
        make_shot_record(0, name="plain", prompt=HOSTILE),
        make_lost_shot(1, HOSTILE, prompt=HOSTILE),
    ]
    view = make_job_view(
        shots,
        failed_takes=(make_failed_take(shots[1], 1, HOSTILE, worker=HOSTILE),),
        job={"name": HOSTILE, "owner": HOSTILE, "labels": ((HOSTILE, HOSTILE),), "actor": HOSTILE},
        looks=(make_look(reasons=(HOSTILE,)),),
        shipments=(make_shipment_view(recipients=(HOSTILE,)),),
        verdict=make_verdict(obligations=(make_obligation(text=HOSTILE),)),
    )
    page = draw(view, tmp_path)
    assert page.all("script") == []
    assert [
        attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)
    ] == []
    assert HOSTILE in page.said
    assert "{{ 7*7 }}" in page.said


def test_a_file_link_stays_in_the_folder_whatever_the_name(tmp_path: Path):
    shot = make_shot_record(0, name="odd")
    page = sheet_of(make_job_view([shot], files={"odd": "javascript:alert(1).png"}), tmp_path)
    links = [tag["href"] for tag in page.all("a") if "Open" in (tag.get("aria-label") or "")]
    assert links == ["./javascript%3Aalert%281%29.png"]


def test_failed_shots_are_shown_with_their_reason(tmp_path: Path):
    lost = make_lost_shot(1, "The picture is black in every attempt.")
    takes = tuple(make_failed_take(lost, attempt, lost.detail) for attempt in (1, 2, 3))
    view = make_job_view(
        [make_shot_record(0), lost],
        failed_takes=takes,
        job={"state": JobState.FAILED, "detail": "one shot given up"},
    )
    sheet = sheet_of(view, tmp_path)
    assert len(sheet.all("li", "lost")) == 1
    assert "The picture is black in every attempt." in sheet.said
    report = report_of(view, tmp_path)
    assert "1 of 2 pictures made, 1 given up" in report.said
    assert "3 attempts at shot-00001" in report.said
    assert "here:4711, here:4712, here:4713" in report.said.replace(" ,", ",")


def test_attempts_that_another_worker_made_good_are_told_apart(tmp_path: Path):
    shot = make_shot_record(0, attempts=2)
    take = make_failed_take(shot, 1, "The worker died.", fault=FaultKind.WORKER)
    report = report_of(make_job_view([shot], failed_takes=(take,)), tmp_path)
    assert "every shot was made on another attempt" in report.said


def test_a_reused_picture_is_told_from_a_rendered_one(tmp_path: Path):
    reused = make_shot_record(1, state=TakeState.REUSED, seconds=None)
    page = sheet_of(make_job_view([make_shot_record(0), reused]), tmp_path)
    assert len(page.all("li", "reused")) == 1
    assert "Rendered 1" in page.said
    assert "Reused 1" in page.said


@pytest.mark.parametrize(
    ("minutes", "words"), [(-90, "90 min after the deadline"), (30, "30 min before the deadline")]
)
def test_the_report_says_by_how_much_the_deadline_was_met_or_missed(minutes: int, words: str, tmp_path: Path):
    report = report_of(make_job_view(job={"deadline": ENDED + timedelta(minutes=minutes)}), tmp_path)
    assert words in report.said
    assert ("missed" if minutes < 0 else "met") in report.said


def test_times_are_told_in_the_zone_of_the_manifest(tmp_path: Path):
    plan = make_execution_plan(manifest=make_manifest(timezone="Asia/Tokyo"))
    report = report_of(make_job_view(execution_plan=plan), tmp_path)
    assert "1 Feb 2026, 04:01" in report.said
    assert "(Asia/Tokyo)" in report.said


def test_money_is_shown_only_where_the_fleet_has_a_price(tmp_path: Path):
    assert "Cost" not in report_of(make_job_view(), tmp_path).said
    priced = make_job_view(price_per_device_hour=36.0, currency="EUR", device_seconds=90.0, load_seconds=10.0)
    assert "1.00 EUR" in report_of(priced, tmp_path).said


def test_who_did_what_of_a_night_is_told_by_device_and_priced_by_device(tmp_path: Path):
    quick = DeviceWork(device="cpu-2", batches=30, seconds=80.0, load_seconds=10.0)
    slow = DeviceWork(device="cpu-1", batches=4, seconds=90.0, load_seconds=0.0)
    prices = {"cpu-1": 4.0, "cpu-2": 36.0}
    view = make_job_view(devices=(slow, quick), prices=prices, currency="EUR")
    said = report_of(view, tmp_path).said
    assert "1.00 EUR" in said
    assert "by the hours of each device" in said
    assert "On cpu-1" in said
    assert "30 batches, at 36.00 EUR an hour" in said
    unpriced = make_job_view(devices=(slow, quick), prices={"cpu-1": 4.0, "cpu-2": None})
    assert "Cost" not in report_of(unpriced, tmp_path).said


def test_obligations_and_refusals_stand_in_the_report(tmp_path: Path):
    asked = make_verdict(obligations=(make_obligation(text="Credit Twitter, Inc."),))
    assert "Credit Twitter, Inc." in report_of(make_job_view(verdict=asked), tmp_path).said
    denied = report_of(make_job_view(verdict=all_of([asked, make_denial()])), tmp_path)
    assert "CC-BY-NC-4.0 does not permit commercial use." in denied.said
    assert "rightstep/emoji-64-style-shapes, cc-by-nc-4.0, 2(a)(1)" in denied.said


def test_a_waived_look_is_shown_and_not_hidden(tmp_path: Path):
    look = make_look(kind="over_driven", waived=True, reasons=("saturation 0.662 is above 0.520",))
    report = report_of(make_job_view(looks=(look,)), tmp_path)
    assert "over-driven" in report.said
    assert "waived in the manifest" in report.said


def test_held_pictures_are_marked_on_both_pages(tmp_path: Path):
    hold = HeldShot(
        ordinal=2,
        shot="shot-00002",
        code="over_driven",
        detail="Saturation is too high.",
        held_at=ENDED,
        released_by=None,
        released_because=None,
    )
    view = make_job_view(holds=(hold,))
    assert len(sheet_of(view, tmp_path).all("li", "held")) == 1
    report = report_of(view, tmp_path)
    assert "1 picture held for a look" in report.said
    assert "Saturation is too high." in report.said


def test_the_report_names_the_exact_weights(tmp_path: Path):
    view = make_job_view()
    said = report_of(view, tmp_path).said
    stack = view.plan.decisions[0].offer.stack
    assert stack.stack_id in said
    assert stack.base.revision in said
    assert view.job.plan_hash in said


def test_the_report_says_why_each_choice_was_made(tmp_path: Path):
    view = make_job_view()
    said = report_of(view, tmp_path).said
    decision = view.plan.decisions[0]
    assert all(reason in said for reason in decision.reasons)
    assert all(rejection.detail in said for rejection in decision.rejected)


def test_a_huge_night_stays_a_small_page_that_says_what_it_leaves_out(tmp_path: Path):
    shots = [make_shot_record(number) for number in range(300)]
    shots[250] = make_lost_shot(250, "Too dark.")
    page = sheet_of(make_job_view(shots), tmp_path, limit=20)
    assert len(page.all("li", "card")) == 20
    assert len(page.all("li", "lost")) == 1
    assert "20 of 300 shots are shown" in page.said


def test_a_job_that_has_not_begun_can_be_drawn(tmp_path: Path):
    shots = [make_shot_record(0, state=TakeState.QUEUED, artefact=None, seconds=None)]
    view = make_job_view(
        shots,
        job={"state": JobState.QUEUED, "started_at": None, "ended_at": None},
        looks=(),
        loaded=(),
        settled_at=(),
    )
    assert "Under way: 0 of 1 picture made" in report_of(view, tmp_path).said
    assert "not rendered yet" in sheet_of(view, tmp_path).said


def test_the_same_view_draws_the_same_page(tmp_path: Path):
    assert report_of(make_job_view(), tmp_path).text == report_of(make_job_view(), tmp_path).text


def test_a_page_that_cannot_be_written_is_a_storage_fault(tmp_path: Path):
    (tmp_path / "out").write_text("a file, not a folder")
    with pytest.raises(StorageFault, match="could not be written"):
        write_contact_sheet(make_job_view(), tmp_path / "out" / "contact-sheet.html")


def test_the_bars_of_the_night_hold_every_picture(tmp_path: Path):
    view = make_job_view(settled_at=tuple(STARTED + timedelta(seconds=second) for second in (1, 1, 30, 61)))
    page = report_of(view, tmp_path)
    titles = re.findall(r"<title>[\d:]+: (\d+) picture", page.text)
    assert sum(map(int, titles)) == 4


def test_a_job_without_its_zone_falls_back_to_utc(tmp_path: Path):
    view = make_job_view()
    unknown = replace(
        view, plan=replace(view.plan, manifest=replace(view.plan.manifest, timezone="No/Where"))
    )
    assert "(UTC)" in report_of(unknown, tmp_path).said


def test_a_night_that_is_not_complete_has_not_met_its_deadline(tmp_path: Path):
    view = make_job_view([make_shot_record(0), make_lost_shot(1, "Black.")], job={"state": JobState.FAILED})
    report = report_of(view, tmp_path)
    (deadline,) = [tag for tag in report.all("div", "tile") if "bad" in (tag["class"] or "")][1:]
    assert deadline
    assert "before the deadline, not complete" in report.said


def test_a_long_reason_is_shown_in_short_and_kept_in_full(tmp_path: Path):
    reason = "The weights differ: " + "; ".join(f"file-{number} has another digest" for number in range(40))
    lost = make_lost_shot(0, reason)
    report = report_of(make_job_view([lost], failed_takes=(make_failed_take(lost, 1, reason),)), tmp_path)
    assert reason in report.said
    assert "In full" in report.said


def test_the_report_says_how_the_night_was_planned_anew(tmp_path: Path):
    rounds = (make_round(), make_round(number=2, at_risk=True, changes=()))
    text = report_of(make_job_view(rounds=rounds), tmp_path).said
    assert "How the night was planned anew" in text
    assert "8 shots: 30 steps instead of 40, since the night is late" in text
    assert "at risk" in text
    assert "planned anew" not in report_of(make_job_view(), tmp_path).said
