"""How far off is the end that is told when a tenth of a real job is made?"""

from dataclasses import replace

from benchmarks.measurement import Measurement, at_most, median, plain
from benchmarks.night import night_manifest, plan_of
from benchmarks.served_house import served_house
from flows.bootstrap import House
from flows.exporting import make_view
from flows.rendering import job_of, render_job
from flows.reports.predictions import Prediction, make_prediction
from flows.submitting import submit_plan
from policy.manifest import LoraRequest, RenderManifest

WORKERS = 2
STYLE = LoraRequest(repo="rightstep/emoji-64-style-twemoji", scale=1.0)


def measure() -> Measurement:
    """Render orders one after another in one house, as the built-in model does them."""
    told: dict[str, Prediction] = {}
    with served_house(workers=WORKERS, threads=1) as house:
        for number, (name, manifest) in enumerate(orders().items()):
            told[name] = _run(house, manifest)
            if number == 0:
                del told[name]  # the first flow of a process imports Prefect and Ray
    early = [one.early.error for one in told.values() if one.early is not None]
    submitted = [one.submitted.error for one in told.values() if one.submitted is not None]
    device = [one.device_error for one in told.values()]
    return Measurement(
        question="How far off is the end that is told of a real job?",
        figures=(
            at_most("P25", "error of the end told at a tenth of the job, median", median(early), 0.10),
            plain("the worst of them", max(early), "ratio"),
            plain("error of the end told at submit, median", median(submitted), "ratio"),
            plain("error of the device time told at submit, median", median(device), "ratio"),
            *(
                plain(
                    f"{name}: error at submit, then at a tenth",
                    one.early.error if one.early else 0.0,
                    f"ratio, after {one.submitted.error:.3g}" if one.submitted else "ratio",
                )
                for name, one in told.items()
            ),
        ),
        conditions=(
            f"Orders of the built-in model on {WORKERS} workers of one thread, through Prefect, Ray and the "
            "ledger; the error is that of the median, relative to what was still to come. The first order is "
            "planned from the built-in prior, the later ones from what was measured before them."
        ),
        rounds={"early": early, "submitted": submitted, "device": device},
    )


def orders() -> dict[str, RenderManifest]:
    """One to warm up, then orders that differ in length, steps and stacks."""
    return {
        "warm-up": _order(8, 0, steps=4, method="emoji-64-lcm"),
        "20 batches, from the prior": _order(160, 10_000, steps=25),
        "50 batches, measured": _order(400, 20_000, steps=25),
        "distilled, from the prior": _order(1600, 30_000, steps=4, method="emoji-64-lcm"),
        "distilled again, measured": _order(1600, 60_000, steps=4, method="emoji-64-lcm"),
        "two stacks": _mixed(400, 80_000),
    }


def _order(pictures: int, seed: int, *, steps: int, method: str = "emoji-64-full") -> RenderManifest:
    manifest = night_manifest(pictures, first_seed=seed)
    return replace(
        manifest, shots=tuple(replace(shot, steps=steps, method=method) for shot in manifest.shots)
    )


def _mixed(pictures: int, seed: int) -> RenderManifest:
    """Half of the pictures in a style, which is another stack."""
    manifest = _order(pictures, seed, steps=25)
    shots = (
        replace(shot, loras=(STYLE,) if number < pictures // 2 else ())
        for number, shot in enumerate(manifest.shots)
    )
    return replace(manifest, shots=tuple(shots))


def _run(house: House, manifest: RenderManifest) -> Prediction:
    job = submit_plan(house, plan_of(house, manifest))
    render_job(house, job.job_id)
    if job_of(house, job.job_id).counts.done != len(manifest.shots):
        raise RuntimeError("The benchmark's job did not finish.")
    view, _ = make_view(house, job.job_id)
    return make_prediction(view)
