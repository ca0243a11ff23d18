"""Cost files to profiles: what a picture costs before anything was measured on this machine."""

from collections.abc import Mapping
from typing import Any

from policy.costs import CostKey, CostProfile, RowCost
from registry.licences.strict_table import StrictTable

_NEXT = "Correct the cost file."


def parse_costs(table: Mapping[str, Any], where: str) -> tuple[CostProfile, ...]:
    """The built-in priors of one device class; ``source`` is for readers of the file and must be there."""
    read = StrictTable(table, where, _NEXT)
    device = read.text("device")
    read.text("source")
    profiles = read.many("profile", lambda inner: _profile(inner, device))
    read.close()
    return profiles


def _profile(read: StrictTable, device: str) -> CostProfile:
    key = CostKey(
        stack_id="",
        pipeline=read.text("pipeline"),
        width=read.take("width", int),
        height=read.take("height", int),
        frames=read.take("frames", int, 1),
        device=device,
    )
    fixed_p50, fixed_p95 = read.number("fixed_p50"), read.number("fixed_p95")
    rows = read.many("rows", _rows)
    if not rows or [row.rows for row in rows] != sorted({row.rows for row in rows}):
        raise read.fault('"rows" must be given for at least one count, sorted and each once.')
    return CostProfile(
        key=key,
        fixed_p50=fixed_p50,
        fixed_p95=fixed_p95,
        rows=rows,
        samples=0,
        max_rows=read.take("max_rows", int),
    )


def _rows(read: StrictTable) -> RowCost:
    return RowCost(rows=read.take("rows", int), p50=read.number("p50"), p95=read.number("p95"))
