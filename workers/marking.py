"""The marking inside each picture: machine-readable "made by AI", its shot key and its stack.

The file itself carries only this; job, plan, take and time go to the ledger and to the
provenance statement. The same pixels and marking always make the same bytes.
"""

import io
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from xml.etree import (
    ElementTree as ET,
)  # the packet is our own or is refused; entities are never declared in it

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from policy.errors import FormatFault

XMP = "XML:com.adobe.xmp"
SHOT_KEY = "rightstep:shot_key"
STACK_ID = "rightstep:stack_id"
SYNTHETIC = "rightstep:synthetic"
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{iptc}" Iptc4xmpExt:DigitalSourceType="{source}"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)


class DigitalSourceType(StrEnum):
    """The IPTC words that apply here."""

    TRAINED = SOURCE_TYPES + "trainedAlgorithmicMedia"  # made by a trained model
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


def marked_png(pixels: NDArray[np.uint8], marking: Marking) -> bytes:
    """Encode (height, width, 3) 8-bit pixels as a PNG that carries the marking."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt(XMP, PACKET.format(rdf=RDF, iptc=IPTC, source=marking.source.value))
    chunks.add_text(SHOT_KEY, marking.shot_key)
    chunks.add_text(STACK_ID, marking.stack_id)
    if marking.is_synthetic:
        chunks.add_text(SYNTHETIC, "true")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", pnginfo=chunks)
    return buffer.getvalue()


def read_marking(path: Path) -> Marking:
    """The marking of a file as found in its own bytes; a file without a complete one is refused."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            picture.load()  # text may stand after the pixels; a truncated file fails here
            found = {key: str(value) for key, value in picture.info.items() if isinstance(value, str)}
    except (OSError, SyntaxError, ValueError) as fault:
        raise FormatFault(f"{path} cannot be read as a PNG: {fault}.", "Render the shot again.") from fault
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
