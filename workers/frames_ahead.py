"""Frames of a stream, made a little ahead of whoever takes them.

A chunk is made at once and shown bit by bit, so while one is shown the next one has to be made
already; but no sooner than needed, for what is made cannot follow a change of words any more.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from policy.canvas import CanvasControls, CanvasFrame, CanvasLoad, led_key, stream_frame_key, stream_key
from policy.errors import RenderFault
from policy.pacing import is_chunk_due
from workers.renderer import RenderCancelled

LEADS = 8  # last chunks, of which the slowest says how early the next one is begun
Finish = Callable[[NDArray[np.uint8], str], bytes]  # pixels and shot key to a marked file


class Rollout(Protocol):
    """One stream under way, begun with a prompt and a seed."""

    @property
    def is_over(self) -> bool:
        """Whether it has all the frames that its method makes."""
        ...

    def change_prompt(self, prompt: str) -> object:
        """Lead it by another prompt from the next chunk on."""
        ...

    def next_chunk(self) -> Iterator[NDArray[np.uint8]]:
        """Make the next chunk, and give its frames, (height, width, 3); RenderCancelled once it is closed."""
        ...

    def close(self) -> None:
        """End it at the next step, from any thread."""
        ...


class Rollouts(Protocol):
    """What begins streams, on one resident stack."""

    is_synthetic: bool

    def load(self, load: CanvasLoad) -> None:
        """Make the stack of a session resident; its files are verified already."""
        ...

    def begin(self, load: CanvasLoad, controls: CanvasControls, seed: int) -> Rollout:
        """A stream of its own."""
        ...


class FramesAhead:
    """One session's frames, made by a thread of its own; after a rollout that is over comes another one."""

    def __init__(self, rollouts: Rollouts, load: CanvasLoad, finish: Finish) -> None:
        if load.stream is None:
            raise RenderFault(f"{load.preset} streams no frames.", "Draw them one by one.")
        self._rollouts, self._load, self._finish, self._settings = rollouts, load, finish, load.stream
        self._changed = threading.Condition()
        self._ready: deque[CanvasFrame] = deque()
        self._asked: tuple[CanvasControls, int] | None = None
        self._fault: Exception | None = None
        self._is_closed = False
        self._rollout: Rollout | None = None
        self._leads: deque[float] = deque(
            maxlen=LEADS
        )  # seconds from the begin of a chunk to its first frame
        self._thread = threading.Thread(target=self._work, name="frames-ahead", daemon=True)

    def tell(self, controls: CanvasControls, told: int) -> None:
        """Make the next chunk, and all after it, by these; they are the ``told``-th ones."""
        with self._changed:
            self._asked = controls, told
            self._changed.notify_all()
        if not self._thread.ident:
            self._thread.start()

    def next(self) -> CanvasFrame:
        """The next frame, as soon as there is one; raises whatever ended the making of frames."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._fault is not None)
            if not self._ready and self._fault is not None:
                raise self._fault
            frame = self._ready.popleft()
            self._changed.notify_all()
        return frame

    def close(self) -> None:
        """End it; whoever waits for a frame is told that there is none."""
        with self._changed:
            self._is_closed = True
            self._fault = self._fault or RenderFault("This session is over.", "Begin another one.")
            self._changed.notify_all()
            if self._rollout is not None:
                self._rollout.close()
        if self._thread.ident:
            self._thread.join()

    # in the thread

    def _work(self) -> None:
        try:
            self._make()
        except RenderCancelled:
            return
        except Exception as fault:  # noqa: BLE001 - it is raised where frames are asked for
            with self._changed:
                self._fault = fault
                self._changed.notify_all()

    def _make(self) -> None:
        led, key, number, rollouts = None, "", 0, 0
        while (asked := self._when_due()) is not None:
            controls, told = asked
            began = time.perf_counter()
            rollout = self._rollout
            is_new_seed = led is None or led.seed != controls.seed
            if rollout is None or rollout.is_over or is_new_seed:
                rollouts = 0 if is_new_seed else rollouts + 1
                rollout = self._begin(controls, rollouts)
                key, number = stream_key(self._load.run, controls, rollouts), 0
            elif led is not None and led.prompt != controls.prompt:
                rollout.change_prompt(controls.prompt)
                key = led_key(key, number, controls.prompt)
            led = controls
            for place, pixels in enumerate(rollout.next_chunk()):
                body = self._finish(pixels, stream_frame_key(key, number))
                spent = time.perf_counter() - began
                if not place:
                    self._leads.append(spent)
                self._put(CanvasFrame(body=body, told=told, seconds=spent))
                began, number = time.perf_counter(), number + 1

    def _when_due(self) -> tuple[CanvasControls, int] | None:
        """Wait until the next chunk is to be begun, and by what; None where the session is over."""
        chunk, fps = self._settings.chunk_frames, self._load.fps
        with self._changed:
            lead = max(self._leads, default=0.0)
            self._changed.wait_for(
                lambda: (
                    self._is_closed or is_chunk_due(waiting=len(self._ready), fps=fps, lead=lead, chunk=chunk)
                )
            )
            return None if self._is_closed else self._asked

    def _begin(self, controls: CanvasControls, rollouts: int) -> Rollout:
        made = self._rollouts.begin(self._load, controls, controls.seed + rollouts)
        with self._changed:
            self._rollout = made
            if self._is_closed:
                raise RenderCancelled
        return made

    def _put(self, frame: CanvasFrame) -> None:
        with self._changed:
            if self._is_closed:
                raise RenderCancelled
            self._ready.append(frame)
            self._changed.notify_all()
