"""Schedules are files: kept, listed and removed while nothing is up to fire them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.bootstrap import House, open_house
from flows.schedules import add_schedule, list_schedules, load_schedules, remove_schedule
from flows.settings import load_settings
from policy.errors import FormatFault, ManifestRejected, UnknownName, WrongUse
from policy.uses import Act
from tests.integration.flows.jobs.night import write_order


@pytest.fixture
def house() -> Iterator[House]:
    opened = open_house(load_settings())
    yield opened
    opened.engine.dispose()


@pytest.fixture
def order(tmp_path: Path) -> Path:
    return write_order(tmp_path, 2, name="city", timezone="Europe/Berlin")


def test_a_schedule_says_that_nothing_is_up_to_fire_it(house: House, order: Path):
    made = add_schedule(house, order, cron="0 19 * * 1-5")
    assert not made.will_fire
    assert made.next_run is not None
    assert made.next_run > house.clock()


def test_a_schedule_outlives_the_process_that_made_it(house: House, order: Path):
    made = add_schedule(house, order, cron="0 19 * * *", use=Act.EVALUATE_INTERNAL)
    again = open_house(load_settings())
    (found,) = list_schedules(again)
    again.engine.dispose()
    assert (found.name, found.cron, found.use) == (made.name, "0 19 * * *", Act.EVALUATE_INTERNAL)


def test_the_manifest_is_kept_by_its_absolute_path(
    house: House, order: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(order.parent)
    assert add_schedule(house, Path(order.name), cron="0 19 * * *").manifest == str(order)


def test_times_are_those_of_the_manifest_unless_a_zone_is_given(house: House, order: Path):
    assert add_schedule(house, order, cron="0 19 * * *").timezone == "Europe/Berlin"
    assert add_schedule(house, order, cron="0 19 * * *", timezone="Asia/Tokyo").timezone == "Asia/Tokyo"


def test_the_same_schedule_is_kept_once_and_another_gets_a_name_of_its_own(house: House, order: Path):
    names = [add_schedule(house, order, cron=cron).name for cron in ("0 1 * * *", "0  1 * * *", "0 2 * * *")]
    assert names == ["city", "city", "city-2"]
    assert [one.name for one in list_schedules(house)] == ["city", "city-2"]


def test_a_cron_that_cannot_be_read_keeps_nothing(house: House, order: Path):
    with pytest.raises(WrongUse) as caught:
        add_schedule(house, order, cron="at dawn")
    assert "0 19 * * 1-5" in caught.value.next_step
    assert list_schedules(house) == ()


def test_a_manifest_that_cannot_be_read_keeps_nothing(house: House, tmp_path: Path):
    with pytest.raises(ManifestRejected, match="no manifest"):
        add_schedule(house, tmp_path / "gone.toml", cron="0 1 * * *")
    assert list_schedules(house) == ()


def test_an_unknown_zone_keeps_nothing(house: House, order: Path):
    with pytest.raises(WrongUse, match="Europe/Atlantis"):
        add_schedule(house, order, cron="0 1 * * *", timezone="Europe/Atlantis")
    assert list_schedules(house) == ()


def test_a_removed_schedule_is_gone(house: House, order: Path):
    name = add_schedule(house, order, cron="0 1 * * *").name
    assert remove_schedule(house, name).next_run is None
    assert list_schedules(house) == ()


def test_an_unknown_schedule_is_answered_with_the_nearest_names(house: House, order: Path):
    add_schedule(house, order, cron="0 1 * * *")
    with pytest.raises(UnknownName) as caught:
        remove_schedule(house, "citi")
    assert "city" in caught.value.next_step


def test_a_file_that_is_no_schedule_is_named(house: House):
    path = house.settings.home / "schedules" / "odd.json"
    path.parent.mkdir()
    path.write_text("{}")
    with pytest.raises(FormatFault, match=r"odd\.json"):
        load_schedules(house.settings.home)
