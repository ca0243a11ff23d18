"""``docs/benchmarks.md`` from the kept results: numbers in the documentation come from nowhere else."""

import json
from pathlib import Path
from typing import Any

from benchmarks.measurement import RESULTS

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `make bench` from `benchmarks/results/*.json`. Every ratio compares two sides that ran in turn in
the same run on the same machine; absolute figures belong to that machine alone. A missed target says so.

"""


def _figure_row(figure: dict[str, Any]) -> str:
    verdict = {True: "met", False: "**missed**", None: ""}[figure["met"]]
    measured = f"{figure['value']:.4g} {figure['unit']}"
    return f"| {figure['id']} | {figure['name']} | {measured} | {figure['target']} | {verdict} |"


def _section(record: dict[str, Any]) -> str:
    machine = record["machine"]
    rows = "\n".join(_figure_row(figure) for figure in record["figures"])
    remark = f"\n{record['remark']}\n" if record["remark"] else ""
    versions = ", ".join(
        f"{name} {machine[name]}" for name in ("python", "torch", "diffusers", "ray", "prefect")
    )
    where = f"{machine['cpu']}, {machine['cores']} cores, load {record['load_average_1min']} at the end"
    return (
        f"## {record['question']}\n\n{record['conditions']}\n\n"
        f"| | figure | measured | target | |\n| --- | --- | --- | --- | --- |\n{rows}\n{remark}\n"
        f"`python -m benchmarks {record['benchmark']}`, {record['measured_at']}, {where}, {versions}.\n"
    )


def write_table() -> Path:
    """Rewrite the page from every kept result."""
    records = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(HEAD + "\n".join(_section(record) for record in records))
    return PAGE
