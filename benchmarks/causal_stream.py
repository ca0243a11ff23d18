"""What do kept keys and values save a causal stream, and does a late frame cost more than an early one?"""

from dataclasses import replace
from itertools import islice

import torch
from diffusers import WanTransformer3DModel

from benchmarks.measurement import (
    Measurement,
    alternate,
    at_least,
    at_most,
    median,
    plain,
    resident_mb,
    timed,
)
from policy.clips import LATENT_STRIDE, Recache
from policy.streams import Sampler, StreamSettings, even_list, warped
from workers.causal.latents import LatentStream
from workers.causal.wan import CausalWan

CHUNKS, ROUNDS = 7, 3
WARM, PAIRS, LONG = 10, 50, 200  # chunks: before the young stream is timed, timed in turn, of the old stream
CHANNELS, TEXT = 8, 32
SIZE, SMALL = (16, 24), (8, 12)  # of the latents: 96 and 24 tokens a latent frame
TOLD = StreamSettings(
    sampler=Sampler.RENOISE, timesteps=warped(even_list(4), 5.0), latent_frames=3, first_latent_frames=3,
    window=3 * CHUNKS, sink=0, context_timestep=0.0, recache=Recache.NEVER, older_are_coarse=False,
    frame_rate=16, longest=None,
)  # fmt: skip
LONGER = replace(TOLD, window=9, sink=3, timesteps=warped(even_list(2), 5.0))


def measure() -> Measurement:
    """Roll out a clip both ways in turn, then a long stream beside a young one."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    transformer = WanTransformer3DModel(
        num_attention_heads=4, attention_head_dim=32, in_channels=CHANNELS, out_channels=CHANNELS,
        text_dim=TEXT, freq_dim=32, ffn_dim=256, num_layers=3,
    ).eval()  # fmt: skip
    words = torch.randn((1, 16, TEXT))
    model = CausalWan(transformer)
    _roll_out(model, words, 1)
    rounds = alternate(
        {
            "cached": lambda: timed(lambda: _roll_out(model, words, CHUNKS)),
            "full forwards": lambda: timed(lambda: _anew(transformer, words)),
        },
        ROUNDS,
    )
    ratio = median([slow / quick for quick, slow in zip(*rounds.values(), strict=True)])
    chunks, added = _long_streams(model, words)
    late = median([old / young for young, old in zip(*chunks.values(), strict=True)])
    return Measurement(
        question="What do kept keys and values save a causal stream, and does a late frame cost more?",
        figures=(
            at_least("", "seconds with full forwards / with the cache", ratio, 2.0),
            at_most("", f"a chunk of the last {PAIRS} of {LONG} / of the {PAIRS} after {WARM}", late, 1.1),
            at_most("", f"resident memory that chunks {WARM + 1} to {LONG} added", added, 5.0, "MB"),
            plain(f"{CHUNKS} chunks with the cache", median(rounds["cached"]), "s"),
            plain(f"{CHUNKS} chunks with full forwards", median(rounds["full forwards"]), "s"),
            plain(
                "a frame of the long stream, not decoded",
                median(chunks["old"]) / (LATENT_STRIDE * LONGER.latent_frames) * 1000,
                "ms",
            ),
        ),
        conditions=(
            f"Random weights, 3 layers of width 128, 1 torch thread, float32. {CHUNKS} chunks of 3 latent "
            f"frames of 96 tokens in 4 steps, both ways in turn, median of {ROUNDS} rounds; the other way "
            f"runs the plain transformer over everything so far, once a step. Then {LONG} chunks of latent "
            "frames of 24 tokens in 2 steps with a window of 9, 3 of them the sink; chunks of a young and of "
            "an old stream in turn, median."
        ),
        remark=(
            "Full forwards run without a mask, so they cost what they must and draw something else. Their "
            "cost grows with every chunk: the ratio is that of the seven chunks of a published clip."
        ),
        rounds=rounds | chunks,
    )


def _roll_out(model: CausalWan, words: torch.Tensor, chunks: int) -> None:
    rolled = LatentStream(model, TOLD, prompt=words, seed=7, size=SIZE)
    for _ in islice(rolled.chunks(), chunks):
        pass


@torch.no_grad()
def _anew(transformer: WanTransformer3DModel, words: torch.Tensor) -> None:
    """As many forwards as a rollout without a cache takes: every step over all chunks so far."""
    for chunk in range(1, CHUNKS + 1):
        latents = torch.randn((1, CHANNELS, 3 * chunk, *SIZE))
        for timestep in TOLD.timesteps:
            transformer(latents, torch.tensor([timestep]), words)


def _long_streams(model: CausalWan, words: torch.Tensor) -> tuple[dict[str, list[float]], float]:
    """Seconds of chunks of a young and an old stream, in turn, and the megabytes that the old one added."""
    young, old = (LatentStream(model, LONGER, prompt=words, seed=seed, size=SMALL) for seed in (7, 8))
    for _ in range(WARM):
        young.next_chunk()
        old.next_chunk()
    before = resident_mb()
    for _ in range(WARM, LONG - PAIRS):
        old.next_chunk()
    sides = {"young": lambda: timed(young.next_chunk), "old": lambda: timed(old.next_chunk)}
    seconds = alternate(sides, PAIRS)
    return seconds, resident_mb() - before
