"""A new user's first night: everything that it claims is checked."""

import hashlib
import json
import re

import pytest

from registry.sources import builtin_source
from tests.e2e.conftest import SHOTS, TWEMOJI, Night, rightstep
from workers.artefacts import ArtefactStore
from workers.marking import DigitalSourceType, read_marking
from workers.processes import read_record

pytestmark = pytest.mark.slow


def test_every_shot_is_made_and_shipped(night: Night):
    assert night.answer["job"]["state"] == "finished"
    assert night.answer["job"]["counts"]["done"] == 4
    assert len(night.answer["shipment"]["items"]) == 4


def test_every_picture_says_that_a_trained_model_made_it_and_which_shot_it_is(night: Night):
    stacks = set()
    for name in SHOTS:
        marking = read_marking(night.out / f"{name}.png")
        assert marking is not None
        assert marking.source is DigitalSourceType.TRAINED
        assert re.fullmatch("[0-9a-f]{64}", marking.shot_key)
        stacks.add(marking.stack_id)
    assert len(stacks) == 2, "the style makes another stack"
    shown = rightstep(night.home, "job", "show", night.job_id, "--shots", "--json")
    keys = {shot["name"]: shot["shot_key"] for shot in json.loads(shown.stdout)["shots"]}
    assert {path.stem: read_marking(path).shot_key for path in night.out.glob("*.png")} == keys


def test_a_statement_beside_each_picture_names_the_bytes_it_was_made_from(night: Night):
    store = ArtefactStore(night.home / "artefacts")
    statements = [json.loads(path.read_text()) for path in store.root.glob("*/*.intoto.json")]
    pictures = {hashlib.sha256(path.read_bytes()).hexdigest() for path in night.out.glob("*.png")}
    assert {one["subject"][0]["digest"]["sha256"] for one in statements} == pictures
    hub = builtin_source().root
    for statement in statements:
        parts = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        assert len(parts) > 5
        for part in parts:
            found = hashlib.sha256((hub / part["name"]).read_bytes()).hexdigest()
            assert part["digest"]["sha256"] == found
    styled = [one for one in statements if TWEMOJI in json.dumps(one)]
    assert len(styled) == 1
    assert "a flat fox" not in json.dumps(statements), "prompts stay in the ledger"


def test_the_pages_stand_alone_and_show_every_shot(night: Night):
    for page in ("contact-sheet.html", "report.html"):
        text = (night.out / page).read_text()
        assert all(name in text for name in SHOTS), page
        assert "data:image/" in text
        assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", text), (
            "nothing is fetched from elsewhere"
        )


def test_the_notices_credit_the_style_as_its_licence_asks(night: Night):
    notices = (night.out / "NOTICES.txt").read_text()
    assert TWEMOJI in notices
    assert "twitter" in notices.lower() or "twemoji" in notices.lower()
    assert "Creative Commons Attribution 4.0 International" in notices
    assert "Apache License" in notices


def test_the_chain_of_the_audit_log_holds(night: Night):
    checked = rightstep(night.home, "audit", "verify", "--json")
    assert checked.returncode == 0, checked.stderr
    answer = json.loads(checked.stdout)
    assert answer["ok"] is True
    assert answer["rows"] >= 6, "four pins, a plan, a shipment"


def test_no_service_is_left_behind(night: Night):
    home = night.home
    records = [*home.glob("run/private-*.json"), *home.glob("ray/private-*.json")]
    assert [read_record(path) for path in records] == []


def test_a_licence_that_forbids_the_use_is_told_by_its_clause_and_nothing_is_rendered(night: Night):
    before = len(list((night.home / "artefacts").glob("*/*.png")))
    refused = rightstep(
        night.home, "render", "examples/manifests/refused.toml", "--out", str(night.home.parent / "refused")
    )
    assert refused.returncode == 1
    assert "2(a)(1)" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert len(list((night.home / "artefacts").glob("*/*.png"))) == before
    assert not (night.home.parent / "refused").exists()
