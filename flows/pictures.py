"""Pictures that somebody waits for, from an order to its delivery: the steps around a render, each at once.

    ordered = order_pictures(...)      planned, judged, in the ledger; or a refusal
    while leased := lease_pictures(...)
        results                        from whoever renders, batch by batch
        settle_pictures(...)           until nothing failed
    deliver_pictures(...)              judged as made, recorded as shipped, bytes in hand

No flow and no Prefect: nothing here waits for anybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flows.bootstrap import House
from flows.delivery import DeliveredPictures, deliver_job
from flows.holders import own_holder
from flows.judging import judge_job
from flows.planning import Overrides, apply_overrides, known_costs, pin_records, plan_manifest, root_of
from flows.rendering import cancel_job
from flows.stages import stage
from flows.submitting import forget_request, job_of_request, refuse_order, submit_plan
from flows.tasks import make_task, make_template
from policy.costs import CostKey, CostProfile, profile_for
from policy.errors import RenderFault, RightstepError, ServiceFault, WrongMoment
from policy.manifest import RenderManifest
from policy.plan import Decision, ExecutionPlan, PlanRefusal
from policy.refusals import is_wrong_order
from policy.tasks import BatchResult, FaultKind, RenderTask, TakeState
from registry.records import JobRecord, JobState, LeasedChunk
from registry.requests import RequestKey
from registry.unit_of_work import unit_of_work
from workers.pool import unrendered

PICTURE_LABEL = ("surface", "images")  # of jobs that nobody drives but the process that took the order
MOST_BATCHES = 64  # of one order
LOST = "lost"  # the worker of a batch whose renderer died


@dataclass(frozen=True, kw_only=True)
class OrderedPictures:
    """An order that was accepted, with all that its renders need."""

    job: JobRecord
    manifest: RenderManifest
    decisions: tuple[Decision, ...]
    caps: tuple[int, ...]  # by decision: pictures that may share its forward passes
    templates: tuple[RenderTask, ...]


@dataclass(frozen=True, kw_only=True)
class LeasedPictures:
    """Batches to render now, each with the most pictures that it may be joined to."""

    chunk: LeasedChunk
    tasks: tuple[RenderTask, ...]
    caps: tuple[int, ...]


@stage("plan")
def order_pictures(
    house: House, manifest: RenderManifest, request: RequestKey | None = None
) -> OrderedPictures | PlanRefusal:
    """Plan an order, ask the gate, write it into the ledger; a refusal is audited and nothing else.

    A request that was sent before is the order that came of it then, unless that came to nothing.
    """
    known = None if request is None else _remembered(house, request)
    if known is not None:
        return known
    plan = plan_manifest(house, manifest)
    if isinstance(plan, PlanRefusal):
        if not is_wrong_order(plan):
            refuse_order(house, apply_overrides(house, manifest, Overrides()), plan)
        return plan
    return _ordered(house, submit_plan(house, plan, request), plan)


def _remembered(house: House, request: RequestKey) -> OrderedPictures | None:
    """What came of a request before; a key whose job was cancelled or failed is free again."""
    job = job_of_request(house, request)
    if job is None:
        return None
    if job.state in {JobState.CANCELLED, JobState.FAILED}:
        forget_request(house, request)
        return None
    with unit_of_work(house.engine, read_only=True) as work:
        plan = work.ledger.plan(job.job_id)
    return _ordered(house, job, plan)


def _ordered(house: House, job: JobRecord, plan: ExecutionPlan) -> OrderedPictures:
    roots = _roots(house, plan)
    facts = (("job_id", job.job_id), ("plan_hash", plan.plan_hash))
    return OrderedPictures(
        job=job,
        manifest=plan.manifest,
        decisions=plan.decisions,
        caps=_caps(house, plan.decisions),
        templates=tuple(make_template(decision, roots, facts) for decision in plan.decisions),
    )


def _roots(house: House, plan: ExecutionPlan) -> dict[str, str]:
    """Where the files of the pins that the plan uses lie."""
    used = {pin.pin_id for decision in plan.decisions for pin in decision.offer.stack.pins}
    records = [record for record in pin_records(house).values() if record.pin.pin_id in used]
    return {record.pin.pin_id: str(root_of(house, record)) for record in records}


def _caps(house: House, decisions: Sequence[Decision]) -> tuple[int, ...]:
    """The most pictures that may share the forward passes of each decision, by its measured profile."""
    costs, device = known_costs(house), house.settings.fleet.groups[0].device
    return tuple(_cap(decision, costs, device) for decision in decisions)


def _cap(decision: Decision, costs: Sequence[CostProfile], device: str) -> int:
    offer = decision.offer
    key = CostKey(
        stack_id=offer.stack.stack_id,
        pipeline=offer.stack.pipeline,
        width=decision.width,
        height=decision.height,
        frames=decision.frames,
        device=device,
        cached_by=offer.preset.name if offer.preset.cache else "",
    )
    return max(decision.batch_size, profile_for(costs, key).max_rows // decision.rows_per_picture)


@stage("plan")
def lease_pictures(house: House, ordered: OrderedPictures) -> LeasedPictures | None:
    """What is to be rendered of an order; None when nothing is: all is made, or given up."""
    with unit_of_work(house.engine) as work:
        salt = work.prompts.salt_of(ordered.job.job_id)
        chunk = work.ledger.lease_chunk(
            ordered.job.job_id,
            holder=own_holder(),
            ttl_seconds=house.settings.lease_seconds,
            max_batches=MOST_BATCHES,
            now=house.clock(),
        )
        work.commit()
    if chunk is None:
        return None
    return LeasedPictures(
        chunk=chunk,
        tasks=tuple(make_task(batch, ordered.templates[batch.decision], salt) for batch in chunk.batches),
        caps=tuple(ordered.caps[batch.decision] for batch in chunk.batches),
    )


@stage("store")
def settle_pictures(house: House, leased: LeasedPictures, results: Sequence[BatchResult]) -> bool:
    """Record what became of leased batches; whether there may be more to lease.

    What failed is queued again, until it is given up.
    """
    with unit_of_work(house.engine) as work:
        settled = work.ledger.settle(leased.chunk, results, house.clock())
        work.commit()
    return settled.done < sum(len(task.shots) - len(task.reuse) for task in leased.tasks)


def lost_batch(task: RenderTask, detail: str) -> BatchResult:
    """The result of a batch whose renderer was lost with it, whichever that was."""
    return unrendered(task, FaultKind.WORKER, detail, LOST)


@stage("deliver")
def deliver_pictures(house: House, ordered: OrderedPictures) -> DeliveredPictures:
    """Judge what was made, close the job, and hand the pictures out as a shipment of one.

    RenderFault where a picture could not be made, ServiceFault where whoever renders was lost with it each
    time, WrongMoment where the job was cancelled meanwhile; Refused where the gate says no, held
    pictures included.
    """
    job_id = ordered.job.job_id
    state = judge_job(house, job_id)
    if state is JobState.CANCELLED:
        raise WrongMoment(f"Job {job_id} was cancelled meanwhile.", "Send the request again.")
    if state is not JobState.FINISHED:
        raise _not_made(house, job_id)
    return deliver_job(house, job_id)


def _not_made(house: House, job_id: str) -> RightstepError:
    """Why a job has no pictures: lost renderers are worth another try, everything else is not."""
    with unit_of_work(house.engine, read_only=True) as work:
        takes = [take for take in work.ledger.takes(job_id) if take.state is TakeState.DEAD]
    told = next((take.detail for take in takes), "")
    if takes and all(take.fault is FaultKind.WORKER for take in takes):
        return ServiceFault(f"The renderers of job {job_id} were lost: {told}", "Try again later.")
    return RenderFault(f"The pictures of job {job_id} could not be made: {told}", "Look at the job.")


def abandon_pictures(house: House, ordered: OrderedPictures) -> None:
    """Whoever ordered is gone: the job is cancelled, and what still arrives counts for nothing."""
    cancel_job(house, ordered.job.job_id)


def cancel_orphans(house: House) -> int:
    """Cancel orders whose process ended without a word; to be asked before the first order is taken."""
    with unit_of_work(house.engine, read_only=True) as work:
        open_states = [state for state in JobState if not state.is_finished]
        left = [job for job in work.ledger.jobs(states=open_states) if PICTURE_LABEL in job.labels]
    for job in left:
        cancel_job(house, job.job_id)
    return len(left)
