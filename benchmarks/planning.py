"""How long does it take to plan 100,000 shots under a deadline?"""

import gc
import json
import resource
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.measurement import Figure, Measurement, at_most, median, plain, timed
from benchmarks.night import MODEL, night_manifest, sample_menu
from flows.manifest_files import load_manifest
from policy.costs import CostProfile, DeviceGroup, Fleet, quantile
from policy.ladder import Ground, Need, climb
from policy.menu import Menu
from policy.plan import ExecutionPlan
from policy.planner import make_plan
from policy.tiers import TIER_TABLE, ServiceTier
from registry.catalogue import load_catalogue

SHOTS = 100_000
ROUNDS = 3
DECISIONS = 5000
UNLIKE = Fleet(groups=(DeviceGroup(workers=4, device="cpu-2"), DeviceGroup(workers=4, device="cpu-1")))
RUNTIME = (("renderer", "diffusers"), ("torch", "2.13.0"))


def measure() -> Measurement:
    """Plan a large night several times, parse the same order from JSON Lines once."""
    now = datetime(2026, 1, 1, 19, 0, tzinfo=UTC)
    manifest = night_manifest(SHOTS, deadline=now + timedelta(days=30))
    menu = sample_menu(manifest)
    costs = load_catalogue().costs
    fleet = Fleet.of(8, "cpu-2")

    def plan() -> None:
        outcome = make_plan(manifest=manifest, menu=menu, costs=costs, fleet=fleet, runtime=RUNTIME, now=now)
        if not isinstance(outcome, ExecutionPlan):
            raise TypeError(f"The sample night was refused: {outcome}")

    plan()
    before = _peak_mb()
    seconds = [timed(plan) for _ in range(ROUNDS)]
    gc.collect()
    figures: tuple[Figure, ...] = (
        at_most("", "planning 100,000 shots", median(seconds), 3.0, "s"),
        at_most(
            "", "planning 100,000 shots where steps must be shed", _shedding(menu, fleet, costs), 3.0, "s"
        ),
        at_most("", "the same on two device classes", _shedding(menu, UNLIKE, _unlike(costs)), 3.0, "s"),
        at_most("", "one decision, warm (p99)", _decision_p99() * 1000, 0.2, "ms"),
        plain("parsing 100,000 shots from JSON Lines", _parsing_seconds(), "s"),
        plain("peak memory added by planning again", _peak_mb() - before, "MB"),
    )
    return Measurement(
        question="How long does it take to plan 100,000 shots under a deadline?",
        figures=figures,
        conditions=f"{SHOTS:,} shots under a deadline that 8 workers meet; median of {ROUNDS} rounds.",
        rounds={"planning_seconds": seconds},
    )


def _unlike(costs: tuple[CostProfile, ...]) -> tuple[CostProfile, ...]:
    """The same costs, and those of a device whose steps take 1.7 times as long."""
    slow = (
        replace(
            one,
            key=replace(one.key, device="cpu-1"),
            rows=tuple(replace(row, p50=row.p50 * 1.7, p95=row.p95 * 1.7) for row in one.rows),
        )
        for one in costs
    )
    return (*costs, *slow)


def _shedding(menu: Menu, fleet: Fleet, costs: tuple[CostProfile, ...]) -> float:
    """A night of sixteen priorities at four fifths of the time that it takes as asked."""
    now = datetime(2026, 1, 1, 19, 0, tzinfo=UTC)
    manifest = night_manifest(SHOTS)
    shots = tuple(replace(shot, priority=number % 16) for number, shot in enumerate(manifest.shots))
    facts: dict[str, Any] = {
        "menu": menu,
        "costs": costs,
        "fleet": fleet,
        "runtime": RUNTIME,
        "now": now,
    }
    whole = make_plan(manifest=manifest, **facts)
    assert isinstance(whole, ExecutionPlan)
    due = now + timedelta(seconds=whole.totals.wall_seconds_p95 * 0.8)
    service = replace(manifest.service, deadline=due, may_degrade=True)
    tight = replace(manifest, shots=shots, service=service)

    def plan() -> None:
        outcome = make_plan(manifest=tight, **facts)
        assert isinstance(outcome, ExecutionPlan)
        assert len(outcome.decisions) > 1

    return median([timed(plan) for _ in range(ROUNDS)])


def _decision_p99() -> float:
    """Choosing method and steps for one request at tier interactive, priced; the menu is there."""
    manifest = night_manifest(1, tier=ServiceTier.INTERACTIVE)
    menu, costs = sample_menu(manifest), load_catalogue().costs
    rule = TIER_TABLE[ServiceTier.INTERACTIVE]
    ground = Ground(service=manifest.service, rule=rule, costs=costs, device="cpu-2")
    need = Need.of(manifest.shots[0])
    offers = menu.offers_for(need.model, need.loras)
    seconds = sorted(timed(lambda: climb(offers, need, ground)) for _ in range(DECISIONS))
    return quantile(seconds, 0.99)


def _parsing_seconds() -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "night.jsonl"
        with path.open("w") as file:
            file.write(json.dumps({"manifest": {"name": "large"}, "defaults": {"model": MODEL}}) + "\n")
            for number in range(SHOTS):
                file.write(
                    json.dumps({"name": f"shot-{number:06}", "prompt": "a fox", "seed": number}) + "\n"
                )
        return timed(lambda: load_manifest(path, now=datetime.now(UTC)))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
