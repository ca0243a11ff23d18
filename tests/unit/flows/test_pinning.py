"""Folders and the hub as places where a model may lie, and the last look before shipping."""

import shutil

import pytest

from flows.drift import drift_holds
from flows.pinning import parse_reference, pin_model
from flows.planning import pin_records
from flows.rehashing import rehashed
from policy.errors import UnknownName, WrongUse
from registry.components import PinnedClaims, licensed_components
from registry.hub_source import HUB, HubSource
from registry.sources import ModelSource
from tests.unit.registry.shelf import put_repository

REPO = "org/name"


@pytest.fixture
def house(make_house, tmp_path):
    put_repository(tmp_path / "shelf", REPO)
    return make_house(model_folders=(tmp_path / "shelf",))


@pytest.mark.parametrize(
    ("text", "revision", "expected"),
    [
        ("org/name", None, ("org/name", None)),
        ("org/name@main", None, ("org/name", "main")),
        ("org/name@refs/pr/1", None, ("org/name", "refs/pr/1")),
        ("org/name", "v1", ("org/name", "v1")),
        ("org/name@", None, ("org/name", None)),
    ],
)
def test_a_reference_is_a_name_and_perhaps_a_revision(text, revision, expected):
    assert parse_reference(text, revision) == expected


def test_a_revision_that_is_said_twice_is_wrong_use():
    with pytest.raises(WrongUse, match="once"):
        parse_reference("org/name@main", "v1")


def test_a_folder_is_pinned_whole_and_came_from_no_hub(house):
    record = pin_model(house, REPO)
    assert (record.endpoint, record.upstream_repo, record.gated, record.gate_passed_by) == ("", "", "", "")
    with pytest.raises(WrongUse, match="pinned whole"):
        pin_model(house, REPO, patterns=("*.safetensors",))


def test_where_the_hub_is_switched_off_an_unknown_name_says_where_was_looked(house):
    with pytest.raises(UnknownName, match=r"built-in.*switched off.*RIGHTSTEP_HUB_OFFLINE"):
        pin_model(house, "org/other")


def test_the_hub_is_a_source_that_shows_only_what_was_brought(house):
    hub: ModelSource = house.hub
    assert isinstance(hub, HubSource)
    assert (hub.name, hub.repositories(), house.source(HUB)) == (HUB, (), hub)
    with pytest.raises(UnknownName):
        hub.locate(REPO)


def components_of(house):
    records = pin_records(house)
    claims = [PinnedClaims(pin=record.pin, claims=record.claims) for record in records.values()]
    return records, licensed_components(claims, house.catalogue.text_ids)


def test_weights_are_hashed_again_before_they_are_shipped_whatever_was_known(house, tmp_path):
    pin_model(house, REPO)
    records, components = components_of(house)
    whole = rehashed(house, components, records, [REPO])
    assert whole == components
    weights = tmp_path / "shelf" / REPO / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b" ")
    after = rehashed(house, components, records, [REPO, "never/heard-of"])
    assert [repo for repo, component in after.items() if not component.intact] == [REPO]
    shutil.rmtree(tmp_path / "shelf" / "org")
    assert not rehashed(house, components, records, [REPO])[REPO].intact


def test_only_what_ships_is_hashed_again(house, tmp_path):
    pin_model(house, REPO)
    records, components = components_of(house)
    shutil.rmtree(tmp_path / "shelf" / "org")
    assert rehashed(house, components, records, ["rightstep/emoji-64"]) == components


def test_a_pin_without_findings_is_held_by_nothing(house):
    assert drift_holds(house, [pin_model(house, REPO).pin]) == ()
