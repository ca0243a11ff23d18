"""Does the driver grow with the number of pictures that went through it?"""

from benchmarks.measurement import Measurement, at_most, plain, resident_mb
from benchmarks.night import night_manifest, plan_of, temporary_house
from benchmarks.resume import DirectPool
from flows.submitting import submit_plan
from flows.workshop import Workshop

SHOTS, WARM = 40_000, 10_000


def measure() -> Measurement:
    """Drive 40,000 pictures; compare resident memory after 10,000 and at the end."""
    with temporary_house(workers=1, renderer="synthetic") as house:
        plan = plan_of(house, night_manifest(SHOTS), steps=1, method="emoji-64-full")
        job = submit_plan(house, plan)
        del plan
        workshop = Workshop(house, job.job_id, DirectPool())  # type: ignore[arg-type]  # the one method that is used
        made, warm = 0, 0.0
        while (chunk := workshop.lease()) is not None:
            workshop.render(chunk.lease)
            made += sum(len(batch.shots) for batch in chunk.batches)
            if not warm and made >= WARM:
                warm, warm_at = resident_mb(), made
        end = resident_mb()
    growth = (end - warm) / (made - warm_at) * 10_000
    return Measurement(
        question="Does the driver grow with the number of pictures that went through it?",
        figures=(
            at_most("P30", "growth of the driver's resident memory per 10,000 pictures", growth, 5.0, "MB"),
            plain("resident at the end", end, "MB"),
        ),
        conditions=(
            f"{SHOTS:,} pictures leased, answered at once and settled in SQLite; measured from {WARM:,} on, "
            "after the plan was submitted and let go."
        ),
    )
