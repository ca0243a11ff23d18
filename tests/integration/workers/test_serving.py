"""Two replicas on real Ray Serve, with room for one stack each: where requests go, and what a caller stops."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from policy.tasks import ServedBatch, StackLoad
from tests.factories import make_model_pin, make_stack
from tests.unit.workers.batches import make_load, make_task, no_faults, pinned_digests
from workers.picture_bench import PictureBenchOptions
from workers.renderer import RendererKind, RenderOptions
from workers.workbench import BenchOptions

SECONDS_PER_STEP = 0.02
FOR_EVER = 10_000  # steps; the test is over long before
PATIENCE = 60
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(local_ray: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from workers.serving import PictureService, ServingOptions

    bench = BenchOptions(
        store=tmp_path_factory.mktemp("store"),
        verify=no_faults,
        digests=pinned_digests,
        render=RenderOptions(kind=RendererKind.SYNTHETIC, seconds_per_step=SECONDS_PER_STEP),
    )
    options = ServingOptions(bench=PictureBenchOptions(bench=bench, stacks=1), least=2, most=2)
    with PictureService(options) as opened:
        yield opened


def loads(*names: str) -> list[StackLoad]:
    return [make_load(stack=make_stack(base=make_model_pin(repo=f"studio/{name}"))) for name in names]


def test_requests_go_to_the_replica_that_holds_their_stack(service: Any):
    async def ask() -> list[ServedBatch]:
        return [
            await service.render(make_task(number, 1, load=wanted[number % 2]), 8) for number in range(12)
        ]

    wanted = loads("left", "right")
    served = asyncio.run(ask())
    workers = [one.result.worker for one in served]
    assert len(set(workers)) == 2
    assert workers == workers[:2] * 6
    assert [one.result.load_seconds > 0 for one in served] == [True, True] + [False] * 10


def test_a_caller_who_leaves_stops_the_batch_at_the_next_step(service: Any):
    async def leave() -> ServedBatch:
        (load,) = loads("left")
        asked = asyncio.create_task(service.render(make_task(20, 1, load=load, steps=FOR_EVER), 8))
        await asyncio.sleep(5 * SECONDS_PER_STEP)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        async with asyncio.timeout(PATIENCE):
            return await service.render(make_task(21, 1, load=load), 8)

    assert asyncio.run(leave()).result.takes[0].artefact is not None
