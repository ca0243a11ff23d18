"""The flow of a job: chunks of leased batches onto the workers, until no shot is open.

A flow runs in a process of its own and wires itself from the settings. Prefect sees a task
run a chunk and one artifact a job; the shots are the ledger's.
"""

import time
from collections.abc import Generator
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import contextmanager
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.flows import Flow
from prefect.futures import PrefectConcurrentFuture
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import Task

from flows.announcing import announce_job
from flows.bootstrap import House, open_house
from flows.judging import judge_job
from flows.logs import set_up_logs
from flows.posting import postman
from flows.progress import report_stage
from flows.rendering import job_of
from flows.settings import load_settings
from flows.steering import cancel_job
from flows.summaries import job_table
from flows.turns import fleet_turn
from flows.workshop import Workshop, is_alone, open_workshop
from policy.errors import LedgerFault, ServiceFault
from registry.records import JobState, LeasedChunk
from registry.unit_of_work import unit_of_work

RETRY_SECONDS = [0.5, 2.0, 5.0]  # until the next try at a ledger that was locked or out of reach
OTHERS_SECONDS = 0.5  # until the next look at what another driver holds, and whether the crew has grown
LARGEST_CREW = 512  # threads that wait for chunks; more workers than half of this share them

Waiting = PrefectConcurrentFuture[int]


def relay_cancellation(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """A flow run that is cancelled in Prefect cancels its job, which reaches the workers at the next step."""
    del flow, state  # Prefect passes them by name
    cancel_job(open_house(load_settings()), str(flow_run.parameters["job_id"]), actor="prefect")


@flow(
    name="render-batch", persist_result=False, validate_parameters=False, on_cancellation=[relay_cancellation]
)
def render_batch(job_id: str) -> str:
    """Render what is open of a job, judge the pictures, close the job; returns its state."""
    house = open_house(load_settings())
    set_up_logs(house.settings.logs)
    with postman(house):
        return _render(house, job_id)


def _render(house: House, job_id: str) -> str:
    while _has_more_turns(house, job_id):
        report_stage("giving the workers up")
    with unit_of_work(house.engine, read_only=True) as work:
        is_cancelled = work.ledger.job(job_id).state is JobState.CANCELLED
    state = JobState.CANCELLED if is_cancelled else judge_job(house, job_id)
    create_markdown_artifact(
        key=f"job-{job_id}".lower(), markdown=job_table(house, job_id), description="What became of the job"
    )
    announce_job(house, job_of(house, job_id))
    return state.value


def _has_more_turns(house: House, job_id: str) -> bool:
    """Render while the workers are ours; whether they were given up for another job's sake."""
    with fleet_turn(house, job_id, report_stage) as turn:
        if turn is not None and turn.is_over:
            return False
        goes_on = turn.goes_on if turn is not None else is_alone
        with open_workshop(house, job_id, report_stage, goes_on) as workshop:
            runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=LARGEST_CREW)
            with runner, _stopped_early(workshop):
                _render_chunks(workshop, runner)
            return workshop.gave_way and not workshop.is_cancelled


@contextmanager
def _stopped_early(workshop: Workshop) -> Generator[None]:
    """Interrupted or broken, the job does not wait for its chunks to end: workers stop at the next step."""
    try:
        yield
    except BaseException:
        workshop.pool.cancel()
        raise


def is_passing(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether a chunk is worth another try: a ledger or a service did not answer, which may pass."""
    return isinstance(state.data, LedgerFault | ServiceFault)


def make_chunk_task(workshop: Workshop) -> Any:
    """The task of one chunk; nothing of it is cached or stored, because the ledger is the memory."""

    @task(
        name="render-chunk",
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=len(RETRY_SECONDS),
        retry_delay_seconds=RETRY_SECONDS,
        retry_condition_fn=is_passing,
    )
    def render_chunk(lease: str) -> int:
        settled = workshop.render(lease)
        return settled.done

    return render_chunk


def _render_chunks(workshop: Workshop, runner: ThreadPoolTaskRunner[Any]) -> None:
    """Keep the crew in chunks, however it grows; failed shots are put back, so ask until nothing is open.

    What another driver holds is waited for: its shots settle, or come back when it is gone.
    """
    render_chunk = make_chunk_task(workshop)
    under_way: set[Waiting] = set()
    while True:
        chunk: LeasedChunk | None = None
        crew = min(LARGEST_CREW, workshop.crew)
        while len(under_way) < crew and not workshop.is_cancelled and (chunk := workshop.lease()) is not None:
            under_way.add(runner.submit(render_chunk, parameters={"lease": chunk.lease}))
        if under_way:
            under_way -= _finished(under_way)
        elif not workshop.is_cancelled and not workshop.gave_way and workshop.others_are_at_work():
            time.sleep(OTHERS_SECONDS)
        else:
            return


def _finished(under_way: set[Waiting]) -> set[Waiting]:
    """Wait for the first chunks to end, a while at most, and raise what one of them raised."""
    futures = {waiting.wrapped_future: waiting for waiting in under_way}
    done, _ = wait(futures, timeout=OTHERS_SECONDS, return_when=FIRST_COMPLETED)
    ended = {futures[future] for future in done}
    for waiting in ended:
        waiting.result(raise_on_failure=True)
    return ended
