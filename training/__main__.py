"""`python -m training all` makes the built-in models again; a stage's name runs that stage alone."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from diffusers.utils import logging as diffusers_logging

from training.clips import build_cast
from training.config import SHIPPED
from training.evaluate import evaluate
from training.evaluate_motion import evaluate_motion
from training.fetch import art_sets
from training.pack import pack
from training.pictures import build_gallery
from training.report import write_report
from training.stages import (
    Workshop,
    refine_decoder,
    train_judge,
    train_motion,
    train_student,
    train_styles,
    train_teacher,
    train_tokenizer,
    train_vae,
)
from training.subjects import MOVED, SUBJECTS, TAUGHT
from training.thresholds import measure_checks

STAGES: dict[str, Callable[[Workshop], None]] = {
    "tokenizer": train_tokenizer,
    "vae": train_vae,
    "teacher": train_teacher,
    "distil": train_student,
    "style": train_styles,
    "decoder": refine_decoder,
    "motion": train_motion,
    "pack": pack,
    "judge": train_judge,
    "evaluate": evaluate,
    "clips": evaluate_motion,
    "checks": measure_checks,
    "report": write_report,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one stage or all of them, in the order of the table above."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("stage", choices=["all", *STAGES])
    parser.add_argument("--work", type=Path, default=Path("training/runs"), help="checkpoints and results")
    parser.add_argument("--cache", type=Path, default=Path("training/cache"), help="fetched art packages")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(SHIPPED.threads)
    diffusers_logging.set_verbosity_error()
    chosen.work.mkdir(parents=True, exist_ok=True)
    art = art_sets(chosen.cache)
    shop = Workshop(
        plan=SHIPPED,
        work=chosen.work,
        codec=build_gallery(art, SUBJECTS),
        gallery=build_gallery(art, TAUGHT),
        cast=build_cast(art, MOVED),
        device=chosen.device,
    )
    for name, run in STAGES.items():
        if chosen.stage in ("all", name):
            print(f"training: {name}", flush=True)
            run(shop)


if __name__ == "__main__":
    main()
