"""A real browser, as the pages will meet it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

CHROMIUM = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="module")  # while it is open, Playwright's event loop runs in this thread
def browser(in_ci: bool) -> Iterator[object]:
    """Chromium, driven by Playwright; missing, it skips at home and fails in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        reason = "no chromium on this machine: apt-get install chromium"
        pytest.fail(reason) if in_ci else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=found, args=CHROMIUM)
        yield opened
        opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the pages of one test are written."""
    return tmp_path
