"""``python -m benchmarks [NAME ...]``: run the benchmarks, keep the JSON, rewrite ``docs/benchmarks.md``."""

import argparse
import importlib
import subprocess
import sys

from benchmarks.measurement import Measurement, keep
from benchmarks.table import write_table

BENCHMARKS = (
    "planning",
    "dispatch_simulation",
    "batch_efficiency",
    "scheduling",
    "flow_efficiency",
    "clip_throughput",
    "resume",
    "fail_over",
    "few_steps",
    "stopping",
    "cached",
    "causal_stream",
    "prediction",
    "identical_bytes",
    "verdicts",
    "driver_memory",
    "farm_scale",
    "verification",
    "audit_walk",
    "recall",
    "shipping",
    "request_overhead",
    "serving",
    "serving_soak",
    "live_frames",
    "live_streams",
    "live_soak",
)


def main() -> int:
    """Run the named benchmarks, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"any of {', '.join(BENCHMARKS)}; all when none is named"
    )
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"unknown benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    if len(names) > 1:  # a process binds to one Prefect server and one Ray: each benchmark gets its own
        commands = [[sys.executable, "-m", "benchmarks", name] for name in names]
        return max(subprocess.run(command, check=False).returncode for command in commands)
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        measurement: Measurement = importlib.import_module(f"benchmarks.{name}").measure()
        keep(name, measurement)
        for figure in measurement.figures:
            verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
            facts = f"{figure.value:.4g} {figure.unit} {figure.target} {verdict}"
            print(f"  {figure.id or '-':4} {figure.name}: {facts}", flush=True)
    print(f"table: {write_table()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
