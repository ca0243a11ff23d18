"""A place for live sessions, without Ray: one resident stack, one session at a time, marked frames."""

import hashlib
import os
import platform
import time
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from policy.canvas import CanvasControls, CanvasFrame, CanvasLoad, CanvasOpened, frame_key
from policy.errors import RenderFault
from workers.marking import DigitalSourceType, Marking, marked_picture
from workers.renderer import WORKER_ENVIRONMENT, RendererKind, RenderOptions
from workers.sketches import picture_of
from workers.verified_stacks import resident_key, verified
from workers.workbench import BenchOptions

QUALITY = 90  # of frames in a format that loses some


class Canvas(Protocol):
    """What draws frames."""

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


class SyntheticCanvas:
    """Tests and benchmarks only: the sketch under a colour that comes of prompt, seed, strength and steps."""

    is_synthetic = True

    def __init__(self, options: RenderOptions) -> None:
        self._options = options
        self._size = 0, 0

    def load(self, load: CanvasLoad) -> None:
        """Nothing is resident but its size."""

    def open(self, load: CanvasLoad) -> None:
        self._size = load.width, load.height

    def draw(self, controls: CanvasControls) -> NDArray[np.uint8]:
        time.sleep(self._options.seconds_per_step * controls.steps_run)
        text = f"{controls.prompt}\n{controls.seed}\n{controls.strength}\n{controls.steps}"
        colour = np.frombuffer(hashlib.sha256(text.encode()).digest()[:3], dtype=np.uint8)
        paper = np.asarray(picture_of(controls.sketch, self._size), dtype=np.uint16)
        return ((paper + colour) // 2).astype(np.uint8)


class LiveBench:
    """Opens sessions, and makes a frame whenever one is asked for."""

    def __init__(self, options: BenchOptions) -> None:
        self._options = options
        self._worker = f"{platform.node() or 'localhost'}:{os.getpid()}"
        self._canvas = make_canvas(options.render)
        self._resident = ""
        self._loaded: tuple[tuple[str, str], ...] = ()
        self._load: CanvasLoad | None = None
        self._run = ""
        self._controls: CanvasControls | None = None

    def open(self, load: CanvasLoad) -> CanvasOpened:
        """Begin a session in place of the one before; another stack is verified and loaded first."""
        began = time.perf_counter()
        key, self._load, self._controls = resident_key(load.load), None, None
        if self._resident != key:
            self._resident = ""
            self._loaded = verified(load.load, self._options.verify, self._options.digests)
            self._canvas.load(load)
            self._resident = key
            load_seconds = time.perf_counter() - began
        else:
            load_seconds = 0.0
        self._canvas.open(load)
        self._load, self._run = load, load.run
        return CanvasOpened(
            worker=self._worker,
            device=self._options.render.device,
            loaded=self._loaded,
            load_seconds=load_seconds,
            is_synthetic=self._canvas.is_synthetic,
        )

    def frame(self, controls: CanvasControls | None) -> CanvasFrame:
        """The next frame, encoded and marked; without controls by those of the frame before."""
        began = time.perf_counter()
        self._controls = controls or self._controls
        if self._load is None or self._controls is None:
            raise RenderFault("No session is open here, or it was told nothing yet.", "Open one first.")
        pixels = self._canvas.draw(self._controls)
        source = DigitalSourceType.ALGORITHMIC if self._canvas.is_synthetic else DigitalSourceType.COMPOSITE
        marking = Marking(
            shot_key=frame_key(self._run, self._controls),
            stack_id=self._load.load.stack.stack_id,
            source=source,
        )
        body = marked_picture(pixels, marking, self._load.media_type, quality=QUALITY)
        return CanvasFrame(body=body, seconds=time.perf_counter() - began)
