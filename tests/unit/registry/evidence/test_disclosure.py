"""Only what plainly says so in its own bytes counts as marked."""

import io

import pytest
from PIL import Image, PngImagePlugin

from registry.evidence.disclosure import says_machine_made, xmp_packet

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
PACKET = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d Iptc4xmpExt:DigitalSourceType="{TRAINED}"/></x:xmpmeta>'


def picture(packet: str | None, kind: str = "PNG", *, compressed: bool = False) -> bytes:
    buffer = io.BytesIO()
    image = Image.new("RGB", (8, 8))
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        if packet is not None:
            info.add_itxt("XML:com.adobe.xmp", packet, zip=compressed)
        image.save(buffer, format=kind, pnginfo=info)
    else:
        image.save(buffer, format=kind, **({} if packet is None else {"xmp": packet.encode()}))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_marked_file_says_so_and_an_unmarked_one_does_not(kind):
    assert says_machine_made(picture(PACKET, kind))
    assert not says_machine_made(picture(None, kind))


@pytest.mark.parametrize(
    "packet",
    [
        PACKET.replace("trainedAlgorithmicMedia", "digitalCapture"),
        PACKET.replace("Iptc4xmpExt:DigitalSourceType", "other:DigitalSourceType"),
        PACKET.replace("/>", f' again Iptc4xmpExt:DigitalSourceType="{TRAINED}"/>', 1),
        f"<!DOCTYPE x>{PACKET}",
    ],
    ids=["a photograph", "another property", "twice", "entities"],
)
def test_what_says_something_else_or_says_it_doubtfully_is_not_marked(packet):
    assert not says_machine_made(picture(packet))


def test_a_compressed_packet_is_not_read():
    assert xmp_packet(picture(PACKET, compressed=True)) is None


@pytest.mark.parametrize(
    "body", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", PACKET.encode()]
)
def test_what_is_no_picture_or_a_torn_one_is_not_marked(body):
    assert not says_machine_made(body)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_file_that_is_cut_anywhere_raises_nothing(kind):
    whole = picture(PACKET, kind)
    assert all(says_machine_made(whole[:cut]) in {True, False} for cut in range(len(whole)))
