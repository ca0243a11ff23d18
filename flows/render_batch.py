"""The flow of a job: chunks of leased batches onto the workers, until no shot is open.

A flow runs in a process of its own and wires itself from the settings. Prefect sees a task
run a chunk and one artifact a job; the shots are the ledger's.
"""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import contextmanager
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.futures import PrefectConcurrentFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.bootstrap import open_house
from flows.judging import judge_job
from flows.progress import report_stage
from flows.settings import load_settings
from flows.summaries import job_table
from flows.workshop import CHUNKS_IN_FLIGHT, Workshop, open_workshop
from registry.records import JobState, LeasedChunk
from registry.unit_of_work import unit_of_work

LARGEST_CREW = 512  # threads that wait for chunks; more workers than half of this share them

Waiting = PrefectConcurrentFuture[int]


def relay_cancellation(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """A flow run that is cancelled in Prefect cancels its job, which reaches the workers at the next step."""
    del flow, state  # Prefect passes them by name
    house = open_house(load_settings())
    with unit_of_work(house.engine) as work:
        work.ledger.cancel(str(flow_run.parameters["job_id"]), actor="prefect", now=house.clock())
        work.commit()


@flow(
    name="render-batch", persist_result=False, validate_parameters=False, on_cancellation=[relay_cancellation]
)
def render_batch(job_id: str) -> str:
    """Render what is open of a job, judge the pictures, close the job; returns its state."""
    house = open_house(load_settings())
    with open_workshop(house, job_id, report_stage) as workshop:
        crew = min(LARGEST_CREW, CHUNKS_IN_FLIGHT * house.settings.workers)
        runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=crew)
        with runner, _stopped_early(workshop):
            _render_chunks(workshop, runner, crew)
        is_cancelled = workshop.is_cancelled
    state = JobState.CANCELLED if is_cancelled else judge_job(house, job_id)
    create_markdown_artifact(
        key=f"job-{job_id}".lower(), markdown=job_table(house, job_id), description="What became of the job"
    )
    return state.value


@contextmanager
def _stopped_early(workshop: Workshop) -> Iterator[None]:
    """Interrupted or broken, the job does not wait for its chunks to end: workers stop at the next step."""
    try:
        yield
    except BaseException:
        workshop.pool.cancel()
        raise


def make_chunk_task(workshop: Workshop) -> Any:
    """The task of one chunk; nothing of it is cached or stored, because the ledger is the memory."""

    @task(name="render-chunk", cache_policy=NO_CACHE, persist_result=False)
    def render_chunk(lease: str) -> int:
        settled = workshop.render(lease)
        return settled.done

    return render_chunk


def _render_chunks(workshop: Workshop, runner: ThreadPoolTaskRunner[Any], crew: int) -> None:
    """Keep the crew in chunks; failed shots are put back, so ask again until nothing is open."""
    render_chunk = make_chunk_task(workshop)
    under_way: set[Waiting] = set()
    while True:
        chunk: LeasedChunk | None = None
        while len(under_way) < crew and not workshop.is_cancelled and (chunk := workshop.lease()) is not None:
            under_way.add(runner.submit(render_chunk, parameters={"lease": chunk.lease}))
        if not under_way:
            return
        under_way -= _finished(under_way)


def _finished(under_way: set[Waiting]) -> set[Waiting]:
    """Wait for the first chunks to end, and raise what one of them raised."""
    futures = {waiting.wrapped_future: waiting for waiting in under_way}
    done, _ = wait(futures, return_when=FIRST_COMPLETED)
    ended = {futures[future] for future in done}
    for waiting in ended:
        waiting.result(raise_on_failure=True)
    return ended
