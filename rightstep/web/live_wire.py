"""What goes over the socket of a live session: words as JSON, frames as bytes behind a fixed header.

From the client: text messages of the shapes below; a binary message is a sketch. From the server:
text messages with a ``type``, and binary ones, each a header and a picture.
"""

import json
import struct
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from flows.manifest_fields import LoraFields
from policy.errors import WrongUse
from rightstep.web.picture_shapes import MODEL

MAGIC = b"RSLF"
VERSION = 1
# magic, version, picture format, length of the header, frame, milliseconds, prompt version, change
HEADER = struct.Struct(">4sBBHQQII")
FORMATS = {"image/webp": 1, "image/jpeg": 2, "image/png": 3}
MOST_TEXT = 64 * 1024  # characters of a text message
MOST_SKETCH = 1024 * 1024  # bytes of a binary message
SEEDS = 2**32

Seed = Annotated[int, Field(ge=0, lt=2**63)]
Strength = Annotated[float, Field(gt=0, le=1)]
Steps = Annotated[int, Field(ge=1, le=8)]
Prompt = Annotated[str, Field(max_length=2_000)]


class Said(BaseModel):
    """A message of a client; a field that is not known here is refused rather than ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Begin(Said):
    """Begin a session."""

    type: Literal["begin"]
    model: Annotated[str, Field(pattern=MODEL, max_length=400)]
    prompt: Prompt
    loras: Annotated[tuple[LoraFields, ...], Field(max_length=8)] = ()
    seed: Seed = 0
    steps: Steps | None = None
    strength: Strength | None = None  # None: CANVAS_STRENGTH; a stream has none
    fps: Annotated[float, Field(gt=0, le=120)] | None = None  # None: 10 of a canvas, its own of a stream
    size: Annotated[str, Field(pattern=r"^(auto|[1-9][0-9]{1,3}x[1-9][0-9]{1,3})$")] = "auto"
    format: Literal["webp", "jpeg", "png"] = "webp"
    only_changes: bool = False
    ahead: Annotated[int, Field(ge=1, le=32)] = 1
    user: Annotated[str, Field(max_length=150, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


class Resume(Said):
    """Go on with a session whose socket was lost."""

    type: Literal["resume"]
    session: Annotated[str, Field(max_length=64)]
    token: Annotated[str, Field(max_length=128)]


class Change(Said):
    """Change what the next frame is made of; what is left out stays."""

    type: Literal["change"]
    prompt: Prompt | None = None
    seed: Seed | None = None
    steps: Steps | None = None
    strength: Strength | None = None


class Pause(Said):
    """Make no frames for a while, or make them again."""

    type: Literal["pause"]
    paused: bool = True


class Shown(Said):
    """A frame is on the screen. Who says so is never sent many frames ahead."""

    type: Literal["shown"]
    frame: Annotated[int, Field(ge=0, lt=2**63)]


class End(Said):
    """End the session."""

    type: Literal["end"]


Opening = Annotated[Begin | Resume, Field(discriminator="type")]
Later = Annotated[Change | Pause | Shown | End, Field(discriminator="type")]
OPENINGS: TypeAdapter[Begin | Resume] = TypeAdapter(Opening)
LATER: TypeAdapter[Change | Pause | Shown | End] = TypeAdapter(Later)


def parse_opening(text: str) -> Begin | Resume:
    """The first message of a socket; WrongUse where it is none."""
    found: Begin | Resume = _parsed(OPENINGS, text)
    return found


def parse_later(text: str) -> Change | Pause | Shown | End:
    """Any message after it; WrongUse where it is none."""
    found: Change | Pause | Shown | End = _parsed(LATER, text)
    return found


def _parsed(adapter: TypeAdapter[Any], text: str) -> Any:
    if len(text) > MOST_TEXT:
        raise WrongUse("This message is too long.", f"Send at most {MOST_TEXT:,} characters.")
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'message'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise WrongUse(f"This message cannot be read: {told}.", "See docs/how-to/go-live.md.") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveFrame:
    """A frame on its way."""

    number: int  # from 0, in the order in which frames were made; those that were dropped are missing
    pts: int  # milliseconds since the first frame was begun
    prompt: int  # version: how many prompts there were before
    change: int  # how many changes, sketches included, it takes into account
    media_type: str
    body: bytes  # the picture, marked

    def to_bytes(self) -> bytes:
        """As it goes over the socket."""
        fields = (
            VERSION,
            FORMATS[self.media_type],
            HEADER.size,
            self.number,
            self.pts,
            self.prompt,
            self.change,
        )
        return HEADER.pack(MAGIC, *fields) + self.body


def parse_frame(message: bytes) -> LiveFrame:
    """What a client reads of a binary message; WrongUse where it is no frame."""
    if len(message) < HEADER.size or message[:4] != MAGIC:
        raise WrongUse("These bytes are no frame.")
    _, version, kind, length, number, pts, prompt, change = HEADER.unpack_from(message)
    names = {code: name for name, code in FORMATS.items()}
    if version != VERSION or kind not in names:
        raise WrongUse("This frame is of another version.")
    return LiveFrame(
        number=number, pts=pts, prompt=prompt, change=change, media_type=names[kind], body=message[length:]
    )


def say(kind: str, **facts: Any) -> str:
    """A text message of the server."""
    return json.dumps({"type": kind, **facts})
