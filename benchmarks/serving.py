"""What does governance cost somebody who waits, and what do batches and refusals give under load?"""

from pathlib import Path

from benchmarks.load import Load, closed_loop, open_loop
from benchmarks.measurement import Measurement, at_least, at_most, median, plain, timed
from benchmarks.plain_server import Pipeline
from benchmarks.served_pictures import Caller, Server, plain_server, rightstep_server, wish
from benchmarks.serving_plot import PICTURE, Line, draw

HUB = Path(__file__).parent.parent / "registry" / "builtin" / "hub" / "rightstep"
BASE, LORA = HUB / "emoji-64", HUB / "emoji-64-lcm-lora"
ROUNDS, IN_A_ROUND = 8, 10
CALLERS = (1, 8, 16, 24)
SIZES = (1, 2, 4, 8)  # of bare batches; the measured profile of the built-in student goes up to the last
REQUESTS = 64  # of a closed loop
OVERLOAD_SECONDS, DEADLINE = 15.0, 2.0
LOADS = (0.5, 0.9, 1.1, 1.5, 2.0)  # of what the plain server can do, for the plot
LOAD_SECONDS = 6.0


def measure() -> Measurement:
    """One picture at a time in turn with the bare call; then many callers; then twice what can be done."""
    bare = Pipeline(BASE, LORA)
    bare.pngs(["a flat fox"], [0])
    with rightstep_server() as ours, plain_server(BASE, LORA) as theirs:
        rounds = _in_turn(bare, ours, theirs)
        bare_rates, closed = [_bare_throughput(bare)], dict[int, Load]()
        # In turn with the bare call, which a neighbour slows as well.
        for number, callers in enumerate(CALLERS):
            closed[callers] = closed_loop(
                ours, callers=callers, requests=REQUESTS, first_seed=10_000 * (number + 1)
            )
            bare_rates.append(_bare_throughput(bare))
        optimum, unbatched = (median([rates[place] for rates in bare_rates]) for place in (0, 1))
        their_best = _rate(closed_loop(theirs, callers=8, requests=REQUESTS, first_seed=900_000))
        best = max(map(_rate, closed.values()))
        over = open_loop(
            ours,
            rate=2 * best,
            seconds=OVERLOAD_SECONDS,
            first_seed=1_000_000,
            make=lambda seed: wish(seed, deadline_seconds=DEADLINE),
        )
        _plot(ours, theirs, their_best)
    base = rounds["bare"]
    overheads = [one - median(base) for one in rounds["rightstep"]]
    return Measurement(
        question="What does a governed picture on demand cost, and how does the service stand under load?",
        figures=(
            at_most("P16", "overhead over the bare call, p50", _ms(overheads, 0.5), 10, "ms"),
            at_most(
                "P16",
                "p95 over the bare call's p95",
                _ms(rounds["rightstep"], 0.95) - _ms(base, 0.95),
                20,
                "ms",
            ),
            plain("bare pipeline call with PNG, p50", _ms(base, 0.5), "ms"),
            plain("rightstep, p50", _ms(rounds["rightstep"], 0.5), "ms"),
            plain("plain FastAPI server, p50", _ms(rounds["plain"], 0.5), "ms"),
            at_least("P27", "throughput, of the bare optimum", best / optimum, 0.9),
            at_least(
                "P27", "least throughput, of unbatched", min(map(_rate, closed.values())) / unbatched, 1.0
            ),
            plain("bare optimum, batches of up to 8", optimum, "pictures/s"),
            *(
                plain(f"rightstep, {callers} callers", _rate(load), "pictures/s")
                for callers, load in closed.items()
            ),
            plain("plain FastAPI server, 8 callers", their_best, "pictures/s"),
            at_most(
                "", "twice the load: p99 of what was made", quantile(over.latencies, 0.99), DEADLINE, "s"
            ),
            at_most("", "twice the load: a refusal, p95", _ms(over.refused, 0.95), 50, "ms"),
            plain("twice the load: made", _share(over, len(over.latencies)), "of all"),
            plain("twice the load: refused", _share(over, len(over.refused)), "of all"),
            plain("twice the load: given up past the deadline", _share(over, len(over.given_up)), "of all"),
        ),
        conditions=(
            "rightstep/emoji-64, 4 steps, 64 x 64, one replica with one torch thread, ledger on SQLite; "
            f"{ROUNDS} x {IN_A_ROUND} pictures in turn, {REQUESTS} requests from each number of callers, "
            f"Poisson arrivals at twice the best rate for {OVERLOAD_SECONDS:g} s with {DEADLINE:g} s each. "
            f"The client runs on the same cores. Latency by load: pictures/{PICTURE.name}."
        ),
        rounds=rounds,
    )


def _in_turn(bare: Pipeline, ours: Server, theirs: Server) -> dict[str, list[float]]:
    governed, plain_caller = Caller(ours), Caller(theirs)
    values: dict[str, list[float]] = {"bare": [], "rightstep": [], "plain": []}
    for caller in (governed, plain_caller):
        for seed in range(5):
            caller.picture(seed)
    for number in range(ROUNDS):
        seeds = range(100 + number * IN_A_ROUND, 100 + (number + 1) * IN_A_ROUND)
        values["bare"] += [timed(lambda seed=seed: bare.pngs(["a flat fox"], [seed])) for seed in seeds]  # type: ignore[misc]
        for name, caller in (("rightstep", governed), ("plain", plain_caller)):
            caller.connect()
            values[name] += [caller.picture(seed) for seed in seeds]
    return values


def _bare_throughput(bare: Pipeline) -> tuple[float, float]:
    """Pictures a second of the bare call: at the best batch size, and one by one."""
    rates = []
    for size in SIZES:
        prompts, seeds = ["a flat fox"] * size, list(range(size))
        seconds = median([timed(lambda p=prompts, s=seeds: bare.pngs(p, s)) for _ in range(3)])  # type: ignore[misc]
        rates.append(size / seconds)
    return max(rates), rates[0]


def _plot(ours: Server, theirs: Server, their_best: float) -> None:
    lines = []
    for number, (name, server) in enumerate((("plain FastAPI + diffusers", theirs), ("rightstep", ours))):
        points = []
        for place, share in enumerate(LOADS):
            load = open_loop(
                server,
                rate=share * their_best,
                seconds=LOAD_SECONDS,
                first_seed=2_000_000 * (number + 1) + 10_000 * place,
            )
            points.append((quantile(load.latencies, 0.5), quantile(load.latencies, 0.95)))
        lines.append(Line(name=name, points=tuple(points)))
    draw(lines, LOADS, their_best)


def _rate(load: Load) -> float:
    return len(load.latencies) / load.seconds


def _share(load: Load, part: int) -> float:
    return part / max(1, sum(load.statuses.values()))


def quantile(values: list[float], share: float) -> float:
    """The value that so many of them do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _ms(values: list[float], share: float) -> float:
    return 1000 * quantile(values, share)
