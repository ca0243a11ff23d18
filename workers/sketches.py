"""Sketches from outside, read with care: bounds are looked at before a single pixel is decoded."""

import io
import warnings

from PIL import Image

from policy.errors import WrongUse

FORMATS = ("PNG", "WEBP", "JPEG")
MOST_PIXELS = 2048 * 2048
WHITE = (255, 255, 255)


def read_sketch(body: bytes, size: tuple[int, int]) -> bytes:
    """A PNG, WebP or JPEG as RGB bytes of a canvas' (width, height), on white paper; else WrongUse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow about odd files; they are refused or read
            with Image.open(io.BytesIO(body), formats=FORMATS) as found:
                if found.width * found.height > MOST_PIXELS:
                    raise WrongUse(
                        f"The sketch has {found.width} x {found.height} pixels.",
                        "Send it in the size of the canvas.",
                    )
                picture = found.convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as fault:
        raise WrongUse("The sketch is no PNG, WebP or JPEG.", "Send one of these, whole.") from fault
    paper = Image.new("RGBA", picture.size, (*WHITE, 255))
    flat = Image.alpha_composite(paper, picture).convert("RGB")
    if flat.size != size:
        flat = flat.resize(size, Image.Resampling.LANCZOS)
    return flat.tobytes()


def picture_of(sketch: bytes, size: tuple[int, int]) -> Image.Image:
    """The picture of RGB bytes; white paper where there are none."""
    return Image.frombytes("RGB", size, sketch) if sketch else Image.new("RGB", size, WHITE)
