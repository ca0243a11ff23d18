"""A replica's bench, without Ray: several resident stacks, batches of several callers, answered apart."""

import os
import platform
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from policy.tasks import BatchResult, RenderTask, StackLoad
from workers.finishing import Batch, classified, finish
from workers.renderer import (
    OnStep,
    RenderCancelled,
    Rendered,
    Renderer,
    Step,
    make_renderer,
    runtime_versions,
)
from workers.verified_stacks import Resident, ResidentStacks, brought
from workers.workbench import FINISHERS, BenchOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureBenchOptions:
    """What a replica needs to set up its bench; travels to it by pickle."""

    bench: BenchOptions
    stacks: int  # resident at once
    warm: tuple[StackLoad, ...] = ()  # resident before the first request


class BatchWatch(Protocol):
    """Those who wait for a batch."""

    def is_left(self) -> bool:
        """Whether nobody does any more."""
        ...

    def at_step(self, step: Step, *, is_synthetic: bool) -> None:
        """Told at every step boundary, by the thread that renders."""
        ...


class PictureBench:
    """Renders what several callers wait for in one go; pictures are stored beside the next batch."""

    def __init__(self, options: PictureBenchOptions) -> None:
        self._options = options.bench
        self._store = options.bench.open_store()
        self._store.clean()
        self._models = options.bench.open_models()
        self._versions = runtime_versions(options.bench.render.kind)
        self._worker = f"{platform.node() or 'localhost'}:{os.getpid()}"
        self._stacks = ResidentStacks(options.stacks, self._load)
        self._finishing = ThreadPoolExecutor(max_workers=FINISHERS, thread_name_prefix="finish")
        for load in options.warm[: options.stacks]:
            self._stacks.take(load)

    def render(self, tasks: Sequence[RenderTask], watch: BatchWatch) -> tuple[Future[BatchResult], ...]:
        """One answer for every task, in order; the tasks share one key and go through one forward a step.

        A batch that nobody waits for stops at the next step boundary.
        """
        batch, rendered = self._rendered(_joined(tasks), watch)
        return tuple(
            self._finishing.submit(finish, part, self._store, datetime.now(UTC))
            for part in _parted(batch, rendered, tasks)
        )

    def _rendered(self, whole: RenderTask, watch: BatchWatch) -> tuple[Batch, Rendered | None]:
        started = time.perf_counter()
        batch = Batch(task=whole, worker=self._worker, device=self._device, versions=self._versions)
        try:
            _stop_if_left(watch)
            resident, was_held = self._stacks.take(whole.load)
            load_seconds = 0.0 if was_held else time.perf_counter() - started
            rendered = resident.renderer.render(whole, _on_step(resident.renderer, watch))
        except Exception as fault:  # noqa: BLE001 - whatever happens to one batch, the replica answers for it and goes on
            kind, detail = classified(fault)
            seconds = time.perf_counter() - started
            return replace(batch, fault=kind, detail=detail, total_seconds=seconds), None
        made = replace(
            batch,
            device=resident.renderer.device,
            loaded=resident.loaded,
            load_seconds=load_seconds,
            total_seconds=time.perf_counter() - started,
            is_synthetic=resident.renderer.is_synthetic,
        )
        return made, rendered

    def _load(self, load: StackLoad) -> Resident:
        held, loaded = brought(load, self._models, self._options.verify, self._options.digests)
        renderer = make_renderer(replace(self._options.render, previews=True))
        renderer.load(held.load)
        return Resident(renderer=renderer, loaded=loaded, held=held)

    @property
    def _device(self) -> str:
        """Of a batch that failed before it had a renderer."""
        return self._options.render.device


def _on_step(renderer: Renderer, watch: BatchWatch) -> OnStep:
    def on_step(step: Step) -> None:
        _stop_if_left(watch)
        watch.at_step(step, is_synthetic=renderer.is_synthetic)

    return on_step


def _stop_if_left(watch: BatchWatch) -> None:
    if watch.is_left():
        raise RenderCancelled


def _joined(tasks: Sequence[RenderTask]) -> RenderTask:
    first = tasks[0]
    if len(tasks) == 1:
        return first
    return replace(
        first,
        task_id="+".join(task.task_id for task in tasks),
        shots=tuple(shot for task in tasks for shot in task.shots),
        reuse=(),
    )


def _parted(batch: Batch, rendered: Rendered | None, tasks: Sequence[RenderTask]) -> list[Batch]:
    """Each caller's part of a batch, with its share of the seconds; the versions say that it was shared.

    Its bits are those of the whole batch. No rows are told of it: it is no measure of a batch of its size.
    """
    if len(tasks) == 1:
        return [replace(batch, rendered=rendered)]
    whole = len(batch.task.shots)
    shared = (("batch_pictures", str(whole)),)
    parts: list[Batch] = []
    start = 0
    for task in tasks:
        end = start + len(task.shots)
        share = len(task.shots) / whole
        parts.append(
            replace(
                batch,
                task=task,
                versions=batch.versions + shared,
                load_seconds=batch.load_seconds * share,
                total_seconds=batch.total_seconds * share,
                rendered=None
                if rendered is None
                else replace(
                    rendered, pictures=rendered.pictures[start:end], seconds=rendered.seconds * share, rows=0
                ),
            )
        )
        start = end
    return parts
