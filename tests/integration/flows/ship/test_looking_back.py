"""From what changed since back to what left the house, as the officer asks it."""

import csv
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from flows.audit_reports import make_audit_report, markdown_of, write_report_page, write_report_table
from flows.bootstrap import House
from flows.concluding import conclude_licence
from flows.identities import create_identity
from flows.manifest_files import load_manifest
from flows.pinning import pin_model
from flows.planning import plan_manifest
from flows.recalling import affected, affected_csv, reevaluate, revoke_model
from flows.shipment import ship_job
from policy.errors import Refused, UnknownName
from policy.identities import IdentityRole
from policy.plan import PlanRefusal
from policy.verdicts import Ruling
from registry.records import JobRecord
from registry.sources import builtin_source
from registry.unit_of_work import unit_of_work
from tests.integration.flows.jobs.night import write_order
from tests.integration.flows.near import render_near
from tests.integration.flows.ship.conftest import STYLE, MakeHouse, finished_job

FORBIDDEN = "cc-by-nc-4.0"


def conclude(house: House, licences: tuple[str, ...], until: date | None = None) -> None:
    """What a person found out about the style since."""
    create_identity(house, "officer", IdentityRole.APPROVER)
    mail = house.settings.home / "mail.txt"
    mail.write_text("It is not for sale.")
    conclude_licence(
        house,
        STYLE,
        licences=licences,
        approver="officer",
        reason="The author wrote to us.",
        evidence=[mail],
        valid_until=until,
    )


def test_what_is_shipped_is_judged_alike_by_the_terms_of_its_day_and_of_today(house: House, job: JobRecord):
    again = reevaluate(house, ship_job(house, job.job_id).shipment_id)
    assert (again.recorded.ruling, again.that_day.ruling, again.today.ruling) == (Ruling.PERMIT,) * 3
    assert (again.changed_terms, again.worse, again.gone) == ((), (), ())


def test_a_licence_that_turns_out_otherwise_changes_today_and_not_that_day(house: House, job: JobRecord):
    shipment = ship_job(house, job.job_id)
    conclude(house, (FORBIDDEN,))
    again = reevaluate(house, shipment.shipment_id)
    assert (again.that_day.ruling, again.today.ruling) == (Ruling.PERMIT, Ruling.DENY)
    assert "noncommercial_licence" in {reason.code for reason in again.worse}
    assert again.recorded == shipment.verdict


def test_a_conclusion_that_has_ended_by_a_day_does_not_count_on_it(house: House, job: JobRecord):
    shipment = ship_job(house, job.job_id)
    conclude(house, (FORBIDDEN,), until=date(2099, 12, 31))
    assert reevaluate(house, shipment.shipment_id).today.ruling is Ruling.DENY
    assert reevaluate(house, shipment.shipment_id, date(2100, 1, 1)).today.ruling is Ruling.PERMIT


def test_terms_that_were_read_anew_are_named_and_the_past_keeps_its_own(house: House, job: JobRecord):
    """A house whose catalogue says something else of the same licence today."""
    shipment = ship_job(house, job.job_id)
    files = dict(house.catalogue.term_files)
    files["cc-by-4.0"] += b"\n# read again\n"
    later = replace(house, catalogue=replace(house.catalogue, term_files=files))
    again = reevaluate(later, shipment.shipment_id)
    assert again.changed_terms == ("cc-by-4.0",)
    assert again.that_day == reevaluate(house, shipment.shipment_id).that_day


def test_a_revoked_model_is_listed_with_everything_it_is_in_and_is_planned_with_no_more(
    house: House, job: JobRecord, tmp_path: Path
):
    shipment = ship_job(house, job.job_id)
    answer = revoke_model(house, STYLE, "The author withdrew it.")
    assert answer.affected.shipments == (shipment.shipment_id,)
    assert answer.affected.items == 3
    assert answer.affected.recipients == ("editor@studio.example",)
    order = write_order(tmp_path, 1, name="again", tier="interactive", shots={"loras": [STYLE]})
    outcome = plan_manifest(house, load_manifest(order, now=house.clock()))
    assert isinstance(outcome, PlanRefusal)
    assert "The author withdrew it." in " ".join(reason.detail for reason in outcome.reasons)
    again = reevaluate(house, shipment.shipment_id)
    assert again.today.ruling is Ruling.DENY
    assert "model_revoked" in {reason.code for reason in again.worse}


def test_one_revoked_commit_leaves_the_others(house: House):
    with pytest.raises(UnknownName, match="is not pinned"):
        revoke_model(house, f"{STYLE}@{'0' * 40}", "typo")
    with unit_of_work(house.engine, read_only=True) as work:
        revision = work.models.pin_of(STYLE).pin.revision
        assert work.revocations.all() == ()
    made = revoke_model(house, f"{STYLE}@{revision}", "this one alone").revocation
    assert made.covers(STYLE, revision)
    assert not made.covers(STYLE, "1" * 40)


def test_revoking_twice_is_one_revocation(house: House):
    first = revoke_model(house, STYLE, "first").revocation
    assert revoke_model(house, STYLE, "second").revocation == first


# Reports


def test_the_report_says_what_would_not_ship_today_and_by_which_clause(
    house: House, job: JobRecord, tmp_path: Path
):
    shipment = ship_job(house, job.job_id)
    assert make_audit_report(house, verify=True).findings == ()
    conclude(house, (FORBIDDEN,))
    report = make_audit_report(house)
    (line,) = report.shipments
    assert (line.shipment_id, line.items, line.today) == (shipment.shipment_id, 3, "deny")
    assert len(report.findings) == 1
    assert report.findings[0].startswith(f"{shipment.shipment_id} would not ship today: {STYLE}")
    page = write_report_page(house, report, tmp_path / "audit.html").read_text()
    assert shipment.shipment_id in page
    assert "<script" not in page
    assert "1 finding" in page
    assert f"- {report.findings[0]}" in markdown_of(report, "audit.html")


def test_a_shipment_whose_folder_is_gone_is_a_finding(house: House, job: JobRecord):
    shipment = ship_job(house, job.job_id)
    folder = house.settings.shipments / shipment.shipment_id
    folder.rename(folder.with_name(".away"))
    assert make_audit_report(house).findings == (
        f"The files of 1 shipment are not in this house: {shipment.shipment_id}.",
    )


def test_a_paper_that_was_changed_or_lost_is_a_finding(house: House, job: JobRecord):
    shipment = ship_job(house, job.job_id)
    folder = house.settings.shipments / shipment.shipment_id
    with (folder / "NOTICES.txt").open("a") as notices:
        notices.write("and nobody else\n")
    (folder / "bom.cdx.json").unlink()
    assert make_audit_report(house, verify=True).findings == (
        f"NOTICES.txt of {shipment.shipment_id} was changed since it was shipped.",
        f"bom.cdx.json of {shipment.shipment_id} is missing.",
    )


def test_no_cell_of_a_table_is_a_formula(house: House, tmp_path: Path):
    order = write_order(
        tmp_path, 1, tier="interactive", recipients=["=HYPERLINK(1)", "@SUM(A1)"], shots={"loras": [STYLE]}
    )
    shipment = ship_job(house, render_near(house, order).job_id)
    out = write_report_table(make_audit_report(house), tmp_path / "audit.csv")
    (row,) = csv.DictReader(out.open(newline=""))
    assert row["shipment"] == shipment.shipment_id
    assert row["recipients"] == "'=HYPERLINK(1); @SUM(A1)"
    assert affected_csv(house, STYLE, tmp_path / "affected.csv") == 2
    cells = [row["recipient"] for row in csv.DictReader((tmp_path / "affected.csv").open(newline=""))]
    assert cells == ["'=HYPERLINK(1)", "'@SUM(A1)"]


def test_every_affected_file_is_listed_with_both_digests(house: House, tmp_path: Path):
    shipments = [ship_job(house, finished_job(house, tmp_path, name=f"night-{n}").job_id) for n in range(2)]
    found = affected(house, STYLE, 4)
    assert (found.items, len(found.files), found.is_cut) == (6, 4, True)
    assert set(found.shipments) == {one.shipment_id for one in shipments}
    assert {(one.artefact_sha256, one.shipped_sha256) for one in affected(house, STYLE).files} == {
        (item.artefact_sha256, item.shipped_sha256) for one in shipments for item in one.items
    }


def test_a_house_without_shipments_has_a_report_too(house: House, tmp_path: Path):
    report = make_audit_report(house)
    assert (report.shipments, report.findings) == ((), ())
    assert "Nothing was shipped." in write_report_page(house, report, tmp_path / "empty.html").read_text()


def test_a_licence_that_changed_upstream_is_told_by_its_clause_and_the_old_pin_ships_no_more(
    make_house: MakeHouse, tmp_path: Path
):
    hub = builtin_source().root / "rightstep"
    style = tmp_path / "models/studio/ember-style"
    shutil.copytree(hub / "emoji-64-style-twemoji", style)
    house = make_house(model_folders=tmp_path / "models")
    pin_model(house, "studio/ember-style")
    order = write_order(tmp_path, 1, tier="interactive", shots={"loras": ["studio/ember-style"]})
    job = render_near(house, order)
    shipment = ship_job(house, job.job_id)

    shutil.copy(hub / "emoji-64-style-shapes/LICENSE", style / "LICENSE")
    card = (style / "README.md").read_text()
    (style / "README.md").write_text(card.replace("cc-by-4.0", "cc-by-nc-4.0"))
    pin_model(house, "studio/ember-style")

    again = reevaluate(house, shipment.shipment_id)
    assert (again.that_day.ruling, again.today.ruling) == (Ruling.PERMIT, Ruling.DENY)
    assert {reason.code for reason in again.worse} >= {"unpinned_revision", "noncommercial_licence"}
    assert any(reason.clause.startswith("2(a)(1)") for reason in again.worse)
    with pytest.raises(Refused, match="is not what is pinned today"):
        ship_job(house, job.job_id)
