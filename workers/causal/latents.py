"""The rollout: chunk after chunk in a few steps, each chunk read back into the window once it is clean.

A step predicts the clean chunk from the flow velocity (clean = noisy - level x velocity) and noises
it afresh for the next step; the last one keeps it. Source: Self Forcing, guandeh17/Self-Forcing@33593df,
pipeline/causal_inference.py; CausVid and LongLive roll out alike.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

import torch

from policy.clips import Recache
from policy.errors import RenderFault
from policy.streams import TRAINED_TIMESTEPS, Sampler, StreamSettings, stream_faults
from workers.causal.anyflow import CausalAnyFlow
from workers.causal.wan import CausalWan, PromptKeys

OnStep = Callable[[int], None]  # called before each forward pass with the steps done; raises to stop there


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Latent frames that were made together."""

    number: int
    first_frame: int  # place of its first latent frame in the stream
    latents: torch.Tensor  # (1, channels, frames, height, width), normalised, in 32 bits or the model's 64


@dataclass(frozen=True, kw_only=True)
class _Past:
    """A latent frame that the next chunk sees, and that may have to be read anew."""

    frame: int
    chunk: int
    latent: torch.Tensor  # (1, channels, 1, height, width)


def never(_: int) -> None:
    """For a rollout that nobody stops."""


def chunk_noise(seed: int, chunk: int) -> torch.Generator:
    """The source of a chunk's noise: by the seed and its number alone, on the CPU, so the same everywhere."""
    digest = hashlib.sha256(f"rightstep stream v1:{seed}:{chunk}".encode()).digest()
    return torch.Generator("cpu").manual_seed(int.from_bytes(digest[:8], "big") >> 1)


class LatentStream:
    """One stream's latents: what was made, what is looked back at, and which prompt leads.

    ``size`` is (height, width) of the latents. A prompt is given as the text encoder's
    embeddings, (1, tokens, width). Nothing grows with the length of the stream, but for the
    latents of AnyFlow, whose streams have an end.
    """

    def __init__(
        self,
        model: CausalWan,
        settings: StreamSettings,
        *,
        prompt: torch.Tensor,
        seed: int,
        size: tuple[int, int],
    ) -> None:
        faults = stream_faults(settings)
        if faults:
            raise RenderFault(f"This cannot be streamed: {'; '.join(faults)}.", "Correct the preset.")
        self.settings = settings
        self._model, self._seed, self._size = model, seed, size
        self._window = model.window(settings, size)
        self._prompt: PromptKeys = model.prompt_keys(prompt)
        self._next_prompt: torch.Tensor | None = None
        self._past: list[_Past] = []
        self._is_stale = False  # the window does not hold what the past says
        self._chunk, self._frame = 0, 0

    @property
    def window_bytes(self) -> int:
        """What keys and values take, from the first chunk to the last."""
        return self._window.bytes

    def change_prompt(self, prompt: torch.Tensor) -> None:
        """Lead the next chunk, and all that follow, by another prompt; of several the last one counts."""
        self._next_prompt = prompt

    @property
    def is_over(self) -> bool:
        """Whether the stream has all the frames that its method was published for."""
        return self.settings.chunk(self._chunk, self._frame) == 0

    def chunks(self, on_step: OnStep = never) -> Iterator[Chunk]:
        """Chunk after chunk, to the end of the stream where it has one."""
        while not self.is_over:
            yield self.next_chunk(on_step)

    @torch.no_grad()
    def next_chunk(self, on_step: OnStep = never) -> Chunk:
        """Make the next chunk, or raise what ``on_step`` raises and have made nothing.

        A chunk that was stopped is made again by the next call, to the same bits.
        """
        settings = self.settings
        count = settings.chunk(self._chunk, self._frame)
        if not count:
            raise RenderFault("The stream has all the frames that its method makes.", "Begin another one.")
        self._turn_to_prompt()
        if self._is_stale or (settings.recache is Recache.EVERY_CHUNK and self._past):
            self._read_past(on_step)
        frames = range(self._frame, self._frame + count)
        latents = self._denoised(frames, on_step)
        if settings.recache is not Recache.EVERY_CHUNK:  # there the next chunk begins by reading it
            on_step(len(settings.timesteps))
            self._read(latents, frames)
        made = Chunk(number=self._chunk, first_frame=self._frame, latents=latents)
        self._chunk, self._frame = self._chunk + 1, self._frame + count
        self._remember(made)
        return made

    def _denoised(self, frames: range, on_step: OnStep) -> torch.Tensor:
        noise = chunk_noise(self._seed, self._chunk)
        levels = self.settings.noise_levels
        noisy = self._drawn(noise, len(frames))
        for step, (timestep, level) in enumerate(zip(self.settings.timesteps, levels, strict=True)):
            on_step(step)
            following = (*levels, 0.0)[step + 1]
            span = (timestep, following * TRAINED_TIMESTEPS)
            velocity = self._model.velocity(noisy, span, frames, self._prompt, self._window).to(noisy.dtype)
            if following == 0 or self.settings.sampler is Sampler.FLOW_MAP:
                noisy = noisy - (level - following) * velocity
            else:
                clean = noisy - level * velocity
                noisy = (1 - following) * clean + following * self._drawn(noise, len(frames))
        return noisy

    def _drawn(self, noise: torch.Generator, frames: int) -> torch.Tensor:
        """Noise in 32 bits, or in 64 where the model computes in 64: between steps nothing is rounded."""
        shape = (1, self._model.channels, frames, *self._size)
        wide = torch.promote_types(self._model.dtype, torch.float32)
        return torch.randn(shape, generator=noise, dtype=torch.float32).to(self._model.device, wide)

    def _read(self, latents: torch.Tensor, frames: range | list[int]) -> None:
        """Put clean frames into the window, as later chunks will look back at them."""
        span = (self.settings.context_timestep, self.settings.context_timestep)
        self._model.velocity(latents, span, frames, self._prompt, self._window)
        self._window.keep(len(frames))

    def _turn_to_prompt(self) -> None:
        if self._next_prompt is None:
            return
        self._prompt, self._next_prompt = self._model.prompt_keys(self._next_prompt), None
        self._is_stale = self.settings.recache is Recache.ON_SWITCH and bool(self._past)
        if self.settings.older_are_coarse:
            self._window.empty(coarse=True)

    def _read_past(self, on_step: OnStep) -> None:
        """Fill the window anew with what the coming chunk sees, as if nothing had been before that."""
        self._is_stale = True
        self._window.empty()
        for _, group in groupby(self._past, key=lambda past: past.chunk):
            past = list(group)
            latents, frames = torch.cat([one.latent for one in past], dim=2), [one.frame for one in past]
            if not isinstance(self._model, CausalAnyFlow) or frames[0] >= self._oldest:
                on_step(0)
                self._read(latents, frames)
            elif frames[0] >= self._window.coarse:  # those before it were read when they left the window
                on_step(0)
                self._model.read_coarse(
                    latents, self.settings.context_timestep, frames, self._prompt, self._window
                )
                self._window.keep_coarse(len(frames))
        self._is_stale = False

    @property
    def _oldest(self) -> int:
        """The first latent frame behind the sink that the next chunk sees as it is."""
        return self._frame - (self.settings.window - self.settings.sink - self.settings.latent_frames)

    def _remember(self, made: Chunk) -> None:
        if self.settings.recache is Recache.NEVER:
            return
        self._past += [
            _Past(frame=made.first_frame + number, chunk=made.number, latent=latent)
            for number, latent in enumerate(made.latents.split(1, dim=2))
        ]
        if not self.settings.older_are_coarse:
            sink, oldest = self.settings.sink, self._oldest
            self._past = [one for one in self._past if one.frame < sink or one.frame >= oldest]
