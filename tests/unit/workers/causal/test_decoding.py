"""Latents decoded as they come are the whole clip's decode to the bit."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan
from diffusers.video_processor import VideoProcessor

from workers.causal.decoding import StreamDecoder, pixels_of

CHANNELS = 4


def autoencoder(dtype=torch.float32, **changes):
    torch.manual_seed(0)
    config = {
        "base_dim": 8, "z_dim": CHANNELS, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1,
        "latents_mean": [0.1, -0.2, 0.3, 0.0], "latents_std": [1.5, 2.0, 0.7, 1.0],
    }  # fmt: skip
    return AutoencoderKLWan(**config | changes).eval().to(dtype)


# Wan 2.1, and Wan 2.2's: a shortcut beside every block, and pixels folded two by two.
KINDS = {
    "wan2.1": {},
    "wan2.2": {"is_residual": True, "patch_size": 2, "in_channels": 12, "out_channels": 12, "scale_factor_spatial": 16},
}  # fmt: skip


def whole(vae, latents):
    """As WanPipeline decodes a clip."""
    mean = torch.tensor(vae.config.latents_mean).view(1, CHANNELS, 1, 1, 1).to(latents.dtype)
    spread = 1.0 / torch.tensor(vae.config.latents_std).view(1, CHANNELS, 1, 1, 1).to(latents.dtype)
    with torch.no_grad():
        return vae.decode(latents / spread + mean).sample


def latents_of(frames: int, dtype=torch.float32):
    return torch.randn((1, CHANNELS, frames, 4, 6), generator=torch.Generator().manual_seed(3)).to(dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunks", [[3, 3, 3], [1, 3, 3, 2], [9], [1] * 9])
def test_a_streamed_decode_is_the_whole_clips_to_the_bit(kind, chunks):
    vae, latents = autoencoder(**KINDS[kind]), latents_of(sum(chunks))
    decoder = StreamDecoder(vae)
    parts = [torch.cat(list(decoder.frames(part)), dim=2) for part in latents.split(chunks, dim=2)]
    assert [part.shape[2] for part in parts] == [
        1 + 4 * (chunks[0] - 1),
        *(4 * count for count in chunks[1:]),
    ]
    assert torch.equal(torch.cat(parts, dim=2), whole(vae, latents))


def test_it_is_so_in_16_bits_too():
    vae, latents = autoencoder(torch.bfloat16), latents_of(5, torch.bfloat16)
    assert torch.equal(torch.cat(list(StreamDecoder(vae).frames(latents)), dim=2), whole(vae, latents))


def test_what_a_decoder_remembers_is_its_own():
    """Two streams and a whole clip go through one autoencoder in turn."""
    vae, latents = autoencoder(), latents_of(6)
    expected = whole(vae, latents)
    first, second, found = StreamDecoder(vae), StreamDecoder(vae), []
    for latent in latents.split(2, dim=2):
        found += list(first.frames(latent))
        list(second.frames(-latent))
        whole(vae, latent)
    assert torch.equal(torch.cat(found, dim=2), expected)


def test_chunks_decoded_alone_would_not_do():
    vae, latents = autoencoder(), latents_of(6)
    alone = torch.cat([whole(vae, part) for part in latents.split(3, dim=2)], dim=2)
    assert alone.shape[2] == 18
    assert whole(vae, latents).shape[2] == 21


def test_pixels_are_those_that_diffusers_makes_of_a_video():
    frames = whole(autoencoder(), latents_of(2)) * 3
    pictures = VideoProcessor(vae_scale_factor=8).postprocess_video(frames.clamp(-1, 1), output_type="pil")[0]
    expected = np.stack([np.asarray(picture) for picture in pictures])
    found = pixels_of(frames.clamp(-1, 1))
    assert found.dtype == np.uint8
    assert found.shape == (5, 32, 48, 3)
    assert np.array_equal(found, expected)
    assert found.std() > 5
