"""From tiny repositories to the task a worker gets: pinned and planned as the product does it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from policy.manifest import RenderManifest
from policy.methods import MethodPreset
from policy.plan import ExecutionPlan, PlanRefusal
from policy.planner import make_plan
from policy.tasks import RenderTask, ShotTask
from policy.tiers import ServiceTier
from registry.catalogue import Catalogue
from registry.components import PinnedClaims, claims_of, licensed_components, pin_of, role_of
from registry.menu import PinnedModel, build_menu
from registry.sources import DirectorySource, SourceListing
from tests.factories import (
    NOW,
    RUNTIME,
    make_cost_profile,
    make_fleet,
    make_manifest,
    make_service,
    make_shot,
)
from tests.unit.registry.licensing import catalogue

PROMPTS = ("a fox", "a red heart")
SEEDS = (7, 2**40)
SIZE = 64


def put_papers(root: Path, made_for: Mapping[str, Sequence[str]]) -> None:
    """Give every repository of a shelf a card, with the bases it is made for, and the text of its licence."""
    for organisation in root.iterdir():
        for folder in organisation.iterdir():
            bases = made_for.get(f"{organisation.name}/{folder.name}", ())
            told = "".join(f"- {base}\n" for base in bases)
            told = f"base_model:\n{told}base_model_relation: adapter\n" if bases else ""
            (folder / "README.md").write_text(f"---\nlicense: apache-2.0\n{told}---\n")
            (folder / "LICENSE").write_bytes(catalogue().texts["apache-2.0"])


def catalogue_of(preset: MethodPreset) -> Catalogue:
    """The catalogue with one preset alone."""
    return replace(catalogue(), presets=(preset,))


@cache
def listed(root: Path) -> tuple[SourceListing, ...]:
    """Every repository of a finished shelf, hashed once."""
    source = DirectorySource(root)
    return tuple(source.listing(repo) for repo in source.repositories())


def plan_on(
    root: Path,
    known: Catalogue,
    base: str,
    steps: int,
    method: str,
    tier: ServiceTier = ServiceTier.BATCH,
    **changes: Any,
) -> tuple[ExecutionPlan | PlanRefusal, Mapping[str, PinnedModel]]:
    """Pin everything on the shelf and plan two shots on one of its models; ``changes`` are of both shots."""
    models = pinned_on(root, known)
    facts = {"model": base, "steps": steps, "method": method, "width": SIZE, "height": SIZE} | changes
    shots = tuple(
        make_shot(f"shot-{number}", prompt=prompt, seed=seed, **facts)
        for number, (prompt, seed) in enumerate(zip(PROMPTS, SEEDS, strict=True))
    )
    order = make_manifest(shots=shots, service=make_service(tier=tier))
    return outcome_of(order, known, models), models


def outcome_of(
    order: RenderManifest, known: Catalogue, models: Mapping[str, PinnedModel]
) -> ExecutionPlan | PlanRefusal:
    """What the planner says to an order on these models."""
    menu = build_menu(manifest=order, catalogue=known, pinned=models, use=order.use)
    return make_plan(
        manifest=order, menu=menu, costs=(make_cost_profile(),), fleet=make_fleet(), runtime=RUNTIME, now=NOW
    )


def pinned_on(root: Path, known: Catalogue) -> Mapping[str, PinnedModel]:
    """Everything on the shelf, pinned."""
    source = DirectorySource(root)
    added = [repo for preset in known.presets for repo in preset.repos]
    listings = listed(root)
    pinned = [
        PinnedClaims(pin=pin_of(listing, role_of(listing, added)), claims=claims_of(listing))
        for listing in listings
    ]
    components = licensed_components(pinned, known.text_ids)
    return {
        record.pin.repo: PinnedModel(
            pin=record.pin, component=components[record.pin.repo], root=str(source.locate(record.pin.repo))
        )
        for record in pinned
    }


def task_on(root: Path, known: Catalogue, base: str, steps: int, method: str, **changes: Any) -> RenderTask:
    """The batch of both shots, as the workshop makes it of the plan."""
    from flows.workshop import make_template

    plan, models = plan_on(root, known, base, steps, method, **changes)
    assert isinstance(plan, ExecutionPlan), plan
    (decision,) = plan.decisions
    template = make_template(decision, {model.pin.pin_id: model.root for model in models.values()}, ())
    shots = [
        ShotTask(
            take_id=planned.shot_key[:8],
            shot_key=planned.shot_key,
            prompt=planned.shot.prompt,
            negative=planned.shot.negative,
            seed=seed,
        )
        for planned, seed in zip(plan.shots, SEEDS, strict=True)
    ]
    return replace(template, task_id=f"{base}-{steps}", shots=tuple(shots))
