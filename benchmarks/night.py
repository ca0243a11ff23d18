"""The orders that benchmarks run: large ones for planning, small ones with a renderer that only sleeps."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.bootstrap import House, open_house
from flows.planning import Overrides, pinned_models, plan_manifest
from flows.settings import Settings
from policy.manifest import RenderManifest, Shot
from policy.menu import Menu
from policy.plan import ExecutionPlan, PlannedBatch
from policy.tiers import ServiceLevel, ServiceTier
from policy.uses import IntendedUse
from registry.menu import build_menu

MODEL = "rightstep/emoji-64"


def night_manifest(
    shots: int,
    *,
    deadline: datetime | None = None,
    tier: ServiceTier = ServiceTier.BATCH,
    first_seed: int = 0,
) -> RenderManifest:
    """An order of many foxes, each with a seed of its own; other seeds are other pictures: no reuse."""
    return RenderManifest(
        name=f"night of {shots}",
        shots=tuple(
            Shot(
                name=f"shot-{number:06}",
                prompt="a fox",
                model=MODEL,
                seed=first_seed + number,
                where=f"shots[{number}]",
            )
            for number in range(shots)
        ),
        service=ServiceLevel(tier=tier, deadline=deadline),
        use=IntendedUse(territories=("WORLD",)),
        owner="benchmark",
    )


@contextmanager
def temporary_house(**settings: object) -> Iterator[House]:
    """A house of its own in a short folder, gone afterwards."""
    with TemporaryDirectory(prefix="rsb-") as folder:
        house = open_house(Settings(home=Path(folder), **settings))  # type: ignore[arg-type]  # settings by keyword
        try:
            yield house
        finally:
            house.engine.dispose()


def sample_menu(manifest: RenderManifest) -> Menu:
    """The real menu of the built-in model for an order."""
    with temporary_house() as house:
        return build_menu(
            manifest=manifest, catalogue=house.catalogue, pinned=pinned_models(house), use=manifest.use
        )


def plan_of(
    house: House, manifest: RenderManifest, *, steps: int | None = None, method: str | None = None
) -> ExecutionPlan:
    """The plan of an order, with explicit steps or method where a side of a benchmark needs them."""
    if steps is not None or method is not None:
        shots = tuple(replace(shot, steps=steps, method=method) for shot in manifest.shots)
        manifest = replace(manifest, shots=shots)
    outcome = plan_manifest(house, manifest, Overrides())
    if not isinstance(outcome, ExecutionPlan):
        raise TypeError(f"The order of a benchmark was refused: {outcome.reasons}")
    return outcome


def one_by_one(plan: ExecutionPlan) -> ExecutionPlan:
    """The same plan with every picture in a batch of its own: the worst case for overhead."""
    batches = tuple(
        PlannedBatch(decision=planned.decision, shots=(index,)) for index, planned in enumerate(plan.shots)
    )
    return replace(plan, batches=batches)
