"""A stream of frames: begun with a prompt, led by others while it runs, closed from anywhere.

Nothing here waits for a clock. Frames come as fast as they are made and as slowly as they are
taken; each says when it belongs on the screen.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from policy.errors import RenderFault, WrongUse
from policy.streams import StreamSettings
from workers.causal.anyflow import CausalAnyFlow
from workers.causal.decoding import StreamDecoder, pixels_of
from workers.causal.latents import Chunk, LatentStream, OnStep, never
from workers.causal.wan import CausalWan
from workers.renderer import RenderCancelled

EncodePrompt = Callable[[str], torch.Tensor]  # to (1, tokens, width of the text encoder)
TEXT_TOKENS = 512  # that Wan was trained with; encode_prompt of diffusers cuts at 226 unless it is told


@dataclass(frozen=True, kw_only=True)
class StreamFrame:
    """One frame, and where it belongs."""

    number: int  # from 0
    seconds: float  # after the first frame, at the frame rate of the method
    prompt: int  # the version of the prompt that its chunk was led by
    pixels: NDArray[np.uint8]  # (height, width, 3)


class CausalStream:
    """Frames of one stream, made while they are taken; ``width`` and ``height`` are in pixels.

    One thread takes the frames. ``change_prompt`` and ``close`` may be called from any other.
    ``on_step`` is called before each forward pass, and raises to stop there.
    """

    def __init__(
        self,
        model: CausalWan,
        vae: Any,
        settings: StreamSettings,
        *,
        encode: EncodePrompt,
        prompt: str,
        seed: int,
        size: tuple[int, int],
        on_step: OnStep = never,
    ) -> None:
        width, height = size
        ratio = vae.config.scale_factor_spatial
        if width % ratio or height % ratio:
            raise RenderFault(
                f"{width} x {height} does not divide into latents of {ratio} x {ratio} pixels.",
                "Choose a size that the preset allows.",
            )
        self._settings, self._encode = settings, encode
        self._latents = LatentStream(
            model, settings, prompt=encode(prompt), seed=seed, size=(height // ratio, width // ratio)
        )
        self._decoder = StreamDecoder(vae)
        self._lock = threading.Lock()
        self._asked, self._version = prompt, 0
        self._leading, self._made = 0, 0
        self._closed, self._on_step = threading.Event(), on_step
        self._is_taken = False

    def change_prompt(self, prompt: str) -> int:
        """Lead the stream by another prompt from the next chunk on; returns its version, as frames name it.

        Of several changes before the next chunk the last one counts, and the others are never seen.
        """
        with self._lock:
            self._asked, self._version = prompt, self._version + 1
            return self._version

    def close(self) -> None:
        """End the stream at the next step; frames of a chunk that is not finished are never seen."""
        self._closed.set()

    @property
    def is_over(self) -> bool:
        """Whether the stream has all the frames that its method makes."""
        return self._latents.is_over

    def next_chunk(self) -> Iterator[StreamFrame]:
        """Make the next chunk, now; its frames are decoded as they are taken, all before the next chunk.

        Raises RenderCancelled, from here or from the frames, where the stream is closed.
        """
        self._follow()
        return self._decoded(self._latents.next_chunk(self._before_a_pass))

    def frames(self) -> Iterator[StreamFrame]:
        """Frame after frame until the stream is closed or has all that its method makes; once a stream."""
        if self._is_taken:
            raise WrongUse("The frames of a stream are taken once.", "Begin another stream.")
        self._is_taken = True
        return self._frames()

    def _frames(self) -> Iterator[StreamFrame]:
        try:
            while not self.is_over:
                yield from self.next_chunk()
        except RenderCancelled:
            return

    def _decoded(self, chunk: Chunk) -> Iterator[StreamFrame]:
        for decoded in self._decoder.frames(chunk.latents):
            for pixels in pixels_of(decoded):
                self._stop_if_closed()
                number, self._made = self._made, self._made + 1
                yield StreamFrame(
                    number=number,
                    seconds=number / self._settings.frame_rate,
                    prompt=self._leading,
                    pixels=pixels,
                )

    def _follow(self) -> None:
        """Hand the newest prompt over, if it is another one."""
        with self._lock:
            asked, version = self._asked, self._version
        if version != self._leading:
            self._latents.change_prompt(self._encode(asked))
            self._leading = version

    def _before_a_pass(self, step: int) -> None:
        self._stop_if_closed()
        self._on_step(step)

    def _stop_if_closed(self) -> None:
        if self._closed.is_set():
            raise RenderCancelled


def stream_of(
    pipeline: Any,
    settings: StreamSettings,
    *,
    prompt: str,
    seed: int,
    size: tuple[int, int],
    on_step: OnStep = never,
) -> CausalStream:
    """A stream by the parts of a loaded pipeline: WanPipeline, or AnyFlowFARPipeline."""

    def encode(text: str) -> torch.Tensor:
        with torch.no_grad():
            embeddings, _ = pipeline.encode_prompt(
                text, do_classifier_free_guidance=False, max_sequence_length=TEXT_TOKENS
            )
        return embeddings

    is_anyflow = hasattr(pipeline.transformer, "far_patch_embedding")
    return CausalStream(
        (CausalAnyFlow if is_anyflow else CausalWan)(pipeline.transformer),
        pipeline.vae,
        settings,
        encode=encode,
        prompt=prompt,
        seed=seed,
        size=size,
        on_step=on_step,
    )
