"""Render tasks straight from a plan, for sides that need no ledger."""

from dataclasses import replace

from flows.bootstrap import House
from flows.planning import pinned_models
from flows.tasks import make_task, make_template
from policy.plan import ExecutionPlan
from policy.tasks import RenderTask
from registry.records import LeasedBatch, LeasedShot


def tasks_of(house: House, plan: ExecutionPlan) -> tuple[RenderTask, ...]:
    """Every batch of a plan as the worker would get it."""
    roots = {model.pin.pin_id: model.root for model in pinned_models(house).values()}
    return tuple(
        make_task(_leased(plan, number), make_template(plan.decisions[batch.decision], roots, ()), salt="")
        for number, batch in enumerate(plan.batches)
    )


def task_of(house: House, plan: ExecutionPlan) -> RenderTask:
    """All shots of a plan of one decision in one batch."""
    tasks = tasks_of(house, plan)
    return replace(tasks[0], shots=tuple(shot for task in tasks for shot in task.shots))


def _leased(plan: ExecutionPlan, number: int) -> LeasedBatch:
    batch = plan.batches[number]
    first = plan.shots[batch.shots[0]].shot
    return LeasedBatch(
        task_id=f"batch-{number}",
        number=number,
        run=1,
        decision=batch.decision,
        width=first.width,
        height=first.height,
        frames=first.frames,
        shots=tuple(
            LeasedShot(
                take_id=f"take-{index}",
                name=plan.shots[index].shot.name,
                shot_key=plan.shots[index].shot_key,
                prompt=plan.shots[index].shot.prompt,
                negative=plan.shots[index].shot.negative,
                seed=plan.shots[index].shot.seed,
                inputs=(),
                is_settled=False,
            )
            for index in batch.shots
        ),
    )
