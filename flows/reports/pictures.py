"""Which pictures a page shows, as data URIs: a page stays small however long the night was."""

import base64
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from policy.errors import FormatFault
from policy.tasks import TakeState
from registry.records import ShotRecord
from workers.clip_files import WEBP, smaller_clip

SHOWN = 600  # pictures a page
FAILURES_SHOWN = 150  # of them, at most, shots without a picture
AS_IT_IS = 160  # pixels: up to this size the very bytes are embedded, marking included
PREVIEW = 320  # pixels: larger ones are scaled down to this
PREVIEW_QUALITY = 80

GIVEN_UP = frozenset({TakeState.FAILED, TakeState.DEAD, TakeState.CANCELLED, TakeState.EATEN})


@dataclass(frozen=True, kw_only=True, slots=True)
class Thumbnail:
    """A picture as a page carries it."""

    uri: str  # data:...
    width: int  # of the picture itself
    height: int

    @property
    def is_tiny(self) -> bool:
        """So small that it is shown enlarged, pixel by pixel."""
        return max(self.width, self.height) <= AS_IT_IS


def choose_shown(shots: Sequence[ShotRecord], limit: int = SHOWN) -> tuple[ShotRecord, ...]:
    """At most ``limit`` shots in their order: some failures, the rest evenly through the decisions.

    The same shots are chosen every time, so that two reports of one job can be compared.
    """
    if len(shots) <= limit:
        return tuple(shots)
    failures = [shot for shot in shots if shot.state in GIVEN_UP]
    others = [shot for shot in shots if shot.state not in GIVEN_UP]
    lost = min(len(failures), max(min(FAILURES_SHOWN, limit // 4), limit - len(others)))
    # Sorted by decision, one even stride gives every decision its share.
    others.sort(key=lambda shot: (shot.decision, shot.ordinal))
    chosen = [*_spread(failures, lost), *_spread(others, limit - lost)]
    return tuple(sorted(chosen, key=lambda shot: shot.ordinal))


def _spread(shots: Sequence[ShotRecord], count: int) -> list[ShotRecord]:
    if len(shots) <= count:
        return list(shots)
    return [shots[place * len(shots) // count] for place in range(count)]


def load_thumbnail(shot: ShotRecord, read_picture: Callable[[str], bytes | None]) -> Thumbnail | None:
    """The picture of a shot, or None where there is none or its bytes are gone or no picture."""
    if shot.artefact is None:
        return None
    content = read_picture(shot.artefact.sha256)
    return None if content is None else make_thumbnail(content)


def make_thumbnail(content: bytes) -> Thumbnail | None:
    """Small pictures and clips as they are, larger ones as a WebP preview, which moves if they do.

    None for bytes that are no picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content))
            width, height = image.size
            media_type = image.get_format_mimetype()
            if max(width, height) > AS_IT_IS and getattr(image, "is_animated", False):
                content, media_type = smaller_clip(content, PREVIEW, quality=PREVIEW_QUALITY), WEBP
            elif max(width, height) > AS_IT_IS or media_type is None:
                image.thumbnail((PREVIEW, PREVIEW))
                kept = io.BytesIO()
                image.convert("RGB").save(kept, "WEBP", quality=PREVIEW_QUALITY)
                content, media_type = kept.getvalue(), "image/webp"
    except (
        FormatFault,
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
    ):
        return None
    return Thumbnail(uri=data_uri(content, media_type), width=width, height=height)


def data_uri(content: bytes, media_type: str) -> str:
    """Bytes inside the page, so that it needs nothing beside it."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
