"""What does the training-free cache of the built-in model save, and how far do its pictures move?"""

import numpy as np

from benchmarks.bench_tasks import task_of
from benchmarks.few_steps import Side
from benchmarks.measurement import Measurement, alternate, median, plain
from benchmarks.night import night_manifest, plan_of, temporary_house

PICTURES, ROUNDS, STEPS = 8, 7, 40


def measure() -> Measurement:
    """Render one batch in full and under the cache, in turn."""
    with temporary_house() as house:
        manifest = night_manifest(PICTURES)
        sides = {
            name: Side(task_of(house, plan_of(house, manifest, steps=STEPS, method=f"emoji-64-{name}")))
            for name in ("full", "broadcast")
        }
        for side in sides.values():
            side.denoise()
        denoising = alternate({name: side.denoise for name, side in sides.items()}, ROUNDS)
    share = median([cached / full for full, cached in zip(*denoising.values(), strict=True)])
    apart = sides["full"].pictures - sides["broadcast"].pictures
    fidelity = -10 * np.log10((apart**2).mean(axis=(1, 2, 3)))
    return Measurement(
        question="What does a training-free cache save on the built-in model?",
        figures=(
            plain("seconds of a step under emoji-64-broadcast / in full", share, "ratio"),
            plain("PSNR against the full run, median picture", float(np.median(fidelity)), "dB"),
            plain("PSNR against the full run, worst picture", float(fidelity.min()), "dB"),
        ),
        conditions=(
            f"A batch of {PICTURES} pictures of 64 x 64 at {STEPS} guided steps, 2 torch threads; attention "
            f"every three steps; median of {ROUNDS} rounds in turn, each compared with its neighbour."
        ),
        remark=(
            "Convolutions, which no cache of diffusers 0.42.1 skips in a UNet, are most of a step of this "
            "model; a transformer spends far more of it in attention."
        ),
        rounds=denoising,
    )
