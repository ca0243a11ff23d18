"""Pictures while somebody waits: Ray Serve replicas around resident stacks, and the handle to them.

Serve keeps the replicas, replaces dead ones, and sends a request to a replica that holds its
stack. Its HTTP proxy is not started: whoever asks is in the process that deployed them.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from ray import serve
from ray.exceptions import RayActorError, RayError, RayTaskError, TaskCancelledError
from ray.serve.config import ProxyLocation
from ray.serve.schema import LoggingConfig

from policy.errors import ServiceFault
from policy.previews import StepReport
from policy.tasks import RenderTask, ServedBatch
from workers.actor import SWITCH_SECONDS
from workers.batcher import Batcher
from workers.batches_awaited import follow, render
from workers.picture_bench import PictureBench, PictureBenchOptions
from workers.verified_stacks import resident_key

APPLICATION = "rightstep-pictures"
HEALTH_SECONDS = 1.0  # between two looks at a replica: a dead one is replaced within about so long
GRACE_SECONDS = 1.0  # of a replica that is told to end: what it renders has nobody waiting by then
MOST_AT_A_REPLICA = 16  # requests; beyond them the router tries replicas that do not hold the stack yet
WANTED_AT_A_REPLICA = 4  # requests; where there are more, and more replicas are allowed, another is started
STARTS = 3  # tries of a replica to come up
QUIET_LOG = "WARNING"


class ReplicaLost(ServiceFault):
    """The replica died with the batch; another is started, and the batch may be sent again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServingOptions:
    """How many replicas, and what each of them is."""

    bench: PictureBenchOptions
    least: int = 1
    most: int = 1
    cpus_per_replica: float = 1.0  # what Ray reserves; threads of torch are set in the bench's own options
    gpus_per_replica: float = 0.0


class PictureReplica:
    """One replica: a queue, a thread that renders, and stacks that are resident."""

    def __init__(self, options: PictureBenchOptions) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        self._batcher = Batcher(PictureBench(options).render)

        async def hold(key: str) -> str:
            return key

        # Serve's own list is what its router goes by. It follows the stacks of the bench, which
        # alone decides what is resident; where the two differ, a request costs one load.
        self._announce: Any = serve.multiplexed(hold, max_num_models_per_replica=options.stacks)

    async def render(self, task: RenderTask, cap: int) -> ServedBatch:
        """Render a batch, perhaps together with others; cancelled, it leaves the queue or its batch."""
        await self._announce(resident_key(task.load))
        return await render(self._batcher, task, cap)

    async def follow(
        self, task: RenderTask, cap: int, shown_after: frozenset[int]
    ) -> AsyncGenerator[StepReport | ServedBatch]:
        """The same, telling every step on the way; the last that comes is the batch."""
        await self._announce(resident_key(task.load))
        async with contextlib.aclosing(follow(self._batcher, task, cap, shown_after)) as told:
            async for report in told:
                yield report


class PictureService:
    """The replicas, seen from the process that answers; ends them with its block."""

    def __init__(self, options: ServingOptions) -> None:
        self._options = options

    def __enter__(self) -> Self:
        """Deploy, and wait until every replica that is wanted at first is ready; Ray is up already."""
        logging.getLogger("ray.serve").setLevel(logging.CRITICAL)  # the driver's stderr is ours
        serve.start(
            proxy_location=ProxyLocation.Disabled,
            logging_config=LoggingConfig(log_level=QUIET_LOG, enable_access_log=False),
        )
        try:
            self._handle: Any = serve.run(_application(self._options), name=APPLICATION, route_prefix=None)
        except (RayError, RuntimeError) as fault:
            serve.shutdown()
            raise ServiceFault(
                f"The replicas did not start: {fault}", "Look into the logs of Ray."
            ) from fault
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(RayError, RuntimeError):
            serve.shutdown()

    async def render(self, task: RenderTask, cap: int) -> ServedBatch:
        """Render a batch where its stack is held; cancelled, it stops at the next step if it is alone.

        ReplicaLost where the replica died meanwhile.
        """
        handle = self._handle.options(multiplexed_model_id=resident_key(task.load))
        response = handle.render.remote(task, cap)
        with _told_as_ours(response):
            served: ServedBatch = await response
        return served

    async def follow(
        self, task: RenderTask, cap: int, shown_after: frozenset[int]
    ) -> AsyncGenerator[StepReport | ServedBatch]:
        """The same, telling every step on the way, and showing the pictures after some; at last the batch."""
        handle = self._handle.options(multiplexed_model_id=resident_key(task.load), stream=True)
        response = handle.follow.remote(task, cap, shown_after)
        with _told_as_ours(response):
            async for told in response:
                yield told


@contextlib.contextmanager
def _told_as_ours(response: Any) -> Generator[None]:
    """What ends an answer of a replica before its time: cancelled with whoever waits, or lost."""
    try:
        yield
    except (asyncio.CancelledError, GeneratorExit):
        response.cancel()
        raise
    except (RayActorError, TaskCancelledError) as fault:
        raise ReplicaLost(
            f"The replica died: {type(fault).__name__}.", "Try again: another one is starting."
        ) from fault
    except RayTaskError as fault:
        raise ServiceFault(f"The replica failed: {fault.cause}", "Try again later.") from fault


def _application(options: ServingOptions) -> Any:
    how_many: dict[str, Any] = {"num_replicas": options.least}
    if options.most > options.least:
        how_many = {
            "autoscaling_config": {
                "min_replicas": options.least,
                "max_replicas": options.most,
                "target_ongoing_requests": WANTED_AT_A_REPLICA,
            }
        }
    deployment: Any = serve.deployment(
        PictureReplica,
        name="PictureReplica",
        max_ongoing_requests=MOST_AT_A_REPLICA,
        health_check_period_s=HEALTH_SECONDS,
        max_constructor_retry_count=STARTS,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=GRACE_SECONDS,
        ray_actor_options={"num_cpus": options.cpus_per_replica, "num_gpus": options.gpus_per_replica},
        **how_many,
    )
    return deployment.bind(options.bench)
