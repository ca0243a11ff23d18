"""Clips: which lengths and sizes a method makes, and how a stream is rolled out chunk by chunk."""

from dataclasses import dataclass
from enum import StrEnum

WAN_FRAME_RATE = 16  # frames a second that Wan 2.1 and the A14B models of 2.2 were trained at
LATENT_STRIDE = 4  # frames that one latent frame of a Wan autoencoder stands for, after the first


class VideoKind(StrEnum):
    """A file for players that a clip can be copied into."""

    MP4 = "mp4"
    WEBM = "webm"

    @property
    def media_type(self) -> str:
        return f"video/{self.value}"

    @property
    def suffix(self) -> str:
        return f".{self.value}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipRule:
    """The clips that a method makes: ``every`` * k + ``first`` frames, sides in multiples of ``sides``."""

    every: int  # frames of one latent frame, or of one chunk of a stream
    first: int  # frames before the first multiple
    shortest: int
    longest: int | None  # None: no published end
    sides: int  # pixels: width and height are multiples of it
    only_size: tuple[int, int] | None = None  # where the method runs at one size alone
    frame_rate: int = WAN_FRAME_RATE  # frames a second that it was trained at

    def takes_frames(self, frames: int) -> bool:
        """Whether a clip may have so many frames."""
        return frames == self.nearest_frames(frames)

    def nearest_frames(self, frames: int) -> int:
        """The valid length nearest to one that was asked for; the longer of two equally near."""
        below = self.first + (frames - self.first) // self.every * self.every
        near = min((below + self.every, below), key=lambda found: abs(found - frames))
        least = self._up(self.shortest)
        most = (
            None
            if self.longest is None
            else self.first + (self.longest - self.first) // self.every * self.every
        )
        return max(least, near if most is None else min(near, most))

    def lengths(self) -> str:
        """The lengths in words: "clips of 4k + 1 frames, up to 81"."""
        if self.longest is not None and self._up(self.shortest) == self.nearest_frames(self.longest):
            return f"clips of {self.longest} frames alone"
        rule = f"{self.every}k + {self.first}" if self.first else f"{self.every}k"
        most = "" if self.longest is None else f", up to {self.longest}"
        return f"clips of {rule} frames{most}"

    def sizes(self) -> str:
        """The sizes in words: "sides in multiples of 16 pixels"."""
        if self.only_size is not None:
            return f"{self.only_size[0]} x {self.only_size[1]} alone"
        return f"sides in multiples of {self.sides} pixels"

    def nearest_size(self, width: int, height: int) -> tuple[int, int]:
        """The valid size nearest to one that was asked for."""
        if self.only_size is not None:
            return self.only_size
        return self._side(width), self._side(height)

    def _up(self, frames: int) -> int:
        return self.first + -(-(frames - self.first) // self.every) * self.every

    def _side(self, pixels: int) -> int:
        return max(self.sides, (2 * pixels + self.sides) // (2 * self.sides) * self.sides)


class Recache(StrEnum):
    """When what a chunk looks back at is read into the cache anew, as if nothing had been before it."""

    NEVER = "never"
    ON_SWITCH = "on_switch"  # when the prompt changes, under the new one
    EVERY_CHUNK = "every_chunk"  # before every chunk, so that nothing lingers of what left the window


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """How a causal method makes a stream: chunk after chunk, each seeing those before it.

    Every chunk runs all steps of the method; then ``cache_passes`` forward passes over the
    clean chunk write what later chunks look back at.
    """

    latent_frames: int  # of a chunk
    cache_passes: int  # extra forward passes a chunk
    window: int | None  # latent frames that a chunk looks back at, its own included; None: all so far
    frame_rate: int  # frames a second that it was trained at
    sink: int = 0  # first latent frames that never leave the window
    first_latent_frames: int | None = None  # of the first chunk, where it differs
    first_extra_passes: int = 0  # further passes that the first chunk takes
    last_is_cached: bool = True  # whether the passes for the cache run after the last chunk too
    decoded_alone: bool = False  # each chunk is decoded by itself, so that its first latent is one frame
    cache_bytes_a_latent: int | None = None  # of keys and values in 16 bits; None where it is not published
    context_timestep: float = 0.0  # at which the passes for the cache run: 0 is the clean chunk
    recache: Recache = Recache.NEVER
    older_are_coarse: bool = False  # what left the window is still looked at, in larger patches

    @property
    def chunk_frames(self) -> int:
        """Frames of every chunk but the first."""
        return frames_of(self.latent_frames, opens=self.decoded_alone)

    @property
    def first_chunk_frames(self) -> int:
        """Frames of the first chunk: its first latent frame is one frame."""
        return frames_of(self.first_latent_frames or self.latent_frames, opens=True)

    @property
    def cache_bytes(self) -> int | None:
        """Bytes that keys and values take once the window is full; None where that is not known."""
        if self.window is None or self.cache_bytes_a_latent is None:
            return None
        return self.window * self.cache_bytes_a_latent

    def chunks(self, frames: int) -> int:
        """Chunks that a clip takes; the last one may be cut short."""
        return 1 + max(0, -(-(frames - self.first_chunk_frames) // self.chunk_frames))

    def passes(self, frames: int, a_chunk: int) -> int:
        """Forward passes of a whole clip whose chunks take ``a_chunk`` passes each for their steps."""
        chunks = self.chunks(frames)
        cached = chunks if self.last_is_cached else chunks - 1
        return chunks * a_chunk + cached * self.cache_passes + self.first_extra_passes


def frames_of(latents: int, *, opens: bool) -> int:
    """Frames of so many latent frames: the first one of what is decoded together is one frame."""
    return LATENT_STRIDE * (latents - 1) + 1 if opens else LATENT_STRIDE * latents
