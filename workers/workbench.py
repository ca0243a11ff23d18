"""One worker's bench, without Ray: a resident stack, batches in, stored and marked pictures out."""

import os
import platform
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from policy.errors import FormatFault
from policy.tasks import BatchResult, FaultKind, RenderTask, StackLoad
from policy.wording import plural
from workers.artefacts import ArtefactStore
from workers.finishing import Batch, classified, finish
from workers.model_cache import Held, ModelCache
from workers.renderer import (
    OnStep,
    RenderCancelled,
    Rendered,
    Renderer,
    RenderOptions,
    RenderSetAside,
    Step,
    make_renderer,
    runtime_versions,
)
from workers.shared_artefacts import open_artefacts
from workers.snapshot_files import SnapshotFolder, SnapshotPlace
from workers.store_addresses import ModelCacheOptions, StoreAddress
from workers.verified_stacks import Digests, Verify, brought, resident_key

FINISHERS = 4  # a flush to disk costs milliseconds and no CPU; several at once share one journal commit


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchOptions:
    """What a worker needs to set up its bench; travels to the worker by pickle."""

    store: Path  # folder of the artefact store
    verify: Verify  # asked before a single byte of a stack is loaded
    digests: Digests  # what the loaded files hash to on this worker
    render: RenderOptions = field(default_factory=RenderOptions)
    snapshots: Path | None = None  # where batches that made room wait to go on; None: they begin again
    remote: StoreAddress | None = None  # where artefacts go, with that folder before it; None: the folder
    store_bytes: int = 0  # of that folder before a remote store
    models: ModelCacheOptions | None = None  # where models that are not here are brought to; None: nowhere

    def open_store(self) -> ArtefactStore:
        return open_artefacts(self.store, self.remote, self.store_bytes)

    def open_models(self) -> ModelCache | None:
        return None if self.models is None else ModelCache(self.models)


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchProgress:
    """Where a worker stands, as its control lane answers while it renders."""

    stage: str  # idle, verifying, loading, rendering
    stack_id: str  # "" while nothing is resident
    steps_done: int  # of all batches so far; a batch counts its steps once, whatever its size
    takes_done: int


class Bench(Protocol):
    """What an actor drives. A benchmark may bring one that does nothing."""

    def run(self, tasks: Sequence[RenderTask]) -> Iterator[BatchResult]:
        """One result for every task, in order; never raises for a task."""
        ...

    def cancel(self) -> None:
        """Stop at the next step boundary, and answer every task from now on as cancelled."""
        ...

    def set_aside(self) -> None:
        """The same, with the batch kept as it stands: the next bench that gets it goes on from there.

        A batch that cannot be kept is rendered to its end first.
        """
        ...

    def progress(self) -> BenchProgress:
        """Where it stands; safe to call from another thread."""
        ...


def make_workbench(options: BenchOptions) -> Bench:
    """The real bench of a worker."""
    store = options.open_store()
    store.clean()
    return Workbench(
        renderer=make_renderer(options.render),
        store=store,
        verify=options.verify,
        digests=options.digests,
        versions=runtime_versions(options.render.kind),
        snapshots=SnapshotFolder(options.snapshots) if options.snapshots is not None else None,
        models=options.open_models(),
    )


class Workbench:
    """Renders a batch while the ones before it are being stored: the device never waits for the disk."""

    def __init__(
        self,
        *,
        renderer: Renderer,
        store: ArtefactStore,
        verify: Verify,
        digests: Digests,
        versions: tuple[tuple[str, str], ...],
        snapshots: SnapshotFolder | None = None,
        models: ModelCache | None = None,
    ) -> None:
        self._renderer = renderer
        self._store = store
        self._verify = verify
        self._digests = digests
        self._versions = versions
        self._worker = f"{platform.node() or 'localhost'}:{os.getpid()}"
        self._resident = ""  # what the renderer holds
        self._loaded: tuple[tuple[str, str], ...] = ()
        self._cancelled = threading.Event()
        self._aside = threading.Event()
        self._snapshots = snapshots
        self._models = models
        self._held: Held | None = None  # the files of what is resident
        self._board = threading.Lock()
        self._progress = BenchProgress(stage="idle", stack_id="", steps_done=0, takes_done=0)

    def cancel(self) -> None:
        self._cancelled.set()

    def set_aside(self) -> None:
        self._aside.set()

    def progress(self) -> BenchProgress:
        return self._progress

    def run(self, tasks: Sequence[RenderTask]) -> Iterator[BatchResult]:
        finished: deque[Future[BatchResult]] = deque()
        with ThreadPoolExecutor(max_workers=FINISHERS, thread_name_prefix="finish") as finishing:
            for task in tasks:
                finished.append(finishing.submit(self._finish, task, self._render(task)))
                while finished and (finished[0].done() or len(finished) > 2 * FINISHERS):
                    yield finished.popleft().result()
            while finished:
                yield finished.popleft().result()
        self._note(stage="idle")

    def _render(self, task: RenderTask) -> Batch:
        """Load what the task needs and render it; a failure becomes a fault of the whole batch."""
        started = time.perf_counter()
        batch = Batch(task=task, worker=self._worker, device=self._renderer.device, versions=self._versions)
        try:
            self._stop_if_leaving()
            load_seconds = self._make_resident(task.load)
            rendered, before = self._go_on(task)
        except RenderSetAside as aside:  # what it rendered counts where the batch is made, as its whole cost
            return replace(
                batch,
                fault=FaultKind.CANCELLED,
                detail=f"Set aside after {plural(aside.snapshot.steps, 'step')}.",
                total_seconds=max(0.0, time.perf_counter() - started - aside.seconds),
            )
        except Exception as fault:  # noqa: BLE001 - whatever happens to one batch, the worker answers for it and goes on
            kind, detail = classified(fault)
            return replace(batch, fault=kind, detail=detail, total_seconds=time.perf_counter() - started)
        return replace(
            batch,
            rendered=rendered,
            loaded=self._loaded,
            load_seconds=load_seconds,
            total_seconds=time.perf_counter() - started + before,
            is_synthetic=self._renderer.is_synthetic,
        )

    def _finish(self, task: RenderTask, batch: Batch) -> BatchResult:
        """Check, encode, mark and store the pictures of a batch; runs beside the next batch."""
        result = finish(batch, self._store, datetime.now(UTC))
        with self._board:
            self._progress = replace(self._progress, takes_done=self._progress.takes_done + len(task.shots))
        return result

    def _make_resident(self, load: StackLoad) -> float:
        """Hold this stack, every file verified before it is loaded; returns the seconds it took."""
        key = resident_key(load)
        if self._resident == key:
            return 0.0
        started = time.perf_counter()
        self._resident, self._loaded = "", ()
        self._note(stage="verifying", stack_id="")
        if self._held is not None:
            self._held.release()
        self._held, loaded = brought(load, self._models, self._verify, self._digests)
        self._note(stage="loading")
        self._renderer.load(self._held.load)
        self._resident, self._loaded = key, loaded
        self._note(stack_id=load.stack.stack_id)
        return time.perf_counter() - started

    def _go_on(self, task: RenderTask) -> tuple[Rendered, float]:
        """Render a batch from where it was set aside, or from its start; with the seconds behind it."""
        if self._snapshots is None:
            return self._renderer.render(task, self._step_watch()), 0.0
        place = self._snapshots.place_of(task, self._renderer.device)
        since = place.load()
        before = 0.0 if since is None else since.seconds
        try:
            rendered = self._renderer.render(task, self._step_watch(place, before), since)
        except FormatFault:  # a snapshot is a shortcut and no more
            before = 0.0
            rendered = self._renderer.render(task, self._step_watch(place))
        place.clear()
        return rendered, before

    def _step_watch(self, place: SnapshotPlace | None = None, behind: float = 0.0) -> OnStep:
        self._note(stage="rendering")
        before = self._progress.steps_done

        def on_step(step: Step) -> None:
            self._note(steps_done=before + step.done)
            self._stop_if_cancelled()
            if place is not None and self._aside.is_set() and (kept := step.snapshot()) is not None:
                place.keep(kept)
                raise RenderSetAside(kept, kept.seconds - behind)

        return on_step

    def _stop_if_leaving(self) -> None:
        """Before a batch: of one that is not begun there is nothing to keep."""
        self._stop_if_cancelled()
        if self._aside.is_set():
            raise RenderCancelled

    def _stop_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise RenderCancelled

    def _note(self, **changes: Any) -> None:
        with self._board:  # written by the rendering and the finishing thread, read by the control lane
            self._progress = replace(self._progress, **changes)
