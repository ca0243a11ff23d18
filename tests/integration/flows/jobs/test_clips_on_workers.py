"""Clips of the built-in models over real workers: from the order that ships as an example to the audit log."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.auditing import audit_check
from flows.bootstrap import House
from flows.recalling import affected
from flows.rendering import render_job, shots_of
from flows.shipment import ship_job
from policy.clips import VideoKind
from policy.tasks import FaultKind
from registry.evidence.credentials import read_credentials
from registry.records import JobState
from registry.sources import builtin_source
from registry.unit_of_work import unit_of_work
from tests.integration.flows.jobs.night import (
    BASE,
    ROOT,
    assert_each_shot_done_once,
    plan_order,
    render_with_a_kill,
    submit,
    takes_of,
)
from workers.clip_checks import clip_motion
from workers.clip_files import decoded_frames

MakeHouse = Callable[..., House]
EXAMPLE = ROOT / "examples" / "manifests" / "bouncing.toml"
MOTION = "rightstep/emoji-64-motion"
FRAMES = 8
RATES = (6, 8, 10, 12)


@pytest.mark.slow
def test_the_clips_of_the_example_are_made_by_workers_looked_at_shipped_and_audited(make_house: MakeHouse):
    house = make_house(renderer="diffusers", workers=1)
    job = submit(house, EXAMPLE)

    ended = render_job(house, job.job_id)

    assert ended.state is JobState.FINISHED, [shot.detail for shot in shots_of(house, job.job_id)]
    assert_each_shot_done_once(house, job.job_id)
    shots = {shot.name: shot for shot in shots_of(house, job.job_id)}
    for name, each in (("sun", 1000 / 16), ("panda", 1000 / 8)):
        made = shots[name].artefact
        assert made is not None
        assert made.figures is not None
        frames, times = decoded_frames(house.store.path_of(made.sha256).read_bytes())
        assert frames.shape == (FRAMES, 64, 64, 3)
        assert sum(times) == FRAMES * each
        assert made.figures.motion == pytest.approx(clip_motion(frames))
    with unit_of_work(house.engine, read_only=True) as work:
        assert work.ledger.holds(job.job_id) == (), "they move, and do not flicker"
        attested = work.ledger.attestations(job.job_id)
    weights = {f"{MOTION}/{file.path}": file.sha256 for file in builtin_source().listing(MOTION).files}
    assert attested
    for one in attested:
        assert weights.items() <= dict(one.loaded).items(), "the worker hashed the motion adapter itself"

    shipment = ship_job(house, job.job_id, ("editor@studio.example",), videos=(VideoKind.MP4,))

    files = house.settings.shipments / shipment.shipment_id / "files"
    assert sorted(path.name for path in files.iterdir()) == ["panda.mp4", "panda.webp", "sun.mp4", "sun.webp"]
    for item in shipment.items:
        body = (files / f"{item.shot}.{item.media_type.rpartition('/')[2]}").read_bytes()
        assert hashlib.sha256(body).hexdigest() == item.shipped_sha256
        found = read_credentials(
            body, item.media_type, (house.settings.keys / "credentials-root.pem").read_bytes()
        )
        assert found is not None
        assert found.state == "Trusted"
        assert MOTION in {model["repo"] for model in found.made_with["models"]}
    assert len(affected(house, MOTION).files) == 4
    assert audit_check(house).ok


@pytest.mark.slow
def test_a_worker_killed_among_clips_costs_none_and_makes_none_otherwise(
    make_house: MakeHouse, tmp_path: Path
):
    """What is made after the kill equals what an undisturbed house makes, to the last byte."""
    order = tmp_path / "suns.json"
    sun = {"model": BASE, "prompt": "a sun on a blue background", "frames": FRAMES}
    suns = [{"name": f"sun-{fps}", "fps": fps, **sun} for fps in RATES]
    order.write_text(json.dumps({"tier": "interactive", "territories": ["WORLD"], "shots": suns}))
    house = make_house(renderer="diffusers", workers=1)
    assert len(plan_order(house, order).batches) == len(RATES), "clips of several rates share no batch"
    job = submit(house, order)

    ended = render_with_a_kill(house, job.job_id)

    assert ended.state is JobState.FINISHED
    assert_each_shot_done_once(house, job.job_id)
    failed = [take for take in takes_of(house, job.job_id) if take.fault is not None]
    assert {take.fault for take in failed} == {FaultKind.WORKER}
    calm = make_house(renderer="diffusers", workers=1)
    again = render_job(calm, submit(calm, order).job_id)
    made = [
        [shot.artefact.sha256 for shot in shots_of(one, done.job_id) if shot.artefact is not None]
        for one, done in ((house, ended), (calm, again))
    ]
    assert made[0] == made[1]
    assert len(set(made[0])) == len(RATES)
