"""A place for live sessions, without Ray: one resident stack, one session at a time, marked frames."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from policy.canvas import CanvasControls, CanvasFrame, CanvasLoad, CanvasOpened, frame_key, refuse_controls
from policy.errors import RenderFault, WrongUse
from workers.frames_ahead import Finish, FramesAhead, Rollouts
from workers.marking import DigitalSourceType, Marking, marked_picture
from workers.model_cache import Held
from workers.renderer import WORKER_ENVIRONMENT, RendererKind, RenderOptions
from workers.synthetic_live import SyntheticCanvas, SyntheticRollouts
from workers.verified_stacks import brought, resident_key
from workers.workbench import BenchOptions

QUALITY = 90  # of frames in a format that loses some
EFFORT = 0  # of WebP: a frame at 832 x 480 takes 8 to 23 ms to write, where the usual 4 takes 26 to 58


class Canvas(Protocol):
    """What draws frames, each for itself."""

    is_synthetic: bool

    def load(self, load: CanvasLoad) -> None:
        """Make the stack of a session resident; its files are verified already."""
        ...

    def open(self, load: CanvasLoad) -> None:
        """Begin a session on the resident stack."""
        ...

    def draw(self, controls: CanvasControls) -> NDArray[np.uint8]:
        """(height, width, 3) pixels of one frame."""
        ...


def make_canvas(options: RenderOptions) -> Canvas:
    """The canvas of a kind of renderer; torch is imported only where it is needed."""
    if options.kind is RendererKind.SYNTHETIC:
        return SyntheticCanvas(options)
    os.environ.update(WORKER_ENVIRONMENT)
    from workers.live_canvas import DiffusersCanvas  # noqa: PLC0415 - after the environment is set

    return DiffusersCanvas(options)


def make_rollouts(options: RenderOptions) -> Rollouts:
    """What begins streams, of a kind of renderer; torch is imported only where it is needed."""
    if options.kind is RendererKind.SYNTHETIC:
        return SyntheticRollouts(options)
    os.environ.update(WORKER_ENVIRONMENT)
    from workers.causal.rollouts import CausalRollouts  # noqa: PLC0415 - after the environment is set

    return CausalRollouts(options)


class Frames(Protocol):
    """The frames of one session, one after the other."""

    def tell(self, controls: CanvasControls, told: int) -> None:
        """Make frames by these from now on; they are the ``told``-th ones."""
        ...

    def next(self) -> CanvasFrame:
        """The next frame."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class FramesDrawn:
    """Frames that are drawn when they are asked for, each by what was told last."""

    def __init__(self, canvas: Canvas, load: CanvasLoad, finish: Finish) -> None:
        canvas.open(load)
        self._canvas, self._finish, self._run = canvas, finish, load.run
        self._asked: tuple[CanvasControls, int] | None = None

    def tell(self, controls: CanvasControls, told: int) -> None:
        """Draw by these from now on."""
        self._asked = controls, told

    def next(self) -> CanvasFrame:
        """Draw a frame."""
        if self._asked is None:
            raise RenderFault("This session was told nothing yet.", "Say what to draw.")
        began, (controls, told) = time.perf_counter(), self._asked
        body = self._finish(self._canvas.draw(controls), frame_key(self._run, controls))
        return CanvasFrame(body=body, told=told, seconds=time.perf_counter() - began)

    def close(self) -> None:
        """Nothing goes on between two frames."""


Begin = Callable[[CanvasLoad, Finish], Frames]


@dataclass(frozen=True, kw_only=True)
class Resident:
    """A stack that is loaded, and what makes frames on it."""

    key: tuple[str, bool]  # of the stack, and whether it streams
    loaded: tuple[tuple[str, str], ...]
    is_synthetic: bool
    begin: Begin


class LiveBench:
    """Opens sessions, and makes a frame whenever one is asked for."""

    def __init__(self, options: BenchOptions) -> None:
        self._options = options
        self._worker = f"{platform.node() or 'localhost'}:{os.getpid()}"
        self._resident: Resident | None = None
        self._models = options.open_models()
        self._held: Held | None = None  # the files of what is resident
        self._load: CanvasLoad | None = None
        self._frames: Frames | None = None
        self._told = 0

    def open(self, load: CanvasLoad) -> CanvasOpened:
        """Begin a session in place of the one before; another stack is verified and loaded first."""
        self.rest()
        began, was = time.perf_counter(), self._resident
        resident = self._made_resident(load)
        load_seconds = 0.0 if resident is was else time.perf_counter() - began

        def finish(pixels: NDArray[np.uint8], key: str) -> bytes:
            source = source_of(load, is_synthetic=resident.is_synthetic)
            marking = Marking(shot_key=key, stack_id=load.load.stack.stack_id, source=source)
            return marked_picture(pixels, marking, load.media_type, quality=QUALITY, effort=EFFORT)

        self._load, self._frames = load, resident.begin(load, finish)
        return CanvasOpened(
            worker=self._worker,
            device=self._options.render.device,
            loaded=resident.loaded,
            load_seconds=load_seconds,
            is_synthetic=resident.is_synthetic,
        )

    def frame(self, controls: CanvasControls | None) -> CanvasFrame:
        """The next frame, encoded and marked; without controls by those of the frame before.

        Of a stream it may still be made by earlier controls: a frame says by which.
        """
        if self._load is None or self._frames is None or (controls is None and not self._told):
            raise RenderFault("No session is open here, or it was told nothing yet.", "Open one first.")
        if controls is not None:
            if refusal := refuse_controls(controls, self._load):
                raise WrongUse(refusal, "Send other controls.")
            self._told += 1
            self._frames.tell(controls, self._told)
        return self._frames.next()

    def rest(self) -> None:
        """End the session; its stack stays."""
        frames, self._frames, self._load, self._told = self._frames, None, None, 0
        if frames is not None:
            frames.close()

    def _made_resident(self, load: CanvasLoad) -> Resident:
        key = resident_key(load.load), load.stream is not None
        if self._resident is not None and self._resident.key == key:
            return self._resident
        self._resident = None  # free the old stack first
        if self._held is not None:
            self._held.release()
        self._held, loaded = brought(load.load, self._models, self._options.verify, self._options.digests)
        begin, is_synthetic = _begun_by(self._options.render, replace(load, load=self._held.load))
        self._resident = Resident(key=key, loaded=loaded, is_synthetic=is_synthetic, begin=begin)
        return self._resident


def _begun_by(options: RenderOptions, load: CanvasLoad) -> tuple[Begin, bool]:
    """What begins sessions on a stack, which is loaded with it, and whether their frames are synthetic."""
    if load.stream is None:
        canvas = make_canvas(options)
        canvas.load(load)
        return partial(FramesDrawn, canvas), canvas.is_synthetic
    rollouts = make_rollouts(options)
    rollouts.load(load)
    return partial(FramesAhead, rollouts), rollouts.is_synthetic


def source_of(load: CanvasLoad, *, is_synthetic: bool) -> DigitalSourceType:
    """What the frames of a session say they are: made by a model from words, or from a sketch as well."""
    if is_synthetic:
        return DigitalSourceType.ALGORITHMIC
    return DigitalSourceType.COMPOSITE if load.stream is None else DigitalSourceType.TRAINED
