"""A job in a few lines: the one artifact that Prefect keeps of it."""

from flows.bootstrap import House
from policy.wording import number
from registry.unit_of_work import unit_of_work


def job_table(house: House, job_id: str) -> str:
    """A Markdown table of what became of a job; one for each job, whatever its size."""
    with unit_of_work(house.engine, read_only=True) as work:
        job = work.ledger.job(job_id)
        header = work.ledger.header(job_id)
    counts = job.counts
    rows = [
        ("state", f"{job.state.value} {job.detail}".strip()),
        ("shots", f"{counts.shots:,}"),
        ("done", f"{counts.done:,}"),
        ("reused", f"{counts.reused:,}"),
        ("dead", f"{counts.dead:,}"),
        ("failed attempts", f"{counts.failed_takes:,}"),
        ("plan", header.plan_hash[:16]),
        *(
            (f"method {place + 1}", f"{one.offer.preset.name}, {one.steps} steps, {_guidance(one.guidance)}")
            for place, one in enumerate(header.decisions)
        ),
    ]
    lines = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"### {job.name}\n\n| | |\n| --- | --- |\n{lines}\n"


def _guidance(knobs: tuple[tuple[str, float], ...]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in knobs) or "no guidance"
