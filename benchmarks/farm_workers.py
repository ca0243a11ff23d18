"""Workers of a farm that is measured without its devices: they answer as real ones do, and draw nothing."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from policy.tasks import ArtefactRef, BatchResult, PictureFigures, RenderTask, ShotTask, TakeResult
from registry.records import LeasedChunk
from workers.pool import WorkerRecord
from workers.renderer import RendererKind, runtime_versions
from workers.routing import Forecast

PICTURE_BYTES = 2_000_000  # stated: a PNG of 1024 x 1024
VERSIONS = runtime_versions(RendererKind.SYNTHETIC)


@dataclass(kw_only=True)
class NearPool:
    """One worker in the driver's own process: every answer has the columns that a real one fills.

    What is measured is the driver and its ledger. A picture takes ``seconds``, slept through.
    """

    worker: str = "near:1"
    seconds: float = 0.0
    is_cancelled: bool = False
    is_drained: bool = False
    busy: threading.Lock = field(default_factory=threading.Lock)

    def run_chunk(self, tasks: Sequence[RenderTask], forecast: Forecast | None = None) -> list[BatchResult]:
        """A result for every task; chunks of two threads wait for each other, as on one device."""
        del forecast  # of several devices; here is one
        with self.busy:
            if self.seconds > 0:
                time.sleep(self.seconds * sum(len(task.shots) - len(task.reuse) for task in tasks))
            return [self._result(task) for task in tasks]

    def cancel(self) -> None:
        self.is_cancelled = True

    def set_aside(self) -> None:
        """Nothing is kept: a batch is over before anybody could ask."""

    def drain(self, worker: str) -> bool:
        del worker
        self.is_drained = True
        return True

    def workers(self) -> tuple[WorkerRecord, ...]:
        return (
            WorkerRecord(
                number=0, name=self.worker, device="near", pid=None, stack_id="",
                in_flight=1, batches=0, deaths=0, blocked=(),
            ),
        )  # fmt: skip

    def _result(self, task: RenderTask) -> BatchResult:
        shots = [shot for shot in task.shots if shot.take_id not in task.reuse]
        return BatchResult(
            task_id=task.task_id,
            takes=tuple(_take(shot, self.seconds) for shot in shots),
            worker=self.worker,
            device="near",
            stack_id=task.load.stack.stack_id,
            loaded=(("rightstep/emoji-64/unet/diffusion_pytorch_model.safetensors", "0" * 64),),
            timesteps=(999.0,),
            rows=2 * len(shots),
            steps=task.steps,
            load_seconds=0.0,
            denoise_seconds=max(1e-6, self.seconds * len(shots)),
            total_seconds=max(1e-6, self.seconds * len(shots)),
            versions=VERSIONS,
        )


def _take(shot: ShotTask, seconds: float) -> TakeResult:
    """As a worker answers, with figures that no check finds odd; the digests are made up."""
    key = shot.shot_key
    return TakeResult(
        take_id=shot.take_id,
        shot_key=key,
        artefact=ArtefactRef(
            sha256=key[::-1], size=PICTURE_BYTES, media_type="image/png", path=f"/nowhere/{key}"
        ),
        provenance=ArtefactRef(
            sha256=key[1:] + key[:1], size=1500, media_type="application/json", path=f"/nowhere/{key}"
        ),
        figures=PictureFigures(saturation=0.52, clipping=0.011, contrast=0.29, luminance=0.61),
        fault=None,
        detail="",
        seconds=seconds,
    )


def shots_in(chunk: LeasedChunk) -> int:
    """Pictures of a chunk."""
    return sum(len(batch.shots) for batch in chunk.batches)
