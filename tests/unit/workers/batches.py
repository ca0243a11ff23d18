"""Render tasks for tests of the workers: valid by default, small enough to be drawn in a moment."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from policy.tasks import LocatedPart, RenderTask, ShotTask, StackLoad
from tests.factories import make_scheduler, make_stack
from workers.artefacts import ArtefactStore
from workers.renderer import RendererKind, RenderOptions, make_renderer
from workers.workbench import Workbench


def make_load(**changes: Any) -> StackLoad:
    stack = changes.pop("stack", None) or make_stack()
    parts = tuple(LocatedPart(pin_id=pin.pin_id, root="/nowhere") for pin in stack.pins)
    load = StackLoad(stack=stack, parts=parts, fuse=False)
    return replace(load, **changes)


def make_shot_task(number: int = 0, **changes: Any) -> ShotTask:
    shot = ShotTask(
        take_id=f"take-{number}",
        shot_key=f"{number:064x}",
        prompt=f"a fox {number}",
        negative="",
        seed=number,
    )
    return replace(shot, **changes)


def make_task(number: int = 0, shots: int = 2, **changes: Any) -> RenderTask:
    """A batch of two 16×16 pictures at two steps."""
    task = RenderTask(
        task_id=f"task-{number}",
        load=make_load(),
        preset="emoji-64-full",
        preset_version=1,
        scheduler=make_scheduler(),
        schedule=None,
        steps=2,
        guidance=(("guidance_scale", 3.0),),
        call=(),
        cache=None,
        width=16,
        height=16,
        frames=1,
        fps=None,
        shots=tuple(make_shot_task(100 * number + index) for index in range(shots)),
        provenance=(("job", "job-1"), ("plan", "b" * 64)),
    )
    return replace(task, **changes)


def no_faults(_root: str, _files: object) -> tuple[object, ...]:
    return ()


def pinned_digests(_root: str, files: Any) -> tuple[tuple[str, str], ...]:
    return tuple((file.path, file.sha256) for file in files)


def make_bench(folder: Path, **changes: Any) -> Workbench:
    """A bench with the synthetic renderer and files that are always as pinned."""
    facts: dict[str, Any] = {
        "renderer": make_renderer(RenderOptions(kind=RendererKind.SYNTHETIC)),
        "store": ArtefactStore(folder),
        "verify": no_faults,
        "digests": pinned_digests,
        "versions": (("renderer", "synthetic"),),
    }
    return Workbench(**(facts | changes))
