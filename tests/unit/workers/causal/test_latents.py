"""The rollout with its cache against the plain transformer, run over everything under a mask."""

from dataclasses import replace
from itertools import islice

import pytest
import torch

from policy.clips import Recache
from policy.errors import RenderFault
from registry.catalogue import load_catalogue
from tests.unit.workers.causal.tiny_wan import (
    CHANNELS,
    SIZE,
    StopAt,
    full_forward,
    prompt,
    seen_frames,
    settings,
    transformer,
)
from workers.causal.latents import LatentStream, chunk_noise
from workers.causal.wan import CausalWan
from workers.renderer import RenderCancelled

EXACT = [(torch.float64, 1e-10), (torch.float32, 1e-4)]


def stream(model, told, *, seed=7, led=1):
    dtype = model.patch_embedding.weight.dtype
    return LatentStream(CausalWan(model), told, prompt=prompt(led, dtype), seed=seed, size=SIZE)


def made(rolled, chunks: int) -> torch.Tensor:
    return torch.cat([chunk.latents for chunk in islice(rolled.chunks(), chunks)], dim=2)


def drawn(noise, frames, dtype):
    return torch.randn((1, CHANNELS, frames, *SIZE), generator=noise).to(dtype)


def by_full_forwards(model, told, chunks, prompts, leads, *, seed=7):
    """The same rollout without any cache: every step runs over all that was made and the noisy chunk.

    ``leads`` says for each chunk by which prompt it is led.
    """
    dtype = model.patch_embedding.weight.dtype
    size, past = told.latent_frames, torch.zeros((1, CHANNELS, 0, *SIZE), dtype=dtype)
    for number in range(chunks):
        noise = chunk_noise(seed, number)
        noisy = drawn(noise, size, dtype)
        for step, timestep in enumerate(told.timesteps):
            frames = past.shape[2] + size
            velocity = full_forward(
                model,
                torch.cat([past, noisy], dim=2),
                [told.context_timestep] * past.shape[2] + [timestep] * size,
                seen_frames(frames, size, told.window, told.sink),
                [prompt(lead, dtype) for lead in prompts],
                leads=[leads[frame // size] for frame in range(frames)],
            )[:, :, -size:]
            clean = noisy - timestep / 1000 * velocity
            if timestep != told.timesteps[-1]:
                level = told.timesteps[step + 1] / 1000
                noisy = (1 - level) * clean + level * drawn(noise, size, dtype)
        past = torch.cat([past, clean], dim=2)
    return past


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_chunk_that_spans_the_clip_is_the_plain_transformer_to_the_bit(dtype):
    model = transformer(dtype)
    causal = CausalWan(model)
    latents = drawn(chunk_noise(1, 1), 6, dtype)
    with torch.no_grad():
        plain = model(latents, torch.tensor([625.0]), prompt(1, dtype)).sample
    window = causal.window(settings(), SIZE)
    found = causal.velocity(latents, (625.0, 0.0), range(6), causal.prompt_keys(prompt(1, dtype)), window)
    assert torch.equal(found, plain)


def test_it_is_the_plain_transformer_in_the_dtype_that_presets_run_in(tmp_path):
    """As loaded: most in bfloat16, and what diffusers keeps in 32 bits left there."""
    from diffusers import WanTransformer3DModel

    transformer().save_pretrained(tmp_path)
    model = WanTransformer3DModel.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
    assert model.blocks[0].scale_shift_table.dtype == torch.float32
    causal = CausalWan(model)
    latents = drawn(chunk_noise(1, 1), 6, torch.bfloat16)
    words = prompt(1, torch.bfloat16)
    with torch.no_grad():
        plain = model(latents, torch.tensor([937.5]), words).sample
    window = causal.window(settings(), SIZE)
    found = causal.velocity(latents, (937.5, 0.0), range(6), causal.prompt_keys(words), window)
    assert torch.equal(found, plain)


@pytest.mark.parametrize(("dtype", "error"), EXACT)
@pytest.mark.parametrize(
    "told",
    [
        settings(),
        settings(context_timestep=50.0),
        settings(latent_frames=1, first_latent_frames=1),
        settings(window=6),
        settings(window=9, sink=3),
        settings(window=7, sink=1),  # the ring holds parts of chunks
        settings(window=8, sink=4),  # and so does the sink
    ],
    ids=lambda told: f"{told.latent_frames}of{told.window}+{told.sink}@{told.context_timestep:g}",
)
def test_the_cached_rollout_is_a_full_forward_under_the_mask(dtype, error, told):
    model = transformer(dtype)
    chunks = 6 if told.window < 12 else 4
    found = made(stream(model, told), chunks)
    plain = by_full_forwards(model, told, chunks, [1], [0] * chunks)
    assert (found - plain).abs().max() <= error
    assert plain.std() > 0.1


def test_the_mask_matters():
    """What the test above compares with would notice a window, a sink or a look ahead that is wrong."""
    model = transformer(torch.float64)
    told = settings(window=9, sink=3)
    found = made(stream(model, told), 4)
    for wrong in (replace(told, window=6, sink=0), replace(told, window=12), replace(told, sink=2)):
        other = by_full_forwards(model, wrong, 4, [1], [0] * 4)
        assert (found - other).abs().max() > 1e-6


def test_a_whole_clip_in_one_chunk_is_what_the_scheduler_of_the_preset_does_with_the_plain_transformer():
    """A peer: FlowMatchLCMScheduler of diffusers on the preset's grid, with the same noise."""
    from workers.schedules import build_scheduler

    preset = next(one for one in load_catalogue().presets if one.name == "self-forcing-dmd")
    scheduler = build_scheduler(preset.scheduler)
    scheduler.set_timesteps(4)
    model, noise = transformer(), chunk_noise(7, 0)
    latents = drawn(noise, 6, torch.float32)
    for timestep in scheduler.timesteps:
        with torch.no_grad():
            velocity = model(latents, timestep[None], prompt(1)).sample
        latents = scheduler.step(velocity, timestep, latents, generator=noise).prev_sample
    found = made(stream(model, settings(latent_frames=6, first_latent_frames=6)), 1)
    assert torch.allclose(found, latents, atol=1e-5)


def test_memory_is_that_of_the_window_whatever_the_length():
    rolled = stream(transformer(), settings(window=6, sink=1, timesteps=(1000.0,), recache=Recache.ON_SWITCH))
    layers, tokens, width, bytes_each = 2, 6, 24, 4
    assert rolled.window_bytes == 2 * layers * 6 * tokens * width * bytes_each
    before = {name: len(value) for name, value in vars(rolled).items() if isinstance(value, list)}
    for chunk in islice(rolled.chunks(), 60):
        assert torch.isfinite(chunk.latents).all()
    assert chunk.first_frame == 177  # far behind the table of positions that the tiny model keeps
    assert rolled.window_bytes == 2 * layers * 6 * tokens * width * bytes_each
    after = {name: len(value) for name, value in vars(rolled).items() if isinstance(value, list)}
    assert all(after[name] - before[name] <= 6 for name in after)


def test_a_stream_is_told_by_its_seed_alone_whatever_is_asked_about():
    model, told = transformer(), settings(window=6)
    first = made(stream(model, told), 5)
    rolled = stream(model, told)
    torch.manual_seed(12345)
    torch.randn(7)
    parts = []
    for _ in range(5):
        parts.append(rolled.next_chunk().latents)
        made(stream(model, told, seed=99), 1)  # another stream on the same weights, in between
    assert torch.equal(torch.cat(parts, dim=2), first)
    assert not torch.equal(made(stream(model, told, seed=8), 5), first)


@pytest.mark.parametrize(("dtype", "error"), EXACT)
def test_a_new_prompt_leads_from_the_next_chunk_and_not_before(dtype, error):
    model, told = transformer(dtype), settings(window=9, sink=3)
    plain = made(stream(model, told), 5)
    rolled = stream(model, told)
    before = made(rolled, 2)
    rolled.change_prompt(prompt(2, dtype))
    found = torch.cat([before, made(rolled, 3)], dim=2)
    assert torch.equal(found[:, :, :6], plain[:, :, :6])
    assert (found[:, :, 6:9] - plain[:, :, 6:9]).abs().amax() > 1e-3
    expected = by_full_forwards(model, told, 5, [1, 2], [0, 0, 1, 1, 1])
    assert (found - expected).abs().max() <= error


def test_of_several_prompts_before_a_chunk_the_last_one_counts():
    model, told = transformer(), settings()
    twice, once = stream(model, told), stream(model, told)
    twice.change_prompt(prompt(2))
    twice.change_prompt(prompt(3))
    once.change_prompt(prompt(3))
    assert torch.equal(made(twice, 2), made(once, 2))


def velocity_after_reading(model, past, noisy, timestep, frames, words):
    """The velocity of a chunk that sees some past frames, all read under one prompt, and nothing else."""
    count = past.shape[2] + noisy.shape[2]
    chunk_of = [frame // noisy.shape[2] for frame in frames]
    sees = torch.tensor([[other <= own for other in chunk_of] for own in chunk_of])
    times = [0.0] * past.shape[2] + [timestep] * noisy.shape[2]
    found = full_forward(model, torch.cat([past, noisy], dim=2), times, sees, [words], frames=frames)
    assert found.shape[2] == count
    return found[:, :, past.shape[2] :]


@pytest.mark.parametrize(("dtype", "error"), EXACT)
@pytest.mark.parametrize(
    ("window", "sink", "seen"),
    [(30, 0, range(9)), (9, 0, range(3, 9)), (9, 3, [0, 1, 2, 6, 7, 8]), (7, 1, [0, 6, 7, 8])],
)
def test_after_a_switch_with_a_recache_everything_that_is_seen_was_read_under_the_new_prompt(
    dtype, error, window, sink, seen
):
    model = transformer(dtype)
    told = settings(window=window, sink=sink, recache=Recache.ON_SWITCH, timesteps=(1000.0,))
    rolled = stream(model, told)
    past = made(rolled, 3)
    plain = stream(model, replace(told, recache=Recache.NEVER))
    assert torch.equal(made(plain, 3), past)  # without a switch a recache changes nothing
    rolled.change_prompt(prompt(2, dtype))
    found = rolled.next_chunk().latents
    noisy = drawn(chunk_noise(7, 3), 3, dtype)
    expected = noisy - velocity_after_reading(
        model, past[:, :, list(seen)], noisy, 1000.0, [*seen, 9, 10, 11], prompt(2, dtype)
    )
    assert (found - expected).abs().max() <= error
    plain.change_prompt(prompt(2, dtype))
    assert (plain.next_chunk().latents - found).abs().max() > 1e-5


@pytest.mark.parametrize(("dtype", "error"), EXACT)
def test_a_recache_before_every_chunk_leaves_nothing_of_what_left_the_window(dtype, error):
    model = transformer(dtype)
    told = settings(window=6, recache=Recache.EVERY_CHUNK, timesteps=(1000.0,))
    past = made(stream(model, told), 4)
    noisy = drawn(chunk_noise(7, 3), 3, dtype)
    frames = [6, 7, 8, 9, 10, 11]
    velocity = velocity_after_reading(model, past[:, :, 6:9], noisy, 1000.0, frames, prompt(1, dtype))
    assert (past[:, :, 9:] - (noisy - velocity)).abs().max() <= error


@pytest.mark.parametrize("recache", list(Recache))
def test_a_chunk_that_was_stopped_anywhere_leaves_nothing_and_is_made_again_to_the_bit(recache):
    model, told = transformer(), settings(window=9, sink=3, recache=recache)

    def begun():
        rolled = stream(model, told)
        made(rolled, 3)
        rolled.change_prompt(prompt(2))
        return rolled

    undisturbed = made(begun(), 2)
    boundary, stopped = 0, 0
    while True:
        rolled = begun()
        try:
            rolled.next_chunk(StopAt(boundary))
            break
        except RenderCancelled:
            stopped += 1
        assert torch.equal(made(rolled, 2), undisturbed)
        boundary += 1
    reads = {Recache.NEVER: 1, Recache.ON_SWITCH: 1 + 2, Recache.EVERY_CHUNK: 2}
    assert stopped == len(told.timesteps) + reads[recache]  # before every forward pass


def test_steps_are_told_before_each_forward_pass():
    told: list[int] = []
    stream(transformer(), settings()).next_chunk(told.append)
    assert told == [0, 1, 2, 3, 4]


def test_a_stream_ends_where_its_method_does():
    rolled = stream(transformer(), settings(longest=29, timesteps=(1000.0,)))  # 8 latent frames
    assert [chunk.latents.shape[2] for chunk in rolled.chunks()] == [3, 3, 2]
    with pytest.raises(RenderFault, match="all the frames"):
        rolled.next_chunk()


def test_settings_that_cannot_run_are_refused_with_everything_that_is_wrong():
    with pytest.raises(RenderFault, match=r"timesteps fall.*a window holds the sink"):
        stream(transformer(), settings(timesteps=(250.0, 500.0), window=4, sink=2))


def test_latents_that_do_not_divide_into_patches_are_refused():
    with pytest.raises(RenderFault, match="5 x 4 do not divide"):
        LatentStream(CausalWan(transformer()), settings(), prompt=prompt(1), seed=1, size=(4, 5))


def test_a_transformer_that_looks_at_a_picture_is_refused():
    with pytest.raises(RenderFault, match="looks at a picture"):
        CausalWan(transformer(image_dim=8, added_kv_proj_dim=24))


def test_positions_are_those_of_the_models_own_table_and_go_on_behind_its_end():
    from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed

    from workers.causal.wan import rotation

    long = WanRotaryPosEmbed(24, (1, 2, 2), 5000)
    expected = long(torch.zeros((1, 1, 4503, *SIZE)))
    places = (torch.arange(4500, 4503), torch.arange(2), torch.arange(3))
    found = rotation(places, 24, torch.device("cpu"))
    for table, part in zip(expected, found, strict=True):
        assert torch.equal(table[:, -18:], part)
