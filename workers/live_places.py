"""Places for live sessions on Ray: an actor each, reserved by one session at a time.

An actor is started by the first session that needs it, or before where its stack is to be warm, and
keeps its stack for the next one. One that died is forgotten, and its place starts another.
"""

import asyncio
import contextlib
from typing import Any, Self

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from policy.canvas import CanvasControls, CanvasFrame, CanvasLoad, CanvasOpened
from policy.errors import RightstepError, ServiceFault
from workers.live_bench import LiveBench
from workers.workbench import BenchOptions


class LiveActor:
    """One worker process with one live bench; calls are answered in turn."""

    def __init__(self, options: BenchOptions) -> None:
        self._bench = LiveBench(options)

    def open(self, load: CanvasLoad) -> CanvasOpened:
        """Begin a session in place of the one before."""
        return self._bench.open(load)

    def frame(self, controls: CanvasControls | None) -> CanvasFrame:
        """The next frame."""
        return self._bench.frame(controls)

    def rest(self) -> None:
        """End the session; its stack stays."""
        self._bench.rest()


class RayPlace:
    """A place seen from the process that answers; its session has it alone."""

    def __init__(self, options: BenchOptions, *, cpus: float, gpus: float) -> None:
        self._options = options
        self._facts: dict[str, Any] = {
            "num_cpus": cpus,
            "num_gpus": gpus,
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        self._actor: Any = None
        self.is_taken = False

    async def open(self, load: CanvasLoad) -> CanvasOpened:
        """Begin a session; its actor is started where there is none. ServiceFault where it died."""
        opened: CanvasOpened = await self._asked(self._start().open.remote(load))
        return opened

    async def frame(self, controls: CanvasControls | None) -> CanvasFrame:
        """The next frame; without controls by those of the frame before."""
        made: CanvasFrame = await self._asked(self._actor.frame.remote(controls))
        return made

    async def release(self) -> None:
        """Let the next session have the place; its renderer makes no more frames ahead."""
        if self._actor is not None:
            self._actor.rest.remote()
        self.is_taken = False

    def warm(self, load: CanvasLoad) -> None:
        """Start its actor and make a stack resident; whoever comes meanwhile waits for it."""
        self._start().open.remote(load)

    def _start(self) -> Any:
        if self._actor is None:
            self._actor = ray.remote(**self._facts)(LiveActor).remote(self._options)
        return self._actor

    def end(self) -> None:
        """End the actor."""
        if self._actor is not None:
            with contextlib.suppress(RayError, RuntimeError):
                ray.kill(self._actor, no_restart=True)
            self._actor = None

    async def _asked(self, answer: Any) -> Any:
        try:
            return await asyncio.wrap_future(answer.future())
        except RayTaskError as fault:
            if isinstance(fault.cause, RightstepError):
                raise fault.cause from fault
            raise ServiceFault(f"The renderer failed: {fault.cause}", "Begin another session.") from fault
        except RayActorError as fault:
            self._actor = None
            raise ServiceFault(
                f"The renderer died: {type(fault).__name__}.", "Begin another session."
            ) from fault


class LivePlaces:
    """As many places as there are; ends their actors with its block. Ray is up already."""

    def __init__(
        self,
        options: BenchOptions,
        places: int,
        warm: CanvasLoad | None = None,
        *,
        cpus: float = 1.0,
        gpus: float = 0.0,
    ) -> None:
        self._places = [RayPlace(options, cpus=cpus, gpus=gpus) for _ in range(places)]
        self._warm = warm

    def __enter__(self) -> Self:
        if self._warm is not None:
            for place in self._places:
                place.warm(self._warm)
        return self

    def __exit__(self, *_: object) -> None:
        for place in self._places:
            place.end()

    @property
    def most(self) -> int:
        """How many sessions there may be at once."""
        return len(self._places)

    def reserve(self) -> RayPlace | None:
        """A place for one session, held until it is released; None where all are taken."""
        free = next((place for place in self._places if not place.is_taken), None)
        if free is not None:
            free.is_taken = True
        return free
