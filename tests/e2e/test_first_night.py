"""A new user's first night: real model, fresh process, fresh home; then everything that it claims is checked."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.sources import builtin_source
from workers.artefacts import ArtefactStore
from workers.marking import DigitalSourceType, read_marking
from workers.processes import read_record

ROOT = Path(__file__).resolve().parents[2]
TWEMOJI = "rightstep/emoji-64-style-twemoji"
ORDER = f"""
name = "first night"
tier = "interactive"
territories = ["WORLD"]
recipients = ["editor@studio.example"]
[defaults]
model = "rightstep/emoji-64"
[[shots]]
name = "fox"
prompt = "a flat fox"
seed = 1
[[shots]]
name = "owl"
prompt = "a flat owl on a purple background"
seed = 2
[[shots]]
name = "cat"
prompt = "a 3d cat"
seed = 3
[[shots]]
name = "drawn-fox"
prompt = "a flat fox"
seed = 1
loras = ["{TWEMOJI}"]
"""


def rightstep(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rightstep", *arguments],
        cwd=ROOT,
        env={**os.environ, "RIGHTSTEP_HOME": str(home), "RIGHTSTEP_WORKERS": "2"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def house() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rs", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def night(house: Path) -> tuple[Path, dict[str, Any]]:
    """The folder with the pictures, and what the command answered."""
    order = house / "night.toml"
    order.write_text(ORDER)
    out = house / "out"
    done = rightstep(house / "home", "render", str(order), "--out", str(out), "--ship", "--json")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return out, json.loads(done.stdout)


pytestmark = pytest.mark.slow


def test_every_shot_is_made_and_shipped(night):
    _, answer = night
    assert answer["job"]["state"] == "finished"
    assert answer["job"]["counts"]["done"] == 4
    assert len(answer["shipment"]["items"]) == 4


def test_every_picture_says_that_a_trained_model_made_it_and_which_shot_it_is(night, house):
    out, answer = night
    stacks = set()
    for name in ("fox", "owl", "cat", "drawn-fox"):
        marking = read_marking(out / f"{name}.png")
        assert marking is not None
        assert marking.source is DigitalSourceType.TRAINED
        assert re.fullmatch("[0-9a-f]{64}", marking.shot_key)
        stacks.add(marking.stack_id)
    assert len(stacks) == 2, "the style makes another stack"
    shown = rightstep(house / "home", "job", "show", answer["job"]["job_id"], "--shots", "--json")
    keys = {shot["name"]: shot["shot_key"] for shot in json.loads(shown.stdout)["shots"]}
    assert {path.stem: read_marking(path).shot_key for path in out.glob("*.png")} == keys


def test_a_statement_beside_each_picture_names_the_bytes_it_was_made_from(night, house):
    out, _ = night
    store = ArtefactStore(house / "home" / "artefacts")
    statements = [json.loads(path.read_text()) for path in store.root.glob("*/*.intoto.json")]
    pictures = {hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("*.png")}
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


def test_the_pages_stand_alone_and_show_every_shot(night):
    out, _ = night
    for page in ("contact-sheet.html", "report.html"):
        text = (out / page).read_text()
        assert all(name in text for name in ("fox", "owl", "cat", "drawn-fox")), page
        assert "data:image/" in text
        assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", text), (
            "nothing is fetched from elsewhere"
        )


def test_the_notices_credit_the_style_as_its_licence_asks(night):
    out, _ = night
    notices = (out / "NOTICES.txt").read_text()
    assert TWEMOJI in notices
    assert "twitter" in notices.lower() or "twemoji" in notices.lower()
    assert "Creative Commons Attribution 4.0 International" in notices
    assert "Apache License" in notices


def test_the_chain_of_the_audit_log_holds(night, house):
    checked = rightstep(house / "home", "audit", "verify", "--json")
    assert checked.returncode == 0, checked.stderr
    answer = json.loads(checked.stdout)
    assert answer["ok"] is True
    assert answer["rows"] >= 6, "four pins, a plan, a shipment"


def test_no_service_is_left_behind(night, house):
    home = house / "home"
    records = [*home.glob("run/private-*.json"), *home.glob("ray/private-*.json")]
    assert [read_record(path) for path in records] == []


def test_a_licence_that_forbids_the_use_is_told_by_its_clause_and_nothing_is_rendered(night, house):
    before = len(list((house / "home" / "artefacts").glob("*/*.png")))
    refused = rightstep(
        house / "home", "render", "examples/manifests/refused.toml", "--out", str(house / "refused")
    )
    assert refused.returncode == 1
    assert "2(a)(1)" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert len(list((house / "home" / "artefacts").glob("*/*.png"))) == before
    assert not (house / "refused").exists()
