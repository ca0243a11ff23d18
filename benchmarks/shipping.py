"""What does shipping cost beyond the work that its bytes need anyway?"""

import hashlib
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.measurement import Measurement, alternate, at_most, median, plain
from benchmarks.night import night_manifest, plan_of, temporary_house
from flows.bootstrap import House
from flows.goods_files import house_signer
from flows.judging import judge_job
from flows.shipment import ship_job
from flows.submitting import submit_plan
from flows.workshop import Workshop
from policy.tasks import BatchResult, RenderTask, ShotTask, TakeResult
from registry.evidence.credentials import MadeWith
from registry.records import ShotRecord
from registry.unit_of_work import unit_of_work
from workers.artefacts import PNG, ArtefactStore
from workers.marking import DigitalSourceType, Marking, marked_png

SHOTS, ROUNDS, SIDE = 48, 5, 1024


class PrintingPool:
    """A pool without processes that keeps pictures of the size that a large model makes: noise, marked."""

    is_cancelled = False

    def __init__(self, store: ArtefactStore) -> None:
        self.store = store
        self.pixels = np.random.default_rng(1).integers(0, 255, (SIDE, SIDE, 3), np.uint8)

    def run_chunk(self, tasks: list[RenderTask], forecast: object = None) -> list[BatchResult]:
        del forecast  # of several devices; here is none
        return [self._batch(task) for task in tasks]

    def _batch(self, task: RenderTask) -> BatchResult:
        stack = task.load.stack
        return BatchResult(
            task_id=task.task_id,
            takes=tuple(self._take(shot, stack.stack_id) for shot in task.shots),
            worker="here:1",
            device="synthetic-1",
            stack_id=stack.stack_id,
            loaded=tuple(
                (f"{pin.repo}/{file.path}", file.sha256) for pin in stack.pins for file in pin.files
            ),
            timesteps=(),
            rows=len(task.shots),
            steps=task.steps,
            load_seconds=0.0,
            denoise_seconds=0.0,
            total_seconds=0.0,
            versions=(),
        )

    def _take(self, shot: ShotTask, stack_id: str) -> TakeResult:
        marking = Marking(shot_key=shot.shot_key, stack_id=stack_id, source=DigitalSourceType.ALGORITHMIC)
        return TakeResult(
            take_id=shot.take_id,
            shot_key=shot.shot_key,
            artefact=self.store.put_bytes(marked_png(self.pixels, marking), PNG),
            provenance=None,
            figures=None,
            fault=None,
            detail="",
            seconds=0.0,
        )


def measure() -> Measurement:
    """Ship one finished job again and again, beside doing to its bytes alone what shipping does to them."""
    with temporary_house(workers=1, renderer="synthetic") as house:
        job_id, shots = _finished(house)
        sides = {
            "bytes alone": lambda: _bare(house, shots),
            "ship": lambda: _timed_ship(house, job_id),
        }
        for side in sides.values():
            side()  # keys, schema and imports are there from here on
        values = alternate(sides, ROUNDS)
        megabytes = sum(shot.artefact.size for shot in shots if shot.artefact) / 1e6
    bare, shipped = median(values["bytes alone"]), median(values["ship"])
    return Measurement(
        question="What does shipping cost beyond the work that its bytes need anyway?",
        figures=(
            at_most("", "gate, papers, database and staging / work on the bytes", shipped / bare - 1, 0.15),
            plain("shipping", shipped, "s"),
            plain("work on the bytes alone", bare, "s"),
            plain("bytes in the shipment", megabytes, "MB"),
        ),
        conditions=(
            f"{SHOTS} pictures of {SIDE} x {SIDE} with content credentials, SQLite; both sides read, hash, "
            f"sign, write, flush and hash each file; median of {ROUNDS} rounds in turn."
        ),
        rounds=values,
    )


def _finished(house: House) -> tuple[str, tuple[ShotRecord, ...]]:
    plan = plan_of(house, night_manifest(SHOTS), steps=1, method="emoji-64-full")
    job = submit_plan(house, plan)
    workshop = Workshop(house, job.job_id, PrintingPool(house.store))  # type: ignore[arg-type]  # the one method used
    while (chunk := workshop.lease()) is not None:
        workshop.render(chunk.lease)
    judge_job(house, job.job_id)
    with unit_of_work(house.engine, read_only=True) as work:
        shots = work.ledger.shots(job.job_id)
    assert all(shot.artefact is not None for shot in shots)
    return job.job_id, shots


def _timed_ship(house: House, job_id: str) -> float:
    start = time.perf_counter()
    assert len(ship_job(house, job_id).items) == SHOTS
    return time.perf_counter() - start


def _bare(house: House, shots: tuple[ShotRecord, ...]) -> float:
    signer = house_signer(house)
    assert signer is not None, "the extra c2pa is missing"
    with TemporaryDirectory(dir=house.settings.home) as folder:
        start = time.perf_counter()
        for shot in shots:
            assert shot.artefact is not None
            body = house.store.path_of(shot.artefact.sha256).read_bytes()
            made = MadeWith(
                title=f"{shot.name}.png",
                shot_key=shot.shot_key,
                stack_id=shot.artefact.stack_id,
                artefact_sha256=hashlib.sha256(body).hexdigest(),
                models=(),
            )
            signed = signer.sign(body, PNG, made)
            with (Path(folder) / f"{shot.name}.png").open("wb") as stream:
                stream.write(signed)
                stream.flush()
                os.fsync(stream.fileno())
            hashlib.sha256(signed).hexdigest()
        return time.perf_counter() - start
