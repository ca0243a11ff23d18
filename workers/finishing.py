"""From the floats of a batch to stored, marked and attested pictures; one bad picture fails only itself."""

import time
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from policy.clips import WAN_FRAME_RATE
from policy.errors import IntegrityFault, RenderFault, RightstepError, StorageFault
from policy.tasks import ArtefactRef, BatchResult, FaultKind, PictureFigures, RenderTask, ShotTask, TakeResult
from policy.wording import thing
from workers.artefacts import PNG, STATEMENT, ArtefactStore
from workers.clip_checks import clip_fault, clip_motion, clip_statistics
from workers.clip_files import WEBP, marked_clip
from workers.marking import DigitalSourceType, Marking, marked_png
from workers.output_checks import float_fault, picture_statistics, take_fault
from workers.provenance import make_statement
from workers.renderer import Pictures, RenderCancelled, Rendered, Sound
from workers.sound_checks import sound_statistics
from workers.sound_files import WAV, marked_wav


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What rendering a task came to: pictures, or a fault that all of its takes share."""

    task: RenderTask
    worker: str
    device: str
    versions: tuple[tuple[str, str], ...]
    rendered: Rendered | None = None
    is_synthetic: bool = False
    loaded: tuple[tuple[str, str], ...] = ()
    load_seconds: float = 0.0
    total_seconds: float = 0.0  # loading included, finishing not yet
    fault: FaultKind | None = None
    detail: str = ""


def finish(batch: Batch, store: ArtefactStore, now: datetime) -> BatchResult:
    """Check, encode, mark and store every picture or clip of a batch; the bytes are durable on return."""
    started = time.perf_counter()
    task = batch.task
    takes = tuple(
        _finish_take(batch, number, store, now)
        for number, shot in enumerate(task.shots)
        if shot.take_id not in task.reuse
    )
    rendered = batch.rendered
    split = (("batch_parts", str(rendered.parts)),) if rendered is not None and rendered.parts > 1 else ()
    return BatchResult(
        task_id=task.task_id,
        takes=takes,
        worker=batch.worker,
        device=batch.device,
        stack_id=task.load.stack.stack_id,
        loaded=batch.loaded,
        timesteps=rendered.timesteps if rendered is not None else (),
        rows=rendered.rows if rendered is not None else 0,
        steps=task.steps,
        load_seconds=batch.load_seconds,
        denoise_seconds=rendered.seconds if rendered is not None else 0.0,
        total_seconds=batch.total_seconds + time.perf_counter() - started,
        versions=batch.versions + split,
    )


def quantised(pictures: Pictures) -> NDArray[np.uint8]:
    """Floats 0..1 to bytes exactly as diffusers rounds them for PIL.

    Frame by frame: between the floats and the bytes there is one of them in memory, not the whole clip.
    """
    made = np.empty(pictures.shape, np.uint8)
    for place in np.ndindex(pictures.shape[:-3]):
        made[place] = (pictures[place] * 255).round()
    return made


def marked_previews(
    task: RenderTask, pictures: Pictures, done: int, *, is_synthetic: bool
) -> tuple[bytes, ...]:
    """A PNG of each picture of a task as it stands after ``done`` steps; marked as what it will be."""
    return tuple(
        marked_png(
            quantised(picture),
            _marking(task, shot, is_synthetic=is_synthetic),
            preview=f"{done}/{task.steps}",
        )
        for shot, picture in zip(task.shots, pictures, strict=True)
    )


def _marking(task: RenderTask, shot: ShotTask, *, is_synthetic: bool) -> Marking:
    source = DigitalSourceType.ALGORITHMIC if is_synthetic else DigitalSourceType.TRAINED
    return Marking(shot_key=shot.shot_key, stack_id=task.load.stack.stack_id, source=source)


def classified(fault: Exception) -> tuple[FaultKind, str]:
    """Whose fault a failure is, and one sentence on it."""
    match fault:
        case RenderCancelled():
            return FaultKind.CANCELLED, "The job was cancelled."
        case StorageFault():
            return FaultKind.STORAGE, str(fault)
        case RenderFault():  # the same batch would fail anywhere
            return FaultKind.SHOT, str(fault)
        case IntegrityFault() | RightstepError():
            return FaultKind.WORKER, str(fault)
        case _:
            return FaultKind.WORKER, f"{type(fault).__name__}: {fault}"


def failed_take(shot: ShotTask, kind: FaultKind, detail: str, seconds: float = 0.0) -> TakeResult:
    """The result of a take that made nothing that counts."""
    return TakeResult(
        take_id=shot.take_id,
        shot_key=shot.shot_key,
        artefact=None,
        provenance=None,
        figures=None,
        fault=kind,
        detail=detail,
        seconds=seconds,
    )


def _finish_take(batch: Batch, number: int, store: ArtefactStore, now: datetime) -> TakeResult:
    shot = batch.task.shots[number]
    started = time.perf_counter()
    share = max(0.0, batch.total_seconds - batch.load_seconds) / len(batch.task.shots)
    if batch.rendered is None:
        return failed_take(shot, batch.fault or FaultKind.WORKER, batch.detail, share)
    if number >= len(batch.rendered.pictures):
        return failed_take(shot, FaultKind.WORKER, "The renderer made fewer pictures than shots.", share)
    floats = batch.rendered.pictures[number]
    sound = batch.rendered.sound
    unusable = float_fault(floats) or (None if sound is None else float_fault(sound.samples[number]))
    pixels = None if unusable else quantised(floats)
    unusable = unusable or _fault_of(pixels, batch.task)
    if unusable or pixels is None:
        made = thing(batch.task.frames)
        return failed_take(shot, FaultKind.SHOT, f"The {made} cannot count: {unusable}.", share)
    try:
        return _store_take(batch, number, pixels, store, now, share + time.perf_counter() - started)
    except Exception as fault:  # noqa: BLE001 - one take that cannot be kept must not take its batch with it
        return failed_take(shot, *classified(fault), share)


def _fault_of(pixels: NDArray[np.uint8] | None, task: RenderTask) -> str | None:
    size = (task.width, task.height)
    return take_fault(pixels, size) if task.frames == 1 else clip_fault(pixels, size, task.frames)


def _encoded(pixels: NDArray[np.uint8], task: RenderTask, marking: Marking) -> tuple[bytes, str]:
    """The file of a picture or clip, and its media type."""
    if task.frames == 1:
        return marked_png(pixels, marking), PNG
    return marked_clip(pixels, marking, fps=task.fps or WAN_FRAME_RATE), WEBP


def _stored_sound(
    sound: Sound | None, number: int, store: ArtefactStore, marking: Marking
) -> ArtefactRef | None:
    """What is heard with a clip, in a file of its own: its pictures have no place for it."""
    if sound is None:
        return None
    return store.put_bytes(marked_wav(sound.samples[number], sound.rate, marking), WAV)


def _figures(pixels: NDArray[np.uint8], frames: int, sound: NDArray[np.float32] | None) -> PictureFigures:
    measured = picture_statistics(pixels) if frames == 1 else clip_statistics(pixels)
    heard = None if sound is None else sound_statistics(sound)
    return PictureFigures(
        saturation=measured.saturation,
        clipping=measured.clipping,
        contrast=measured.contrast,
        luminance=measured.luminance,
        motion=None if frames == 1 else clip_motion(pixels),
        loudness=None if heard is None else heard.loudness,
        sound_clipping=None if heard is None else heard.clipping,
    )


def _store_take(
    batch: Batch,
    number: int,
    pixels: NDArray[np.uint8],
    store: ArtefactStore,
    now: datetime,
    seconds: float,
) -> TakeResult:
    shot = batch.task.shots[number]
    marking = _marking(batch.task, shot, is_synthetic=batch.is_synthetic)
    heard = None if batch.rendered is None else batch.rendered.sound
    artefact = store.put_bytes(*_encoded(pixels, batch.task, marking))
    sound = _stored_sound(heard, number, store, marking)
    statement = make_statement(
        artefact=artefact,
        beside=() if sound is None else (sound,),
        shot=shot,
        task=batch.task,
        loaded=batch.loaded,
        versions=batch.versions,
        worker=batch.worker,
        now=now,
    )
    return TakeResult(
        take_id=shot.take_id,
        shot_key=shot.shot_key,
        artefact=artefact,
        provenance=store.put_bytes(statement, STATEMENT),
        figures=_figures(pixels, batch.task.frames, None if heard is None else heard.samples[number]),
        fault=None,
        detail="",
        seconds=seconds,
        sound=sound,
    )
