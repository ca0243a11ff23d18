"""Keeping house: what has to stay stays, what goes is on record, and a kill leaves nothing for good."""

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from flows.bootstrap import House
from flows.collecting import Collection, collect
from flows.erasing import hold_job, release_hold
from flows.planning import plan_manifest
from flows.rendering import artefact_of, shots_of
from flows.retention import load_retention
from flows.submitting import submit_plan
from policy.errors import UnknownName, WrongUse
from policy.plan import ExecutionPlan
from policy.retention import Claim
from policy.tasks import TakeState
from registry.records import JobRecord
from registry.unit_of_work import unit_of_work
from tests.factories import (
    NOW,
    make_batch_result,
    make_manifest,
    make_shot,
    make_shots,
    make_take_result,
)
from tests.local_s3.server import KEY, REGION, SECRET, LocalS3

LATER = NOW + timedelta(days=40)
MakeHouse = Callable[..., House]


def order(house: House, name: str = "night", shots: int = 2, owner: str = "zoë") -> JobRecord:
    plan = plan_manifest(house, make_manifest(name=name, owner=owner, shots=make_shots(shots)))
    assert isinstance(plan, ExecutionPlan)
    return submit_plan(house, plan)


def render(house: House, job: JobRecord, *, closes: bool = True) -> list[str]:
    """Play the driver: bytes of each shot into the store, aged as if made on that day, and the job over."""
    with unit_of_work(house.engine) as work:
        while chunk := work.ledger.lease_chunk(
            job.job_id, holder="t", ttl_seconds=60, max_batches=9, now=NOW
        ):
            results = [
                make_batch_result(
                    task_id=batch.task_id,
                    takes=tuple(
                        make_take_result(
                            shot.take_id, shot.shot_key, artefact=put(house, f"picture of {shot.name}")
                        )
                        for shot in batch.shots
                        if not shot.is_settled
                    ),
                )
                for batch in chunk.batches
            ]
            work.ledger.settle(chunk, results, NOW)
        if closes:
            work.ledger.finish(job.job_id, NOW)
        work.commit()
    return sorted({shot.artefact.sha256 for shot in shots_of(house, job.job_id) if shot.artefact})


def put(house: House, text: str, days: int = 0) -> Any:
    kept = house.store.put_bytes(text.encode(), "image/png")
    moment = (NOW - timedelta(days=days)).timestamp()
    os.utime(kept.path, (moment, moment))
    return kept


def claims(found: Collection) -> dict[Claim, int]:
    return {one.claim: one.artefacts for one in found.staying}


def log_of(house: House, tag: str) -> list[dict[str, Any]]:
    with unit_of_work(house.engine, read_only=True) as work:
        events = [chained.event for chained in work.audit.events(after=0)]
    return [json.loads(event.payload) for event in events if event.tag == tag]


def test_a_dry_run_says_what_would_go_and_writes_nothing(make_house: MakeHouse):
    made = render(early := make_house(), order(early))
    house = make_house(now=LATER, keep_days=30)
    found = collect(house, dry_run=True)
    assert [one.sha256 for one in found.going] == made
    assert {one.because for one in found.going} == {"kept 30 days for zoë"}
    assert all(house.store.has(sha256) for sha256 in made)
    assert log_of(house, "store:artefacts:removed") == []
    assert found.database.bytes > 0
    again = collect(house, dry_run=True)
    assert again == found


def test_what_goes_is_on_record_and_whoever_asks_for_it_is_told(make_house: MakeHouse):
    job = order(early := make_house())
    made = render(early, job)
    house = make_house(now=LATER, keep_days=30)
    events_before = collect(house, dry_run=True).database.audit_events
    found = collect(house, dry_run=False)
    assert [one.sha256 for one in found.going] == made
    assert not any(house.store.has(sha256) for sha256 in made)
    (event,) = log_of(house, "store:artefacts:removed")
    assert event["artefacts"] == [[sha256, "kept 30 days for zoë"] for sha256 in made]
    assert found.database.audit_events == events_before + 1
    shot = shots_of(house, job.job_id)[0]
    assert shot.state is TakeState.DONE
    with pytest.raises(UnknownName, match="kept 30 days for zoë"):
        artefact_of(house, job.job_id, shot.name)
    assert collect(house, dry_run=False).going == ()
    assert len(log_of(house, "store:artefacts:removed")) == 1


def test_what_was_removed_is_not_reused_though_its_file_should_still_lie_there(make_house: MakeHouse):
    made = render(early := make_house(), order(early))
    house = make_house(now=LATER, keep_days=30)
    body = house.store.path_of(made[0]).read_bytes().decode()
    collect(house, dry_run=False)
    put(house, body)  # as a run leaves it that was ended before it got to the disk
    again = order(house, name="again")
    assert {shot.state for shot in shots_of(house, again.job_id)} == {TakeState.QUEUED}
    assert render(house, again) == made
    third = order(house, name="third")
    assert {shot.state for shot in shots_of(house, third.job_id)} == {TakeState.REUSED}


def test_a_job_that_is_not_over_keeps_what_it_reuses_of_one_whose_time_is_over(make_house: MakeHouse):
    made = render(early := make_house(), order(early))
    house = make_house(now=LATER, keep_days=30)
    order(house, name="tonight", shots=3)  # two of them are reused, and one is to be made
    found = collect(house, dry_run=False)
    assert (found.going, claims(found)) == ((), {Claim.UNFINISHED: 2})
    assert all(house.store.has(sha256) for sha256 in made)


def test_a_legal_hold_keeps_artefacts_until_it_is_released(make_house: MakeHouse):
    job = order(early := make_house())
    render(early, job)
    house = make_house(now=LATER, keep_days=30)
    held = hold_job(house, job.job_id, "a claim")
    assert claims(collect(house, dry_run=False)) == {Claim.LEGAL_HOLD: 2}
    release_hold(house, held.hold_id, "settled")
    assert len(collect(house, dry_run=False).going) == 2


def test_a_picture_that_waits_for_review_stays(make_house: MakeHouse):
    job = order(early := make_house())
    render(early, job)
    with unit_of_work(early.engine) as work:
        (first, _) = work.ledger.shots(job.job_id)
        work.ledger.hold_shots(job.job_id, (first.name,), code="black", detail="black", now=NOW)
        work.commit()
    found = collect(make_house(now=LATER, keep_days=30), dry_run=False)
    assert (len(found.going), claims(found)) == (1, {Claim.REVIEW: 1})


def test_each_owner_has_a_time_of_his_own(make_house: MakeHouse, tmp_path: Path):
    early = make_house()
    for owner in ("zoë", "legal", "studio"):
        manifest = make_manifest(name=owner, owner=owner, shots=(make_shot(owner, prompt=f"a fox, {owner}"),))
        plan = plan_manifest(early, manifest)
        assert isinstance(plan, ExecutionPlan)
        render(early, submit_plan(early, plan))
    (tmp_path / "home" / "retention.toml").write_text(
        '[legal]\ndays = "forever"\n[studio]\ndays = 90\n["zoë"]\ndays = 7\n', encoding="utf-8"
    )
    found = collect(make_house(now=LATER, keep_days=1), dry_run=False)
    assert [one.because for one in found.going] == ["kept 7 days for zoë"]
    assert claims(found) == {Claim.FOREVER: 1, Claim.YOUNG: 1}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[zoë", "not TOML"),
        ("[studio]\ndays = 0", "studio"),
        ("[studio]\ndays = true", "studio"),
        ('[studio]\ndays = "never"', "studio"),
        ("[studio]\nday = 3", "studio"),
        ("studio = 3", "studio"),
    ],
)
def test_a_file_that_cannot_be_used_removes_nothing(
    make_house: MakeHouse, tmp_path: Path, text: str, told: str
):
    house = make_house()
    (tmp_path / "home" / "retention.toml").write_text(text, encoding="utf-8")
    with pytest.raises(WrongUse, match=told):
        collect(house, dry_run=False)


def test_a_file_that_is_set_and_missing_is_wrong_use(make_house: MakeHouse, tmp_path: Path):
    with pytest.raises(WrongUse, match="cannot be read"):
        load_retention(make_house(retention=tmp_path / "nowhere.toml").settings)


def test_a_run_that_was_ended_before_the_disk_leaves_files_that_the_next_one_finds(make_house: MakeHouse):
    made = render(early := make_house(), order(early))
    house = make_house(now=LATER, keep_days=30)
    bodies = [house.store.path_of(sha256).read_bytes().decode() for sha256 in made]
    collect(house, dry_run=False)
    for body in bodies:
        put(house, body)
    found = collect(house, dry_run=False)
    assert (found.going, sorted(found.stray.leftovers)) == ((), made)
    assert len(log_of(house, "store:artefacts:removed")) == 1
    assert not any(house.store.has(sha256) for sha256 in made)


def test_stray_files_go_and_those_that_somebody_has_just_written_do_not(make_house: MakeHouse):
    house = make_house(now=LATER)
    made = render(house, order(house))
    old, young = put(house, "nobody's"), put(house, "a worker's", days=-40)
    empty = put(house, "cut off")
    Path(empty.path).write_bytes(b"")
    os.utime(empty.path, (0, 0))
    torn = house.store.root / "tmp" / "old.part"
    torn.write_bytes(b"half")
    os.utime(torn, (0, 0))
    wanted = collect(house, dry_run=True).stray
    found = collect(house, dry_run=False).stray
    assert found == wanted
    assert (found.orphans, found.empty, found.drafts) == ((old.sha256,), (empty.sha256,), 1)
    assert [one["files"] for one in log_of(house, "store:orphans:removed")] == [[old.sha256]]
    assert house.store.has(young.sha256)
    assert all(house.store.has(sha256) for sha256 in made)
    assert list((house.store.root / "tmp").iterdir()) == []


def test_bytes_that_a_worker_puts_again_outlive_the_run_that_would_remove_them(make_house: MakeHouse):
    made = render(early := make_house(), order(early))
    house = make_house(now=LATER, keep_days=30)
    file = house.store.file_of(made[0])
    assert file is not None
    house.store.put_bytes(
        file.path.read_bytes(), "image/png"
    )  # its time is that of the real clock: after LATER
    assert claims(collect(house, dry_run=False))[Claim.TOUCHED] == 1
    assert not house.store.retire(file, LATER), "though it was seen before it was put again"
    assert house.store.has(made[0])


def test_a_run_of_many_pages_is_a_run_of_one(make_house: MakeHouse):
    made = render(early := make_house(), order(early, shots=7))
    house = make_house(now=LATER, keep_days=30)
    assert [one.sha256 for one in collect(house, dry_run=False, page=2).going] == made
    assert [len(one["artefacts"]) for one in log_of(house, "store:artefacts:removed")] == [2, 2, 2, 1]


def test_in_an_object_store_the_same_goes_and_for_every_machine(
    make_house: MakeHouse, s3: LocalS3, tmp_path: Path
):
    behind = {
        "store": "s3://house/night",
        "store_endpoint": s3.endpoint,
        "store_region": REGION,
        "store_key": SecretStr(KEY),
        "store_secret": SecretStr(SECRET),
    }
    made = render(early := make_house(**behind), order(early))
    early.store.put_bytes(b"of a worker that was killed", "image/png")
    s3.put_at |= dict.fromkeys(s3.objects, NOW.timestamp())
    house = make_house(now=LATER, keep_days=30, **behind)
    assert len(s3.objects) == 3
    dry = collect(house, dry_run=True)
    assert (sorted(one.sha256 for one in dry.going), len(dry.stray.orphans)) == (made, 1)
    assert len(s3.objects) == 3
    found = collect(house, dry_run=False)
    assert (found.going, found.stray) == (dry.going, dry.stray)
    assert s3.objects == {}
    assert list(house.settings.artefacts.glob("??/*")) == []
