"""The marking inside each picture: machine-readable "made by AI", its shot key and its stack.

In a PNG the keys stand in text chunks of their own; a JPEG and a WebP have only the XMP packet,
so there they stand in it. The file itself carries only this; job, plan, take and time go to the
ledger and to the provenance statement. The same pixels and marking always make the same bytes.
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from xml.etree import (
    ElementTree as ET,
)  # the packet is our own or is refused; entities are never declared in it
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from policy.errors import FormatFault, WrongUse

XMP = "XML:com.adobe.xmp"
SHOT_KEY = "rightstep:shot_key"
STACK_ID = "rightstep:stack_id"
SYNTHETIC = "rightstep:synthetic"
PREVIEW = "rightstep:preview"  # of a picture that was not finished: after which step, and of how many
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
OWN = "urn:rightstep:marking:v1"  # namespace of our own keys
PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{iptc}" Iptc4xmpExt:DigitalSourceType="{source}"'
    "{keys}/>"
    '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)
FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}


class DigitalSourceType(StrEnum):
    """The IPTC words that apply here."""

    TRAINED = SOURCE_TYPES + "trainedAlgorithmicMedia"  # made by a trained model
    COMPOSITE = (
        SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"
    )  # made by a trained model from somebody's sketch
    ALGORITHMIC = SOURCE_TYPES + "algorithmicMedia"  # made by plain code: a synthetic frame


@dataclass(frozen=True, kw_only=True, slots=True)
class Marking:
    """What a file says about itself."""

    shot_key: str
    stack_id: str
    source: DigitalSourceType = DigitalSourceType.TRAINED

    @property
    def is_synthetic(self) -> bool:
        return self.source is DigitalSourceType.ALGORITHMIC


def marked_png(pixels: NDArray[np.uint8], marking: Marking, *, preview: str = "") -> bytes:
    """Encode (height, width, 3) 8-bit pixels as a PNG that carries the marking.

    ``preview`` says of what is not finished how far it is.
    """
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt(XMP, PACKET.format(rdf=RDF, iptc=IPTC, source=marking.source.value, keys=""))
    chunks.add_text(SHOT_KEY, marking.shot_key)
    chunks.add_text(STACK_ID, marking.stack_id)
    if marking.is_synthetic:
        chunks.add_text(SYNTHETIC, "true")
    if preview:
        chunks.add_text(PREVIEW, preview)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", pnginfo=chunks)
    return buffer.getvalue()


def marked_picture(
    pixels: NDArray[np.uint8], marking: Marking, media_type: str, *, quality: int = 95, effort: int = 4
) -> bytes:
    """Encode (height, width, 3) 8-bit pixels as ``image/png``, ``image/jpeg`` or ``image/webp``, marked.

    ``quality`` is 1 to 100 for the two that lose some; ``effort`` is 0 to 6 for WebP, whose files
    are about as large at 0 and take a third of the time. Another type is WrongUse.
    """
    if media_type not in FORMATS:
        raise WrongUse(f"{media_type} cannot be marked.", f"Choose one of {', '.join(FORMATS)}.")
    if media_type == "image/png":
        return marked_png(pixels, marking)
    buffer = io.BytesIO()
    packet = packet_of(marking).encode()
    form = FORMATS[media_type]
    more = {"method": effort} if form == "WEBP" else {}
    Image.fromarray(pixels).save(buffer, format=form, quality=quality, xmp=packet, **more)
    return buffer.getvalue()


def packet_of(marking: Marking) -> str:
    """The XMP packet with our keys in it, for a file that has no other place for them."""
    keys = (
        f' xmlns:rightstep="{OWN}" {SHOT_KEY}={quoteattr(marking.shot_key)}'
        f" {STACK_ID}={quoteattr(marking.stack_id)}"
    )
    if marking.is_synthetic:
        keys += f' {SYNTHETIC}="true"'
    return PACKET.format(rdf=RDF, iptc=IPTC, source=marking.source.value, keys=keys)


def read_marking(path: Path) -> Marking:
    """The marking of a file as found in its own bytes; a file without a complete one is refused."""
    try:
        with Image.open(path, formats=tuple(FORMATS.values())) as picture:
            picture.load()  # text may stand after the pixels; a truncated file fails here
            found = _found(picture.info)
    except (OSError, SyntaxError, ValueError) as fault:
        raise FormatFault(
            f"{path} cannot be read as a PNG, JPEG or WebP: {fault}.", "Render the shot again."
        ) from fault
    missing = [key for key in (XMP, SHOT_KEY, STACK_ID) if not found.get(key)]
    if missing:
        raise FormatFault(
            f"{path} carries no {' and no '.join(missing)}.", "Use the file that the artefact store holds."
        )
    source = _source_type(found[XMP], path)
    if (found.get(SYNTHETIC) == "true") != (source is DigitalSourceType.ALGORITHMIC):
        raise FormatFault(
            f"{path} contradicts itself about being synthetic.", "Use the file that the artefact store holds."
        )
    return Marking(shot_key=found[SHOT_KEY], stack_id=found[STACK_ID], source=source)


def _found(info: Mapping[Any, Any]) -> dict[str, str]:
    """What a picture's header says: text chunks, or an XMP packet with our keys in it."""
    found = {key: str(value) for key, value in info.items() if isinstance(value, str)}
    packet = info.get("xmp")
    if isinstance(packet, bytes) and XMP not in found:
        found[XMP] = packet.decode("utf-8", errors="replace")
        found |= {
            name: found_in[1]
            for name in (SHOT_KEY, STACK_ID, SYNTHETIC)
            if (found_in := re.search(rf'\s{name}="([^"<&]*)"', found[XMP]))
        }
    return found


def _source_type(packet: str, path: Path) -> DigitalSourceType:
    name = f"{{{IPTC}}}DigitalSourceType"
    if "<!DOCTYPE" in packet or "<!ENTITY" in packet:
        raise FormatFault(
            f"{path} has an XMP packet that declares entities, so no DigitalSourceType is read."
        )
    try:
        elements = ET.fromstring(packet).iter()  # noqa: S314 - no entity is declared in it
        (value,) = [element.attrib[name] for element in elements if name in element.attrib]
        return DigitalSourceType(value)
    except (ET.ParseError, ValueError) as fault:
        raise FormatFault(
            f"{path} has an XMP packet without one known DigitalSourceType: {fault}."
        ) from fault
