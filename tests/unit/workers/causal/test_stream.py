"""Frames as they are made: numbered, dated, led by prompts that change, and closed from anywhere."""

import threading
from itertools import islice

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline

from policy.errors import RenderFault, WrongUse
from tests.tiny_hub.parts import t5_text
from tests.tiny_hub.tokenizers import t5
from tests.unit.workers.causal.tiny_wan import CHANNELS, TEXT, settings, transformer
from workers.causal.decoding import pixels_of
from workers.causal.latents import LatentStream
from workers.causal.stream import CausalStream, stream_of
from workers.causal.wan import CausalWan

PIXELS = (48, 32)  # of frames whose latents are 4 high and 6 wide
FEW = settings(timesteps=(1000.0, 500.0), window=9, sink=3)


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    return AutoencoderKLWan(
        base_dim=4, z_dim=CHANNELS, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
        latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[1.5, 2.0, 0.7, 1.0],
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return CausalWan(transformer())


class Encoder:
    """Embeddings by the letters of a prompt; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, text: str) -> torch.Tensor:
        self.asked.append(text)
        return torch.randn((1, 5, TEXT), generator=torch.Generator().manual_seed(sum(map(ord, text))))


def begin(model, vae, told=FEW, encode=None, seed=7) -> CausalStream:
    return CausalStream(model, vae, told, encode=encode or Encoder(), prompt="a fox", seed=seed, size=PIXELS)


def test_frames_are_the_whole_clip_decoded_at_once_numbered_and_dated(model, vae):
    frames = list(islice(begin(model, vae).frames(), 33))
    rolled = LatentStream(model, FEW, prompt=Encoder()("a fox"), seed=7, size=(4, 6))
    latents = torch.cat([chunk.latents for chunk in islice(rolled.chunks(), 3)], dim=2)
    mean, spread = (
        torch.tensor(values).view(1, CHANNELS, 1, 1, 1)
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    with torch.no_grad():
        whole = pixels_of(vae.decode(latents / (1.0 / spread) + mean).sample)
    assert np.array_equal(np.stack([frame.pixels for frame in frames]), whole)
    assert frames[0].pixels.shape == (32, 48, 3)
    assert frames[0].pixels.dtype == np.uint8
    assert whole.std() > 5
    assert [frame.number for frame in frames] == list(range(33))
    assert [frame.seconds for frame in frames] == [number / 16 for number in range(33)]


def test_the_first_frame_is_there_before_the_second_chunk_is_begun(model, vae):
    encode = Encoder()
    stream = begin(model, vae, encode=encode)
    frames = stream.frames()
    next(frames)
    stream.change_prompt("an owl")
    assert [frame.prompt for frame in islice(frames, 8)] == [0] * 8  # the rest of the first nine
    assert encode.asked == ["a fox"]
    assert next(frames).prompt == 1
    assert encode.asked == ["a fox", "an owl"]


def test_a_prompt_changes_the_next_chunk_and_nothing_before_it(model, vae):
    plain = [frame.pixels for frame in islice(begin(model, vae).frames(), 33)]
    stream = begin(model, vae)
    frames = stream.frames()
    found = list(islice(frames, 12))  # into the second chunk
    assert stream.change_prompt("an owl") == 1
    found += list(islice(frames, 21))
    assert [frame.prompt for frame in found] == [0] * 21 + [1] * 12
    same = [np.array_equal(frame.pixels, old) for frame, old in zip(found, plain, strict=True)]
    assert same == [True] * 21 + [False] * 12


def test_of_many_prompts_from_other_threads_the_last_one_leads_and_no_other_is_ever_read(model, vae):
    encode = Encoder()
    stream = begin(model, vae, encode=encode)
    frames = stream.frames()
    next(frames)
    versions: list[int] = []
    threads = [
        threading.Thread(target=lambda name=name: versions.append(stream.change_prompt(f"owl {name}")))
        for name in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = stream.change_prompt("a bee")
    assert sorted(versions) == list(range(1, 9))
    assert last == 9
    assert {frame.prompt for frame in islice(frames, 8, 20)} == {9}
    assert encode.asked == ["a fox", "a bee"]


def test_a_stream_that_is_closed_within_a_chunk_ends_without_its_frames(model, vae):
    stream = begin(model, vae)
    frames = stream.frames()
    assert len(list(islice(frames, 9))) == 9
    stream.close()
    assert list(frames) == []


def test_closing_from_another_thread_ends_a_stream_without_an_end(model, vae):
    stream, seen = begin(model, vae), []
    enough = threading.Event()

    def take() -> None:
        for frame in stream.frames():
            seen.append(frame.number)
            if len(seen) == 12:
                enough.set()

    taker = threading.Thread(target=take)
    taker.start()
    assert enough.wait(60)
    stream.close()
    taker.join(60)
    assert not taker.is_alive()
    assert seen == list(range(len(seen)))


def test_a_closed_stream_leaves_nothing_in_the_weights_it_ran_on(model, vae):
    first = [frame.pixels for frame in islice(begin(model, vae).frames(), 9)]
    stream = begin(model, vae, seed=99)
    frames = stream.frames()
    next(frames)
    stream.change_prompt("an owl")
    stream.close()
    assert list(frames) == []
    again = [frame.pixels for frame in islice(begin(model, vae).frames(), 9)]
    assert np.array_equal(np.stack(again), np.stack(first))


def test_a_stream_ends_with_all_the_frames_of_its_method_and_is_taken_once(model, vae):
    stream = begin(model, vae, settings(timesteps=(1000.0,), longest=29))
    assert [frame.number for frame in stream.frames()] == list(range(29))
    with pytest.raises(WrongUse, match="taken once"):
        stream.frames()


def test_a_size_that_latents_do_not_fill_is_refused(model, vae):
    with pytest.raises(RenderFault, match="50 x 32 does not divide"):
        CausalStream(model, vae, FEW, encode=Encoder(), prompt="a fox", seed=7, size=(50, 32))


def test_a_loaded_pipeline_of_the_wan_family_streams_as_it_is(vae):
    words = t5()
    torch.manual_seed(0)
    pipeline = WanPipeline(
        tokenizer=words,
        text_encoder=t5_text(words, TEXT),
        transformer=transformer(),
        vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),
    )

    def frames(prompt: str) -> np.ndarray:
        stream = stream_of(pipeline, FEW, prompt=prompt, seed=7, size=PIXELS)
        return np.stack([frame.pixels for frame in islice(stream.frames(), 9)])

    with torch.no_grad():
        embeddings, _ = pipeline.encode_prompt(
            "a red fox", do_classifier_free_guidance=False, max_sequence_length=512
        )
    expected = CausalStream(
        CausalWan(pipeline.transformer), vae, FEW, encode=lambda _: embeddings, prompt="", seed=7, size=PIXELS
    )
    found = frames("a red fox")
    assert embeddings.shape == (1, 512, TEXT)
    assert np.array_equal(found, np.stack([frame.pixels for frame in islice(expected.frames(), 9)]))
    assert not np.array_equal(found, frames("a green owl"))
