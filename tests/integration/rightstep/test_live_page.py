"""The live canvas in a real browser: a hand draws, frames arrive, words change them."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows.access import create_key
from flows.bootstrap import House, open_house
from flows.pinning import pin_model
from flows.settings import Settings
from registry.unit_of_work import unit_of_work
from rightstep.web.app import build_app
from rightstep.web.live import Canvases
from tests.integration.flows.jobs.night import wait_until
from tests.integration.rightstep.test_pages_in_a_browser import DESK, PHONE, Seen, brightness, seen_at
from tests.integration.web.desk import NearDriver, NearPlaces
from tests.integration.web.listening import served
from tests.tiny_hub import videos

pytestmark = pytest.mark.browser
FRAME = "Number(document.getElementById('frame').textContent)"
CORNER = """(() => {
  const one = new OffscreenCanvas(1, 1).getContext('2d');
  one.drawImage(document.getElementById('shown'), 3, 3, 1, 1, 0, 0, 1, 1);
  return [...one.getImageData(0, 0, 1, 1).data];
})()"""


class Stage:
    """A served page, with the house behind it."""

    def __init__(self, house: House, address: str, places: NearPlaces, seen: Any) -> None:
        self.house, self.address, self.place, self._seen = house, address, places.all[0], seen

    def look(self, *, width: int = DESK, scheme: str = "light") -> Seen:
        return self._seen(f"{self.address}/live", width, scheme)

    def prompts(self) -> list[str]:
        return [one.prompt for one in self.place.asked if one is not None]


@pytest.fixture
def stage(browser: Any, tmp_path: Path) -> Iterator[Stage]:
    shelf = videos.put_videos(tmp_path / "hub", videos.SMALL, videos.SELF_FORCING)
    settings = Settings(home=tmp_path / "home", model_folders=(shelf,), renderer="synthetic", actor="tester")
    house = open_house(settings, clock=lambda: datetime(2026, 1, 31, tzinfo=UTC))
    places, contexts = NearPlaces(house, 1), []

    def look(url: str, width: int, scheme: str) -> Seen:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        return seen_at(context, url)

    with served(build_app(house, driver=NearDriver(house), live=Canvases(port=places))) as address:
        yield Stage(house, address, places, look)
        for context in contexts:
            context.close()
    house.engine.dispose()


def until(seen: Seen, script: str) -> None:
    """Wait for the page; its own policy forbids Playwright's way to do that inside of it."""
    wait_until(script, lambda: seen.ask(script))


def begin(seen: Seen) -> None:
    seen.page.locator("#begin").click()
    until(seen, f"{FRAME} >= 0")


def scribble(seen: Seen) -> None:
    """A thick stroke from the top left corner to the middle."""
    box = seen.page.locator("#sketch").bounding_box()
    assert box is not None
    mouse = seen.page.mouse
    mouse.move(box["x"] + 4, box["y"] + 4)
    mouse.down()
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=12)
    mouse.up()


def test_a_stroke_of_the_hand_arrives_in_the_frames(stage: Stage):
    seen = stage.look()
    begin(seen)
    before = seen.ask(CORNER)
    scribble(seen)
    until(seen, f"{CORNER}[1] < {before[1]} - 40")
    red, green, blue, _ = seen.ask(CORNER)
    assert red - before[0] > -40, "the ink is red"
    assert green < before[1] - 40
    assert blue < before[2] - 40
    assert seen.page.locator("#latency").inner_text().endswith(" ms")
    assert seen.complaints == []


def test_a_word_that_is_typed_reaches_the_renderer(stage: Stage):
    seen = stage.look()
    begin(seen)
    seen.page.locator("#prompt").fill("a blue robot")
    wait_until("the prompt arrives", lambda: stage.prompts()[-1] == "a blue robot")
    seen.page.locator("#strength").fill("0.5")
    seen.page.locator("#steps").select_option("2")
    wait_until(
        "so does all else",
        lambda: [(one.strength, one.steps) for one in stage.place.asked if one][-1] == (0.5, 2),
    )


def test_the_end_is_told_and_on_record(stage: Stage):
    seen = stage.look()
    begin(seen)
    seen.page.locator("#begin").click()
    until(seen, "document.getElementById('told').textContent.startsWith('Ended (asked)')")
    assert seen.page.locator("#begin").inner_text() == "Begin"
    with unit_of_work(stage.house.engine, read_only=True) as work:
        assert work.live.open_ones() == ()
    assert not stage.place.is_taken


def test_the_page_asks_for_a_key_where_there_are_keys(stage: Stage):
    key = create_key(stage.house, owner="studio", scopes=["submit"]).secret
    seen = stage.look()
    seen.page.locator("#begin").click()
    until(seen, "document.getElementById('told').className === 'bad'")
    assert "key" in seen.page.locator("#told").inner_text()
    seen.page.locator("summary").click()
    seen.page.locator("#key").fill(key)
    begin(seen)


def test_the_page_asks_nobody_but_its_own_house(stage: Stage):
    seen = stage.look()
    begin(seen)
    assert {url.removeprefix(stage.address) for url in seen.asked} == {
        "/live",
        "/live/canvas.css",
        "/live/canvas.js",
        "/v1/live/tickets",
    }
    policy = seen.page.request.get(f"{stage.address}/live").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in policy
    assert seen.complaints == []


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_nothing_is_wider_than_the_window(stage: Stage, width: int):
    assert stage.look(width=width).ask("document.documentElement.scrollWidth") <= width


def test_day_and_night_are_told_apart_and_words_stand_out(stage: Stage):
    grounds = {}
    for scheme in ("light", "dark"):
        seen = stage.look(scheme=scheme)
        grounds[scheme] = brightness(seen.ask("getComputedStyle(document.body).backgroundColor"))
        for selector in ("h1", ".lede", "label", "dt", "#told"):
            ink = brightness(seen.ask(f"getComputedStyle(document.querySelector('{selector}')).color"))
            assert abs(ink - grounds[scheme]) > 85, (scheme, selector)
    assert grounds["light"] > 200
    assert grounds["dark"] < 60


def test_a_screenshot_shows_the_frame_that_was_drawn(stage: Stage):
    seen = stage.look()
    begin(seen)
    scribble(seen)
    until(seen, f"{FRAME} >= 1")
    box = seen.page.locator("#shown").bounding_box()
    assert box is not None
    page = Image.open(io.BytesIO(seen.page.screenshot())).convert("RGB")
    colours = page.crop(
        (int(box["x"]), int(box["y"]), int(box["x"] + box["width"]), int(box["y"] + box["height"]))
    ).getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 10


def test_a_model_that_streams_takes_words_alone_and_fills_the_page(stage: Stage):
    for repo in (videos.SMALL, videos.SELF_FORCING):
        pin_model(stage.house, repo)
    seen = stage.look()
    seen.page.locator("details summary").click()
    seen.page.locator("#model").fill(videos.SMALL)
    begin(seen)
    until(seen, f"{FRAME} > 12")
    assert not seen.page.locator("#sketch").is_visible()
    assert not seen.page.locator("#strength").is_visible()
    box = seen.page.locator("#shown").bounding_box()
    assert box is not None
    assert abs(box["width"] / box["height"] - 832 / 480) < 0.02
    before = seen.ask(CORNER)
    seen.page.locator("#prompt").fill("a forest")
    until(seen, f"JSON.stringify({CORNER}) !== '{json.dumps(before, separators=(',', ':'))}'")
    until(seen, "document.getElementById('latency').textContent.endsWith(' ms')")
    assert seen.ask("document.getElementById('skipped').textContent") == "0"
    assert "words alone" not in seen.ask("document.getElementById('told').textContent")
