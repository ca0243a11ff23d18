"""Pictures that somebody waits for, from an order to its delivery: the steps around a render, each at once.

    ordered = order_pictures(...)      planned, judged, in the ledger and leased; or a refusal
    leased = ordered.leased
    while leased:
        results                        from whoever renders, batch by batch
        settled = settle_pictures(...) recorded; once nothing is open judged as made and shipped
        leased = settled.leased
    deliver_pictures(...)              where nothing had to be rendered

Two transactions, one before the render and one after it. No flow and no Prefect: nothing here waits for
anybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from flows.bootstrap import House
from flows.delivery import DeliveredPictures, deliver_within
from flows.holders import own_holder
from flows.judging import figures_of, hold_and_close, judgements_of
from flows.keeping import leave_unkept
from flows.planning import Overrides, PlanningView, apply_overrides, plan_order, shelf_of
from flows.stages import stage
from flows.steering import cancel_job
from flows.submitting import (
    forget_request,
    job_of_request,
    refuse_order,
    require_permitted,
    submit_within,
)
from flows.tasks import make_task, make_template
from policy.costs import CostKey, CostProfile, profile_for
from policy.errors import RenderFault, RightstepError, ServiceFault, WrongMoment
from policy.gates import refused
from policy.keeping import is_kept
from policy.manifest import RenderManifest
from policy.plan import Decision, ExecutionPlan, PlanRefusal
from policy.refusals import is_wrong_order
from policy.tasks import BatchResult, FaultKind, RenderTask, TakeState
from policy.verdicts import Verdict
from registry.ledger_submission import FirstLease
from registry.records import JobRecord, JobState, LeasedChunk, PlanHeader
from registry.requests import RequestKey
from registry.unit_of_work import UnitOfWork, unit_of_work
from workers.pool import unrendered

PICTURE_LABEL = ("surface", "images")  # of jobs that nobody drives but the process that took the order
MOST_BATCHES = 64  # of one order
LOST = "lost"  # the worker of a batch whose renderer died


@dataclass(frozen=True, kw_only=True)
class LeasedPictures:
    """Batches to render now, each with the most pictures that it may be joined to."""

    chunk: LeasedChunk
    tasks: tuple[RenderTask, ...]
    caps: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class OrderedPictures:
    """An order that was accepted, with all that its renders and its delivery need."""

    job: JobRecord
    manifest: RenderManifest
    header: PlanHeader
    caps: tuple[int, ...]  # by decision: pictures that may share its forward passes
    templates: tuple[RenderTask, ...]
    leased: LeasedPictures | None  # what is to be rendered first; None where there is nothing
    is_kept: bool  # whether the bytes stay in the store, or are handed out and leave the record alone

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return self.header.decisions


@dataclass(frozen=True, kw_only=True)
class SettledPictures:
    """What comes after batches that were settled: one of the two."""

    leased: LeasedPictures | None = None  # to be rendered once more
    delivered: DeliveredPictures | None = None


@stage("plan")
def order_pictures(
    house: House, manifest: RenderManifest, *, request: RequestKey | None = None, must_keep: bool = False
) -> OrderedPictures | PlanRefusal:
    """Plan an order, ask the gate, write it into the ledger and lease it, as one transaction.

    A refusal is audited and nothing else. A request that was sent before is the order that came of it
    then, unless that came to nothing. ``must_keep`` keeps the pictures whatever share of them is kept, and
    so does a request that may be sent again.
    """
    with unit_of_work(house.engine, read_only=True) as work:
        registry, costs = house.registry.at(work), house.costs.at(work)
    view = PlanningView(shelf=shelf_of(house, registry), costs=costs)
    known = None if request is None else _remembered(house, request, view)
    if known is not None:
        return known
    order = apply_overrides(house, manifest, Overrides())
    plan = plan_order(house, order, view)
    if isinstance(plan, PlanRefusal):
        if not is_wrong_order(plan):
            refuse_order(house, order, plan)
        return plan
    require_permitted(house, plan)
    with unit_of_work(house.engine) as work:
        known_job = None if request is None else work.requests.job_of(request)
        if known_job is not None:  # the same request came by another way meanwhile
            ordered = _ordered_before(house, work, work.ledger.job(known_job), view)
        else:
            ordered = _submitted(house, work, plan, view, request, must_keep=must_keep)
        work.commit()
    return ordered


def _submitted(
    house: House,
    work: UnitOfWork,
    plan: ExecutionPlan,
    view: PlanningView,
    request: RequestKey | None,
    *,
    must_keep: bool,
) -> OrderedPictures:
    first = FirstLease(
        holder=own_holder(), ttl_seconds=house.settings.lease_seconds, max_batches=MOST_BATCHES
    )
    job, chunk = submit_within(house, work, plan, first)
    if request is not None:
        work.requests.keep(request, job.job_id, house.clock())
    if job.attached:
        return _ordered_before(house, work, job, view)
    stays = must_keep or request is not None or is_kept(job.job_id, house.settings.serve_kept)
    ordered = _accepted(house, job, plan, view, is_kept=stays)
    return replace(ordered, leased=_to_render(ordered, chunk, work.prompts.salt_of(job.job_id)))


def _remembered(house: House, request: RequestKey, view: PlanningView) -> OrderedPictures | None:
    """What came of a request before; a key whose job was cancelled or failed is free again."""
    job = job_of_request(house, request)
    if job is None:
        return None
    if job.state in {JobState.CANCELLED, JobState.FAILED}:
        forget_request(house, request)
        return None
    with unit_of_work(house.engine) as work:
        ordered = _ordered_before(house, work, job, view)
        work.commit()
    return ordered


def _ordered_before(house: House, work: UnitOfWork, job: JobRecord, view: PlanningView) -> OrderedPictures:
    """An order that is in the ledger already; its pictures are kept, since somebody asks for them again."""
    ordered = _accepted(house, job, work.ledger.plan(job.job_id), view, is_kept=True)
    return replace(ordered, leased=_leased_again(house, work, ordered))


def _accepted(
    house: House, job: JobRecord, plan: ExecutionPlan, view: PlanningView, *, is_kept: bool
) -> OrderedPictures:
    roots = {model.pin.pin_id: model.root for model in view.shelf.models.values()}
    facts = (("job_id", job.job_id), ("plan_hash", plan.plan_hash))
    return OrderedPictures(
        job=job,
        manifest=plan.manifest,
        header=PlanHeader.of(plan),
        caps=_caps(house, plan.decisions, view.costs),
        templates=tuple(make_template(decision, roots, facts) for decision in plan.decisions),
        leased=None,
        is_kept=is_kept,
    )


def _caps(house: House, decisions: Sequence[Decision], costs: Sequence[CostProfile]) -> tuple[int, ...]:
    """The most pictures that may share the forward passes of each decision, by its measured profile."""
    device = house.settings.fleet.groups[0].device
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


def _leased_again(house: House, work: UnitOfWork, ordered: OrderedPictures) -> LeasedPictures | None:
    """What is to be rendered of an order; None when nothing is: all is made, or given up."""
    chunk = work.ledger.lease_chunk(
        ordered.job.job_id,
        holder=own_holder(),
        ttl_seconds=house.settings.lease_seconds,
        max_batches=MOST_BATCHES,
        now=house.clock(),
    )
    return _to_render(ordered, chunk, work.prompts.salt_of(ordered.job.job_id))


def _to_render(ordered: OrderedPictures, chunk: LeasedChunk | None, salt: str) -> LeasedPictures | None:
    if chunk is None:
        return None
    return LeasedPictures(
        chunk=chunk,
        tasks=tuple(make_task(batch, ordered.templates[batch.decision], salt) for batch in chunk.batches),
        caps=tuple(ordered.caps[batch.decision] for batch in chunk.batches),
    )


@stage("deliver")
def settle_pictures(
    house: House, ordered: OrderedPictures, leased: LeasedPictures, results: Sequence[BatchResult]
) -> SettledPictures:
    """Record what became of leased batches and lease what failed again, until it is given up.

    Where nothing is left to render the pictures are delivered in the same transaction (see
    ``deliver_pictures`` for what that may raise): what leaves is on record with all that it rests on.
    """
    with unit_of_work(house.engine) as work:
        settled = work.ledger.settle(leased.chunk, results, house.clock())
        is_whole = settled.done >= sum(len(task.shots) - len(task.reuse) for task in leased.tasks)
        again = None if is_whole else _leased_again(house, work, ordered)
        outcome = None if again is not None else _delivered(house, work, ordered)
        work.commit()
    if outcome is None:
        return SettledPictures(leased=again)
    return SettledPictures(delivered=_handed_out(outcome))


def lost_batch(task: RenderTask, detail: str) -> BatchResult:
    """The result of a batch whose renderer was lost with it, whichever that was."""
    return unrendered(task, FaultKind.WORKER, detail, LOST)


@stage("deliver")
def deliver_pictures(house: House, ordered: OrderedPictures) -> DeliveredPictures:
    """Judge what was made, close the job, and hand the pictures out as a shipment of one.

    RenderFault where a picture could not be made, ServiceFault where whoever renders was lost with it each
    time, WrongMoment where the job was cancelled meanwhile; Refused where the gate says no, held
    pictures included. Whichever it is, it is on record when it is raised.
    """
    with unit_of_work(house.engine) as work:
        outcome = _delivered(house, work, ordered)
        work.commit()
    return _handed_out(outcome)


def _delivered(
    house: House, work: UnitOfWork, ordered: OrderedPictures
) -> DeliveredPictures | RightstepError | Verdict:
    job_id, header = ordered.job.job_id, ordered.header
    waived = header.manifest.waive_output_checks
    shots = work.ledger.shots(job_id)
    judgements = () if waived else judgements_of(house, header.decisions, figures_of(shots))
    job = hold_and_close(work, job_id, judgements, house.clock())
    if job.state is JobState.CANCELLED:
        return WrongMoment(f"Job {job_id} was cancelled meanwhile.", "Send the request again.")
    if job.state is not JobState.FINISHED:
        return _not_made(work, job_id)
    outcome = deliver_within(house, work, job, header, shots)
    if isinstance(outcome, DeliveredPictures) and not ordered.is_kept:
        leave_unkept(house, work, job_id, shots)
    return outcome


def _not_made(work: UnitOfWork, job_id: str) -> RightstepError:
    """Why a job has no pictures: lost renderers are worth another try, everything else is not."""
    takes = [take for take in work.ledger.takes(job_id) if take.state is TakeState.DEAD]
    told = next((take.detail for take in takes), "")
    if takes and all(take.fault is FaultKind.WORKER for take in takes):
        return ServiceFault(f"The renderers of job {job_id} were lost: {told}", "Try again later.")
    return RenderFault(f"The pictures of job {job_id} could not be made: {told}", "Look at the job.")


def _handed_out(outcome: DeliveredPictures | RightstepError | Verdict) -> DeliveredPictures:
    """The pictures, once they are on record; anything else is raised."""
    if isinstance(outcome, RightstepError):
        raise outcome
    if isinstance(outcome, Verdict):
        raise refused(outcome)
    return outcome


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
