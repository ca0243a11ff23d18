"""The order of the work and where each stage leaves its result.

Each function is done when its result folder exists, and starts from its checkpoint when one is there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from torch import Tensor
from transformers import CLIPTokenizer

from training.checkpoints import read_state, run_stage, write_atomically
from training.clips import Cast, ClipLessons, cast_latents
from training.config import TrainingPlan
from training.diffusion import new_scheduler
from training.distil import DistilStage
from training.judge import Examples, Judge, JudgeStage
from training.lora import save_lora
from training.motion import MotionStage, new_motion_model, save_motion
from training.pictures import ART, BACKGROUND_NAMES, Gallery
from training.style import StyleStage
from training.subjects import ADDED_STYLES, STYLES
from training.teacher import Lessons, TeacherStage
from training.tokenizer import make_tokenizer
from training.vae import DecoderStage, VaeStage, encode, psnr, round_trip


@dataclass(frozen=True, kw_only=True, slots=True)
class Workshop:
    """`codec` are the pictures the codec learns, `gallery` those the model learns and is measured on.

    `cast` are the subjects that the motion adapter moves.
    """

    plan: TrainingPlan
    work: Path
    codec: Gallery
    gallery: Gallery
    cast: Cast
    device: str

    @property
    def cores(self) -> int:
        """Parts that a batch is split into: one for each core, and one on an accelerator."""
        return self.plan.threads if self.device == "cpu" else 1

    def vae(self) -> AutoencoderKL:
        refined = self.work / "vae-refined"
        vae: AutoencoderKL = AutoencoderKL.from_pretrained(refined if refined.exists() else self.work / "vae")
        return vae.eval()

    def tokenizer(self) -> CLIPTokenizer:
        tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(self.work / "tokenizer")
        return tokenizer

    def teacher(self) -> StableDiffusionPipeline:
        pipe = StableDiffusionPipeline.from_pretrained(
            self.work / "teacher", torch_dtype=torch.float32, safety_checker=None
        )
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def judge(self) -> Judge:
        counts = len(self.gallery.names), len(ART), len(BACKGROUND_NAMES)
        judge = Judge(*counts, self.plan.judge.features)
        judge.load_state_dict(read_state(self.work / "judge.pt"))
        return judge.eval()

    def record(self, stage: str, **figures: float) -> None:
        """Add a stage's figures to the run's record."""
        path = self.work / "record.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(known | {stage: figures}, indent=1) + "\n")


def train_tokenizer(shop: Workshop) -> None:
    """Build the tokenizer; it takes no time and is simply made again."""
    make_tokenizer(shop.gallery.names, shop.work / "tokenizer")


def train_vae(shop: Workshop) -> None:
    """Train the codec, fold its normalisation, and measure it."""
    done = shop.work / "vae"
    if done.exists():
        return
    plan = shop.plan.vae
    torch.manual_seed(shop.plan.seed)
    pixels = torch.from_numpy(shop.codec.pixels[shop.codec.known].reshape(-1, *shop.codec.pixels.shape[-3:]))
    stage = VaeStage(plan, pixels, shop.device)
    seconds = run_stage(stage, name="vae", schedule=plan.schedule, seed=shop.plan.seed, folder=shop.work)
    vae = stage.finished()
    sample = pixels[:: max(1, len(pixels) // 500)]
    white = torch.from_numpy(shop.gallery.pixels[:, : len(STYLES), 0].reshape(-1, *pixels.shape[1:]))
    shop.record(
        "vae",
        steps=plan.schedule.steps,
        seconds=round(seconds),
        psnr_all=round(psnr(sample, round_trip(vae, sample)), 2),
        psnr_taught_on_white=round(psnr(white, round_trip(vae, white)), 2),
    )
    _finish_folder(done, vae.save_pretrained)


def refine_decoder(shop: Workshop) -> None:
    """Train the decoder further on the taught pictures; latents do not change."""
    done = shop.work / "vae-refined"
    if done.exists():
        return
    plan = shop.plan.decoder
    pixels = torch.from_numpy(shop.gallery.pixels[shop.gallery.known])
    stage = DecoderStage(plan, shop.vae(), pixels, shop.device, shop.cores)
    seconds = run_stage(stage, name="decoder", schedule=plan.schedule, seed=shop.plan.seed, folder=shop.work)
    vae = stage.finished()
    white, coloured = pixels[:, 0], pixels[::4, 1:].flatten(0, 1)
    shop.record(
        "decoder",
        steps=plan.schedule.steps,
        seconds=round(seconds),
        psnr_white=round(psnr(white, round_trip(vae, white)), 2),
        psnr_coloured=round(psnr(coloured, round_trip(vae, coloured)), 2),
    )
    _finish_folder(done, vae.save_pretrained)


def latents(shop: Workshop) -> Tensor:
    """Latents of the whole gallery, (subjects, art, backgrounds, 4, 16, 16); encoded once."""
    path = shop.work / "latents.pt"
    if not path.exists():
        pixels = torch.from_numpy(shop.gallery.pixels)
        flat = encode(shop.vae(), pixels.flatten(0, 2))
        write_atomically({"latents": flat.unflatten(0, pixels.shape[:3])}, path)
    found: Tensor = read_state(path)["latents"]
    return found


def train_teacher(shop: Workshop) -> None:
    """Train the denoiser and text encoder, and save the whole pipeline in float32."""
    done = shop.work / "teacher"
    if done.exists():
        return
    plan = shop.plan.teacher
    torch.manual_seed(shop.plan.seed + 1)
    lessons = Lessons(shop.gallery.names, latents(shop), shop.gallery.entries(STYLES))
    tokenizer = shop.tokenizer()
    stage = TeacherStage(plan, lessons, tokenizer, shop.plan.seed, shop.device, shop.cores)
    seconds = run_stage(stage, name="teacher", schedule=plan.schedule, seed=shop.plan.seed, folder=shop.work)
    unet, text = stage.finished()
    pipe = StableDiffusionPipeline(
        vae=shop.vae(),
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    shop.record("teacher", steps=plan.schedule.steps, seconds=round(seconds), batch=plan.batch)
    _finish_folder(done, pipe.save_pretrained)


def train_student(shop: Workshop) -> None:
    """Distil the teacher into the LCM-LoRA."""
    done = shop.work / "lcm-lora"
    if done.exists():
        return
    plan = shop.plan.distil
    torch.manual_seed(shop.plan.seed + 2)
    pipe = shop.teacher()
    lessons = Lessons(shop.gallery.names, latents(shop), shop.gallery.entries(STYLES))
    stage = DistilStage(
        plan, lessons, pipe.unet, pipe.text_encoder, pipe.tokenizer, shop.plan.seed, shop.device, shop.cores
    )
    seconds = run_stage(stage, name="distil", schedule=plan.schedule, seed=shop.plan.seed, folder=shop.work)
    unet = stage.finished()
    shop.record("distil", steps=plan.schedule.steps, seconds=round(seconds), batch=plan.batch)
    _finish_folder(done, lambda folder: save_lora(unet, folder))


def train_styles(shop: Workshop) -> None:
    """Train one style LoRA for each added art set, on the subjects that the set has."""
    plans = {"twemoji": shop.plan.twemoji, "shapes": shop.plan.shapes}
    for number, style in enumerate(ADDED_STYLES):
        name, plan = f"style-{style}", plans[style]
        done = shop.work / name
        if done.exists():
            continue
        torch.manual_seed(shop.plan.seed + 10 + number)
        pipe = shop.teacher()
        lessons = Lessons(shop.gallery.names, latents(shop), shop.gallery.entries([style]))
        seed = f"{shop.plan.seed}/{name}"
        stage = StyleStage(
            plan, lessons, pipe.unet, pipe.text_encoder, pipe.tokenizer, seed, shop.device, shop.cores
        )
        seconds = run_stage(stage, name=name, schedule=plan.schedule, seed=shop.plan.seed, folder=shop.work)
        unet = stage.finished()
        shop.record(name, steps=plan.schedule.steps, seconds=round(seconds), batch=plan.batch)
        _finish_folder(done, lambda folder, unet=unet: save_lora(unet, folder))


def clip_lessons(shop: Workshop) -> ClipLessons:
    """The cast in every pose, encoded once."""
    path = shop.work / "clip-latents.pt"
    if not path.exists():
        write_atomically({"latents": cast_latents(shop.vae(), shop.cast)}, path)
    return ClipLessons(shop.cast.names, read_state(path)["latents"])


def train_motion(shop: Workshop) -> None:
    """Train the motion adapter and the LoRA under it."""
    done = shop.work / "motion"
    if done.exists():
        return
    plan = shop.plan.motion
    torch.manual_seed(shop.plan.seed + 20)
    pipe = shop.teacher()
    unet = new_motion_model(pipe.unet, shop.plan.teacher, plan.rank)
    stage = MotionStage(
        plan,
        clip_lessons(shop),
        unet,
        pipe.text_encoder,
        pipe.tokenizer,
        shop.plan.seed,
        shop.device,
        shop.cores,
    )
    seconds = run_stage(stage, name="motion", schedule=plan.schedule, seed=shop.plan.seed, folder=shop.work)
    finished = stage.finished()
    shop.record("motion", steps=plan.schedule.steps, seconds=round(seconds), batch=plan.batch)
    _finish_folder(done, lambda folder: save_motion(finished, folder))


def examples(shop: Workshop) -> Examples:
    """Every picture of the gallery with its labels, plain and through the codec."""
    known = shop.gallery.known
    pictures = torch.from_numpy(shop.gallery.pixels[known]).flatten(0, 1)
    subject, art = (torch.from_numpy(part) for part in known.nonzero())
    count = len(BACKGROUND_NAMES)
    labels = [
        subject.repeat_interleave(count),
        art.repeat_interleave(count),
        torch.arange(count).repeat(len(subject)),
    ]
    return Examples(pictures, round_trip(shop.vae(), pictures), torch.stack(labels, 1))


def train_judge(shop: Workshop) -> None:
    """Train the classifier that measures the pictures."""
    done = shop.work / "judge.pt"
    if done.exists():
        return
    plan = shop.plan.judge
    torch.manual_seed(shop.plan.seed + 3)
    counts = len(shop.gallery.names), len(ART), len(BACKGROUND_NAMES)
    stage = JudgeStage(plan, examples(shop), counts)
    seconds = run_stage(stage, name="judge", schedule=plan.schedule, seed=shop.plan.seed, folder=shop.work)
    shop.record("judge", steps=plan.schedule.steps, seconds=round(seconds), batch=plan.batch)
    write_atomically(stage.finished().state_dict(), done)


def _finish_folder(done: Path, write: Callable[[Path], object]) -> None:
    """Write a result folder beside its place and rename it in: a half-written one is never taken for done."""
    beside = done.with_name(done.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    write(beside)
    beside.replace(done)
