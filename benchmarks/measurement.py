"""What a benchmark answers with, and where the answer is kept."""

import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("rightstep", "ray", "prefect", "torch", "diffusers", "sqlalchemy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One measured number beside its target."""

    id: str  # the target's number, such as "P1"; "" for a figure that explains another
    name: str
    value: float
    unit: str
    target: str = ""  # such as ">= 0.97"; "" for no target
    met: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """The answer to one question."""

    question: str
    figures: tuple[Figure, ...]
    conditions: str  # sizes, rounds, what runs on both sides
    remark: str = ""  # why a target was missed, or how to read the figures
    rounds: dict[str, list[float]] = field(default_factory=dict)  # raw values by side


def at_least(id_: str, name: str, value: float, bound: float, unit: str = "ratio") -> Figure:
    """A figure that should not be below its bound."""
    return Figure(id=id_, name=name, value=value, unit=unit, target=f">= {bound:g}", met=value >= bound)


def at_most(id_: str, name: str, value: float, bound: float, unit: str = "ratio") -> Figure:
    """A figure that should not be above its bound."""
    return Figure(id=id_, name=name, value=value, unit=unit, target=f"<= {bound:g}", met=value <= bound)


def plain(name: str, value: float, unit: str) -> Figure:
    """A figure without a target, kept because it explains the others."""
    return Figure(id="", name=name, value=value, unit=unit)


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes, by the monotonic clock."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def alternate(sides: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run every side once a round, in turn, so that a noisy neighbour disturbs all of them alike."""
    values: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            values[name].append(side())
    return values


def median(values: Sequence[float]) -> float:
    """The middle of the rounds: one disturbed round moves it little."""
    return statistics.median(values)


def resident_mb() -> float:
    """Megabytes of this process in memory, garbage collected first."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def machine_facts() -> dict[str, str | int]:
    """What the figures were measured on."""
    model = (
        next(
            (
                line.split(":", 1)[1].strip()
                for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")
            ),
            platform.processor(),
        )
        if Path("/proc/cpuinfo").exists()
        else platform.processor()
    )
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def keep(name: str, measurement: Measurement) -> Path:
    """Write an answer to ``results/NAME.json``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    record = {
        "benchmark": name,
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine_facts(),
        "load_average_1min": round(os.getloadavg()[0], 2),
        **asdict(measurement),
    }
    path.write_text(json.dumps(record, indent=2) + "\n")
    return path
