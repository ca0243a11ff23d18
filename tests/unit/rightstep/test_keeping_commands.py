"""``rightstep store gc`` and ``rightstep message list|send``: what they print, as words and as data."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.bootstrap import open_house
from flows.settings import load_settings
from rightstep.cli.output import ExitCode
from tests.unit.rightstep.conftest import Typed

Run = Callable[..., Typed]


@pytest.fixture
def orphan(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that nobody knows, two years old."""
    monkeypatch.setenv("RIGHTSTEP_RENDERER", "synthetic")
    house = open_house(load_settings())
    path = Path(house.store.put_bytes(b"nobody's", "image/png").path)
    os.utime(path, (1, 1))
    house.engine.dispose()
    return path


def test_a_dry_run_says_what_would_go_and_leaves_it(rightstep: Run, orphan: Path):
    answer = rightstep("store", "gc", "--dry-run")
    assert answer.code == ExitCode.DONE
    assert "would be removed" in answer.out
    assert "none ever goes" in answer.out
    assert orphan.exists()


def test_the_same_as_data_and_for_good(rightstep: Run, orphan: Path):
    answer = rightstep("store", "gc", "--json")
    assert (answer.code, answer.data["dry_run"], answer.data["going"]) == (ExitCode.DONE, False, [])
    assert answer.data["stray"]["orphans"] == [orphan.name.split(".")[0]]
    assert answer.data["database"]["bytes"] > 0
    assert not orphan.exists()


def test_a_retention_file_that_cannot_be_used_is_wrong_use(rightstep: Run, orphan: Path):
    (load_settings().home / "retention.toml").write_text("[studio]\ndays = 0\n", encoding="utf-8")
    assert rightstep("store", "gc").code == ExitCode.WRONG_USE
    assert orphan.exists()


def test_where_nothing_is_told_there_is_nothing_to_list_or_send(rightstep: Run):
    assert "There is no message" in rightstep("message", "list").err
    assert rightstep("message", "list", "--json").data == []
    assert rightstep("message", "send", "--json").data == {"sent": 0, "failed": 0, "given_up": 0}
