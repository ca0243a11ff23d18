"""What do the rules of dispatch buy over a plain queue, while nights go on?

A discrete-event simulation; every assumption stands in ``benchmarks.dispatch_workloads``. The
schedulers share workers, orders, luck and the way in which batches are filled; they differ
in what comes next, and ours may choose fewer steps where an order allows it.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from statistics import median

from benchmarks.dispatch_engine import OTHERS, Fleet, Outcome, Scheduler
from benchmarks.dispatch_plot import Panel, draw
from benchmarks.dispatch_workloads import LOADS, WORKLOADS, orders_of, two_models
from benchmarks.measurement import Figure, Measurement, at_least, at_most, plain
from policy.dispatch import Rules, choose_next
from policy.tiers import ServiceTier

SEEDS = 20
ABLATION_SEEDS = 3
PROCESSES = 4
LOAD = 0.9  # at which the target stands
OURS, FIRST, FIXED = "rightstep", "first come", "fixed priority"
SCHEDULERS = (FIRST, FIXED, "earliest deadline", OURS)
INTERLEAVED = 400  # pictures of two models in turn

WHY = (
    "The three others lose most of their time to loads: they swap stacks for nearly every batch. "
    "Bursts want about twice what four workers can make within the targets, warm or not; that "
    "bounds what any order of work gains there. In the mixed workload the workers that stay warm "
    "for those who wait are taken from the nights, which come later than first come would make "
    "them. Every picture counts alike, and most are interactive."
    "\n"
)

Run = tuple[str, str, float, int]  # scheduler, workload, load, seed
Figures = dict[str, float]


def measure() -> Measurement:
    """Every scheduler on every workload, load and seed; then each rule left out; then two models in turn."""
    runs = [
        (name, workload, load, seed)
        for workload in WORKLOADS
        for load in LOADS
        for name in SCHEDULERS
        for seed in range(SEEDS)
    ]
    left_out = [
        (name, workload, LOAD, seed)
        for name in ablations()
        for workload in WORKLOADS
        for seed in range(ABLATION_SEEDS)
    ]
    with ProcessPoolExecutor(PROCESSES) as processes:
        found = dict(
            zip(runs + left_out, processes.map(simulated, runs + left_out, chunksize=2), strict=True)
        )
    draw(
        [
            Panel(
                title=workload,
                lines={
                    name: [_median(found, name, workload, load) * 100 for load in LOADS]
                    for name in SCHEDULERS
                },
            )
            for workload in WORKLOADS
        ],
        LOADS,
    )
    return Measurement(
        question="What do the rules of dispatch buy over a plain queue, while nights go on?",
        figures=(*_targets(found), *_swaps()),
        conditions=(
            f"A discrete-event simulation: {SEEDS} seeds, {len(WORKLOADS)} workloads, loads "
            f"{', '.join(map(str, LOADS))}, 4 workers, 4 stacks; all assumptions in "
            "`benchmarks/dispatch_workloads.py`. Attainment is the part of the pictures that was there by "
            "its deadline; points are per cent of all pictures, paired by seed."
        ),
        remark=_tables(found),
        rounds={
            f"attainment {workload} {load} {name}": [
                found[name, workload, load, seed]["all"] for seed in range(SEEDS)
            ]
            for workload in WORKLOADS
            for load in LOADS
            for name in SCHEDULERS
        },
    )


def ablations() -> dict[str, Rules]:
    """Each rule left out."""
    whole = Rules()
    found: dict[str, Rules] = {}
    for guard in whole.guards:
        others = tuple(one for one in whole.guards if one is not guard)
        found[f"without {guard.name}"] = replace(whole, guards=others)
    for preference in whole.preferences:
        rest = tuple(one for one in whole.preferences if one is not preference)
        found[f"without {preference.name}"] = replace(whole, preferences=rest)
    found["without fewer steps"] = replace(whole, fits_steps=False)
    return found


def scheduler_of(name: str) -> Scheduler:
    """A scheduler by its name in the tables."""
    if name in OTHERS:
        return OTHERS[name]
    return partial(choose_next, rules=ablations().get(name, Rules()))


def simulated(run: Run) -> Figures:
    """The figures of one run."""
    name, workload, load, seed = run
    return _figures(Fleet(scheduler_of(name), seed).run(orders_of(workload, load, seed)))


def _figures(outcome: Outcome) -> Figures:
    return {
        "all": outcome.attainment(),
        "interactive": outcome.attainment(ServiceTier.INTERACTIVE),
        "batch": outcome.attainment(ServiceTier.BATCH),
        "quality": outcome.quality / outcome.quality_asked,
        "quality in time": outcome.quality_in_time / outcome.quality_asked,
        "swaps": outcome.swaps,
        "wait i": outcome.longest_wait[ServiceTier.INTERACTIVE],
        "wait b": outcome.longest_wait[ServiceTier.BATCH],
        "gap": outcome.worst_owner_gap,
    }


def _median(found: dict[Run, Figures], name: str, workload: str, load: float, figure: str = "all") -> float:
    return median(_values(found, name, workload, load, figure))


def _values(found: dict[Run, Figures], name: str, workload: str, load: float, figure: str) -> list[float]:
    return [
        value[figure]
        for (scheduler, on, at, _), value in found.items()
        if (scheduler, on, at) == (name, workload, load)
    ]


def _points(found: dict[Run, Figures], other: str, workload: str, load: float) -> list[float]:
    """How far ours is above another scheduler, seed by seed."""
    ours, theirs = (_values(found, name, workload, load, "all") for name in (OURS, other))
    return [100 * (mine - its) for mine, its in zip(ours, theirs, strict=True)]


def _targets(found: dict[Run, Figures]) -> Iterable[Figure]:
    for workload in WORKLOADS:
        points = _points(found, FIRST, workload, LOAD)
        where = f"{workload}, load {LOAD}"
        yield at_least("P24", f"attainment over first come, {where}, median", median(points), 30, "points")
        yield plain(f"the same, worst of {SEEDS} seeds", min(points), "points")
    fixed = [_points(found, FIXED, workload, load) for workload in WORKLOADS for load in LOADS]
    lowest = min(median(points) for points in fixed)
    yield at_least("P24", "attainment over fixed priority, lowest median of all", lowest, 0, "points")
    yield plain("the same, worst seed of all", min(min(points) for points in fixed), "points")
    for workload in WORKLOADS:
        quality = _median(found, OURS, workload, LOAD, "quality")
        yield plain(f"quality delivered, of what was asked for, {workload}, load {LOAD}", quality, "ratio")


def _swaps() -> Iterable[Figure]:
    orders = two_models(INTERLEAVED)
    ours, first = (Fleet(scheduler_of(name), 0).run(orders).swaps for name in (OURS, FIRST))
    yield at_most("P26", f"model swaps over those of first come, {INTERLEAVED} pictures", ours / first, 0.1)
    yield plain("model swaps of first come", first, "")


COLUMNS: tuple[tuple[str, Callable[[Callable[[str], list[float]]], str]], ...] = (
    ("in time", lambda of: f"{100 * median(of('all')):.0f} %"),
    ("worst", lambda of: f"{100 * min(of('all')):.0f} %"),
    ("interactive", lambda of: f"{100 * median(of('interactive')):.0f} %"),
    ("batch", lambda of: f"{100 * median(of('batch')):.0f} %"),
    ("quality", lambda of: f"{100 * median(of('quality')):.1f} %"),
    ("quality in time", lambda of: f"{100 * median(of('quality in time')):.0f} %"),
    ("swaps", lambda of: f"{median(of('swaps')):.0f}"),
    ("longest wait", lambda of: f"{median(of('wait i')):.0f} / {median(of('wait b')):.0f} s"),
    ("owners apart", lambda of: f"{100 * median(of('gap')):.0f}"),
)


def _tables(found: dict[Run, Figures]) -> str:
    head = "| workload | load | scheduler |" + "|".join(f" {title} " for title, _ in COLUMNS) + "|\n"
    rule = "| --- " * (3 + len(COLUMNS)) + "|\n"
    rows = [
        _row(found, name, workload, load) for workload in WORKLOADS for load in LOADS for name in SCHEDULERS
    ]
    legend = (
        "Medians over seeds; *worst* is the worst seed, *quality* that of all pictures over what was asked "
        "for, *longest wait* that of interactive / batch pictures, *owners apart* the points of attainment "
        "between the best and the worst served owner of interactive orders.\n"
    )
    bought = (
        f"What each rule buys at load {LOAD}: attainment in per cent, and its change where the rule is left "
        f"out ({ABLATION_SEEDS} seeds).\n"
    )
    left_out = "| | " + " | ".join(WORKLOADS) + " |\n" + "| --- " * (1 + len(WORKLOADS)) + "|\n"
    return "\n".join([WHY, legend, head + rule + "".join(rows), bought, left_out + _left_out(found)])


def _row(found: dict[Run, Figures], name: str, workload: str, load: float) -> str:
    cells = [say(partial(_values, found, name, workload, load)) for _, say in COLUMNS]
    return f"| {workload} | {load} | {name} | {' | '.join(cells)} |\n"


def _left_out(found: dict[Run, Figures]) -> str:
    def change(name: str, workload: str) -> str:
        pairs = [
            100 * (found[name, workload, LOAD, seed]["all"] - found[OURS, workload, LOAD, seed]["all"])
            for seed in range(ABLATION_SEEDS)
        ]
        return f"{median(pairs):+.1f}"

    whole = [f"{100 * _median_of_first(found, workload):.1f}" for workload in WORKLOADS]
    rows: Sequence[tuple[str, Sequence[str]]] = [
        ("all rules", whole),
        *((name, [change(name, workload) for workload in WORKLOADS]) for name in ablations()),
    ]
    return "".join(f"| {name} | {' | '.join(cells)} |\n" for name, cells in rows)


def _median_of_first(found: dict[Run, Figures], workload: str) -> float:
    return median(found[OURS, workload, LOAD, seed]["all"] for seed in range(ABLATION_SEEDS))
