"""A shipment is all of it or nothing, and everything that leaves can be checked by whoever gets it."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.auditing import audit_check
from flows.bootstrap import House, open_house
from flows.exporting import export_job
from flows.recalling import affected
from flows.shipment import Stage, ship_job
from flows.staging import STAGING
from policy.errors import Refused, UnknownName, WrongUse
from registry.evidence.bom import validate_bom
from registry.evidence.credentials import read_credentials
from registry.evidence.dsse import unseal
from registry.evidence.intoto import PAYLOAD_TYPE
from registry.records import JobRecord
from registry.shipment_records import ShipmentRecord
from registry.unit_of_work import unit_of_work
from tests.integration.flows.ship.conftest import STYLE, MakeHouse, contents, finished_job

BASE = "rightstep/emoji-64"
PAPERS = {"NOTICES.txt", "bom.cdx.json", "manifest.json", "statement.dsse.json"}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def shipments(house: House) -> tuple[ShipmentRecord, ...]:
    with unit_of_work(house.engine, read_only=True) as work:
        return work.shipments.latest()


def tags(house: House) -> list[str]:
    with unit_of_work(house.engine, read_only=True) as work:
        return [event.event.tag for event in work.audit.events()]


def test_a_shipment_stands_in_a_folder_of_its_own_with_every_file_and_paper(house: House, job: JobRecord):
    shipment = ship_job(house, job.job_id)
    folder = house.settings.shipments / shipment.shipment_id
    files = {f"files/{item.shot}.png" for item in shipment.items}
    assert set(contents(house.settings.shipments)) == {
        f"{shipment.shipment_id}/{name}" for name in files | PAPERS
    }
    for item in shipment.items:
        assert sha256(folder / f"files/{item.shot}.png") == item.shipped_sha256
        assert item.shipped_sha256 != item.artefact_sha256, "signing changes bytes"
        assert sha256(house.store.path_of(item.artefact_sha256)) == item.artefact_sha256, "the store's do not"
    assert {(paper.name, paper.sha256, paper.size) for paper in shipment.papers} == {
        (name, sha256(folder / name), (folder / name).stat().st_size) for name in PAPERS
    }
    assert audit_check(house).ok


def test_the_statement_is_signed_by_the_house_and_names_bytes_texts_use_and_verdict(
    house: House, job: JobRecord
):
    shipment = ship_job(house, job.job_id)
    folder = house.settings.shipments / shipment.shipment_id
    public = bytes.fromhex((house.settings.keys / "house.pub").read_text())
    statement = json.loads(unseal((folder / "statement.dsse.json").read_bytes(), PAYLOAD_TYPE, public))
    assert {one["name"]: one["digest"]["sha256"] for one in statement["subject"]} == {
        f"files/{item.shot}.png": item.shipped_sha256 for item in shipment.items
    }
    said = statement["predicate"]
    assert {one["name"] for one in said["papers"]} == PAPERS - {"statement.dsse.json"}
    for paper in said["papers"]:
        assert paper["digest"]["sha256"] == sha256(folder / paper["name"])
    with unit_of_work(house.engine, read_only=True) as work:
        pinned = {file.sha256 for repo in (BASE, STYLE) for file in work.models.pin_of(repo).pin.files}
    assert pinned <= {one["digest"]["sha256"] for one in said["materials"]}
    assert {one["licence"] for one in said["licence_texts"]} >= {"apache-2.0", "cc-by-4.0"}
    assert (said["use"]["act"], said["verdict"]["ruling"]) == ("ship_output_commercial", "permit")
    assert "a flat fox" not in json.dumps(statement)
    assert "editor@studio.example" not in json.dumps(statement)


def test_the_bill_of_materials_fits_its_schema_and_names_every_model_file(house: House, job: JobRecord):
    shipment = ship_job(house, job.job_id)
    document = (house.settings.shipments / shipment.shipment_id / "bom.cdx.json").read_bytes()
    validate_bom(document)
    bom = json.loads(document)
    models = {one["name"]: one for one in bom["components"] if one["bom-ref"].startswith("model:")}
    assert {"emoji-64", "emoji-64-style-twemoji"} <= set(models)
    style = models["emoji-64-style-twemoji"]
    assert [one["license"]["id"] for one in style["licenses"]][-1] == "CC-BY-4.0"
    assert style["modelCard"]["modelParameters"]["task"] == "text-to-image"
    with unit_of_work(house.engine, read_only=True) as work:
        pin = work.models.pin_of(STYLE).pin
    assert {one["name"]: one["hashes"][0]["content"] for one in style["components"]} == {
        file.path: file.sha256 for file in pin.files
    }


def test_a_shipped_picture_carries_credentials_that_name_models_and_shot_and_not_the_prompt(
    house: House, job: JobRecord
):
    shipment = ship_job(house, job.job_id)
    item = shipment.items[0]
    body = (house.settings.shipments / shipment.shipment_id / f"files/{item.shot}.png").read_bytes()
    found = read_credentials(body, "image/png", (house.settings.keys / "credentials-root.pem").read_bytes())
    assert found is not None
    assert (found.state, found.problems) == ("Trusted", ())
    assert found.made_with["shot_key"] == item.shot_key
    assert found.made_with["artefact_sha256"] == item.artefact_sha256
    assert {one["repo"] for one in found.made_with["models"]} >= {BASE, STYLE}
    assert b"a flat fox" not in body


def test_the_notices_credit_what_asks_for_credit_and_say_what_was_changed(house: House, job: JobRecord):
    shipment = ship_job(house, job.job_id)
    notices = (house.settings.shipments / shipment.shipment_id / "NOTICES.txt").read_text()
    assert "copyright Twitter, Inc and other contributors" in notices
    assert f"merged into {BASE} in memory at scale 1" in notices.replace("\n", " ")
    met = {one.obligation.id: one.discharged_by for one in shipment.obligations}
    assert met["attribution"] == f"notices:{shipment.notices_sha256}"


def test_recall_finds_a_shipped_file_by_either_digest_and_by_the_clause_it_went_out_under(
    house: House, job: JobRecord
):
    item = ship_job(house, job.job_id).items[1]
    for needle in (item.artefact_sha256, item.shipped_sha256):
        assert [one.shot for one in affected(house, needle).files] == [item.shot]
    found = affected(house, "cc-by-4.0#3(a)(1)")
    assert (found.matched, found.items, found.recipients) == (("clause",), 3, ("editor@studio.example",))


def test_what_is_written_for_people_still_has_the_notices(house: House, job: JobRecord, tmp_path: Path):
    shipment = ship_job(house, job.job_id)
    exported = export_job(house, job.job_id, tmp_path / "out")
    assert exported.notices is not None
    assert sha256(exported.notices) == shipment.notices_sha256


# Refusals leave everything as it was


def refuse(house: House, job: JobRecord, match: str, **options: object) -> Refused:
    before = shipments(house)
    with pytest.raises(Refused, match=match) as refused:
        ship_job(house, job.job_id, **options)
    assert shipments(house) == before
    assert contents(house.settings.shipments) == []
    assert tags(house)[-1] == "shipment:gate:refused"
    return refused.value


def test_a_changed_picture_is_refused_and_nothing_is_left_behind(house: House, job: JobRecord):
    with unit_of_work(house.engine, read_only=True) as work:
        sha = work.ledger.shots(job.job_id)[1].artefact.sha256
    path = house.store.path_of(sha)
    body = bytearray(path.read_bytes())
    body[-30] ^= 1
    path.write_bytes(body)
    refuse(house, job, "changed since the render")
    path.unlink()
    refuse(house, job, "missing from the artefact store")


def test_a_revoked_model_ships_no_more(house: House, job: JobRecord):
    with unit_of_work(house.engine) as work:
        work.revocations.revoke(STYLE, "", reason="rights withdrawn", actor="officer", now=house.clock())
        work.commit()
    refused = refuse(house, job, "rights withdrawn")
    assert refused.verdict is not None
    assert "model_revoked" in {reason.code for reason in refused.verdict.against()}


def test_evidence_for_a_duty_that_nobody_owes_is_an_unknown_name(house: House, job: JobRecord):
    with pytest.raises(UnknownName, match="Owed are: attribution"):
        ship_job(house, job.job_id, discharges=("display_nothing=shown",))
    assert shipments(house) == ()


def test_credentials_that_are_required_of_a_chain_that_cannot_sign_are_wrong_use(
    make_house: MakeHouse, tmp_path: Path
):
    house = make_house(credentials="required", credentials_chain=tmp_path / "chain.pem")
    job = finished_job(house, tmp_path)
    with pytest.raises(WrongUse, match="set together"):
        ship_job(house, job.job_id)
    assert shipments(house) == ()


def test_credentials_that_are_off_leave_the_bytes_as_they_were_made_and_say_so(
    make_house: MakeHouse, tmp_path: Path
):
    house, told = make_house(credentials="off"), list[str]()
    job = finished_job(house, tmp_path)
    shipment = ship_job(house, job.job_id, tell=told.append)
    assert [item.shipped_sha256 for item in shipment.items] == [
        item.artefact_sha256 for item in shipment.items
    ]
    assert told == ["Content credentials are switched off (RIGHTSTEP_CREDENTIALS)."]


# Killed on the way

KILLED_AT = """
import os, signal, sys
from flows.bootstrap import open_house
from flows.settings import load_settings
from flows.shipment import Stage, ship_job

def die(stage):
    if stage is Stage(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

ship_job(open_house(load_settings()), sys.argv[1], on_stage=die)
"""


@pytest.mark.parametrize("stage", list(Stage))
def test_whoever_is_killed_while_shipping_has_shipped_all_of_it_or_nothing(
    house: House, job: JobRecord, stage: Stage
):
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT, job.job_id, stage.value],
        cwd=Path(__file__).parents[4],
        env=os.environ | house.settings.for_children,
        check=False,
        timeout=240,
    )
    assert done.returncode == -signal.SIGKILL
    is_shipped = stage in {Stage.COMMITTED, Stage.PROMOTED}
    left = contents(house.settings.shipments / STAGING)
    assert bool(left) == (stage is not Stage.PROMOTED), "what was under way when it died"

    again = open_house(house.settings)  # the next start
    again.engine.dispose()

    assert contents(house.settings.shipments / STAGING) == []
    found = shipments(house)
    assert len(found) == is_shipped
    assert tags(house).count("shipment:job:shipped") == is_shipped
    folders = [path for path in house.settings.shipments.iterdir() if not path.name.startswith(".")]
    assert [path.name for path in folders] == [one.shipment_id for one in found]
    for one in found:
        assert {f"files/{item.shot}.png" for item in one.items} | PAPERS == set(contents(folders[0]))
    assert audit_check(house).ok


def test_a_start_beside_somebody_who_ships_leaves_the_staging_alone(house: House, job: JobRecord):
    seen: list[list[str]] = []

    def start(stage: Stage) -> None:
        if stage is not Stage.PROMOTED:
            open_house(house.settings).engine.dispose()
            seen.append(contents(house.settings.shipments / STAGING))

    assert len(ship_job(house, job.job_id, on_stage=start).items) == 3
    assert len(seen) == 4
    assert all(seen)


def test_the_envelope_of_a_shipment_that_was_edited_does_not_open(house: House, job: JobRecord):
    shipment = ship_job(house, job.job_id)
    envelope = json.loads(
        (house.settings.shipments / shipment.shipment_id / "statement.dsse.json").read_text()
    )
    payload = base64.b64decode(envelope["payload"]).replace(b"permit", b"deny..", 1)
    envelope["payload"] = base64.b64encode(payload).decode()
    public = bytes.fromhex((house.settings.keys / "house.pub").read_text())
    with pytest.raises(Exception, match="is not signed by the key"):
        unseal(json.dumps(envelope).encode(), PAYLOAD_TYPE, public)
