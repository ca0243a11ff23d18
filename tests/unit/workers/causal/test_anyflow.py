"""AnyFlow-FAR, streamed chunk by chunk, against the pipeline of diffusers that makes the whole clip in one call."""

from dataclasses import replace

import pytest
import torch
from diffusers import (
    AnyFlowFARPipeline,
    AutoencoderKLWan,
    FlowMapEulerDiscreteScheduler,
)

from policy.clips import Recache
from policy.errors import RenderFault
from policy.streams import StreamSettings, stream_settings
from registry.catalogue import load_catalogue
from tests.unit.workers.causal.tiny_wan import CHANNELS, StopAt, far, prompt, transformer
from workers.causal.anyflow import CausalAnyFlow
from workers.causal.latents import LatentStream, chunk_noise
from workers.causal.wan import CausalWan
from workers.renderer import RenderCancelled

SIZE = (16, 32)  # 128 tokens a latent frame: at other numbers the pipeline attends to zeros, see below
PRESET = next(one for one in load_catalogue().presets if one.name == "anyflow-far-1.3b")


def told(steps: int = 2, frames: int = 45) -> StreamSettings:
    """As the preset streams, but shorter: 12 latent frames are chunks of 1, 3, 3, 3 and 2."""
    found = stream_settings(PRESET, steps)
    assert isinstance(found, StreamSettings)
    return replace(found, longest=frames)


def by_the_pipeline(model, settings, words) -> torch.Tensor:
    """The whole clip in one call, with the noise that a stream draws chunk by chunk."""
    parts, noise = [], []
    while count := settings.chunk(len(parts), sum(parts)):
        noise.append(torch.randn((1, CHANNELS, count, *SIZE), generator=chunk_noise(7, len(parts))))
        parts.append(count)
    torch.manual_seed(1)
    pipeline = AnyFlowFARPipeline(
        tokenizer=None, text_encoder=None, transformer=model,
        vae=AutoencoderKLWan(base_dim=4, z_dim=CHANNELS, dim_mult=[1, 1, 1, 1], num_res_blocks=1),
        scheduler=FlowMapEulerDiscreteScheduler(shift=5.0),
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        prompt_embeds=words, latents=torch.cat(noise, dim=2), num_frames=settings.longest,
        height=8 * SIZE[0], width=8 * SIZE[1], chunk_partition=parts,
        num_inference_steps=len(settings.timesteps), guidance_scale=1.0, output_type="latent",
    ).frames  # fmt: skip


def streamed(model, settings, **changes) -> torch.Tensor:
    rolled = LatentStream(CausalAnyFlow(model), settings, prompt=prompt(1), seed=7, size=SIZE, **changes)
    return torch.cat([chunk.latents for chunk in rolled.chunks()], dim=2)


@pytest.mark.parametrize(
    ("steps", "changes"),
    [(2, {}), (4, {}), (2, {"deltatime_type": "t-r"}), (2, {"gate_value": 0.75})],
)
def test_a_stream_is_the_clip_that_the_pipeline_of_diffusers_makes_in_one_call(steps, changes):
    model, settings = far(**changes), told(steps)
    found, whole = streamed(model, settings), by_the_pipeline(model, settings, prompt(1))
    assert found.shape == whole.shape == (1, CHANNELS, 12, *SIZE)
    assert (found - whole).abs().max() <= 1e-4
    assert whole.std() > 0.1


def test_the_coarse_past_matters():
    """What the test above compares would notice frames that were dropped where they should be coarse."""
    model, settings = far(), told()
    whole = by_the_pipeline(model, settings, prompt(1))
    with torch.no_grad():
        model.far_patch_embedding.weight.neg_()
    found = streamed(model, settings)
    assert (found - whole)[:, :, :7].abs().max() <= 1e-4  # two chunks back all is fine
    assert (found - whole)[:, :, 7:].abs().max() > 1e-3


def test_at_other_numbers_of_tokens_the_pipeline_attends_to_its_padding_and_a_stream_does_not():
    """The pipeline pads a chunk to 128 tokens and masks the zeros only where it reads the past (diffusers 0.42.1).

    Its transformer's forward for training masks them everywhere.
    """
    model, size = far(), (4, 8)
    latents = torch.randn((1, CHANNELS, 3, *size), generator=torch.Generator().manual_seed(3))
    causal = CausalAnyFlow(model)
    window = causal.window(told(), size)
    span = (625.0, 250.0)
    found = causal.velocity(latents, span, range(3), causal.prompt_keys(prompt(1)), window)
    times = {"timestep": torch.full((1, 3), span[0]), "r_timestep": torch.full((1, 3), span[1])}
    common = {"encoder_hidden_states": prompt(1), "chunk_partition": [3], "return_dict": False, **times}
    empty = [
        {name: torch.zeros((2, 1, 2, 72, 16)) for name in ("full_cache", "compressed_cache")}
        for _ in range(2)
    ]
    flag = {"num_cached_chunks": 0, "is_cache_step": False}
    turned = latents.permute(0, 2, 1, 3, 4)
    with torch.no_grad():
        masked = model(turned, **common)[0].permute(0, 2, 1, 3, 4)
        padded = model(turned, kv_cache=empty, kv_cache_flag=flag, **common)[0].permute(0, 2, 1, 3, 4)
    assert (found - masked).abs().max() <= 1e-5
    assert (found - padded).abs().max() > 1e-3


def test_a_chunk_that_was_stopped_anywhere_is_made_again_to_the_bit():
    model, settings, size = far(), told(), (4, 8)

    def begun():
        rolled = LatentStream(CausalAnyFlow(model), settings, prompt=prompt(1), seed=7, size=size)
        return rolled, [rolled.next_chunk().latents for _ in range(4)]

    rolled, undisturbed = begun()
    undisturbed.append(rolled.next_chunk().latents)
    stopped = 0
    while True:
        rolled, parts = begun()
        try:
            rolled.next_chunk(StopAt(stopped))
            break
        except RenderCancelled:
            stopped += 1
        parts.append(rolled.next_chunk().latents)
        assert torch.equal(torch.cat(parts, dim=2), torch.cat(undisturbed, dim=2))
    assert stopped == 1 + 2 + 2  # one chunk becomes coarse, two are read as they are, and two steps


def test_a_prompt_that_changes_is_the_one_that_all_of_the_past_is_read_under():
    model, settings = far(), told()
    rolled = LatentStream(CausalAnyFlow(model), settings, prompt=prompt(1), seed=7, size=SIZE)
    before = [rolled.next_chunk().latents for _ in range(4)]
    rolled.change_prompt(prompt(2))
    last = rolled.next_chunk().latents
    fresh = LatentStream(CausalAnyFlow(model), settings, prompt=prompt(2), seed=7, size=SIZE)
    for latents in before:  # a stream that had these frames under the new prompt from the first
        fresh._remember(replace_latents(fresh, latents))
    assert torch.equal(fresh.next_chunk().latents, last)


def replace_latents(stream, latents):
    from workers.causal.latents import Chunk

    made = Chunk(number=stream._chunk, first_frame=stream._frame, latents=latents)
    stream._chunk, stream._frame = stream._chunk + 1, stream._frame + latents.shape[2]
    return made


def test_each_kind_of_transformer_refuses_the_settings_of_the_other():
    plain = replace(told(), older_are_coarse=False)
    with pytest.raises(RenderFault, match="9 latent frames as they are"):
        LatentStream(CausalAnyFlow(far()), plain, prompt=prompt(1), seed=7, size=SIZE)
    with pytest.raises(RenderFault, match="no larger patches"):
        LatentStream(CausalWan(transformer()), told(), prompt=prompt(1), seed=7, size=SIZE)
    with pytest.raises(RenderFault, match="no larger patches"):
        LatentStream(CausalWan(transformer()), plain, prompt=prompt(1), seed=7, size=SIZE)
    with pytest.raises(RenderFault, match="coarse frames take a stream with an end"):
        LatentStream(
            CausalAnyFlow(far()), replace(told(), recache=Recache.NEVER), prompt=prompt(1), seed=7, size=SIZE
        )
