import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from policy.errors import FormatFault, WrongUse
from registry.evidence.disclosure import says_machine_made
from workers.marking import (
    SHOT_KEY,
    STACK_ID,
    SYNTHETIC,
    XMP,
    DigitalSourceType,
    Marking,
    marked_picture,
    marked_png,
    read_marking,
)

PIXELS = (np.arange(8 * 6 * 3).reshape(6, 8, 3) * 3 % 256).astype(np.uint8)


def make_marking(**changes) -> Marking:
    return Marking(**({"shot_key": "a" * 64, "stack_id": "b" * 64} | changes))


def written(folder, content: bytes):
    path = folder / "fox.png"
    path.write_bytes(content)
    return path


def png_with(chunks: dict[str, str]) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in chunks.items():
        info.add_itxt(key, text)
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, format="PNG", pnginfo=info)
    return buffer.getvalue()


@pytest.mark.parametrize("source", list(DigitalSourceType))
def test_a_marking_reads_back_from_the_file_itself(tmp_path, source):
    marking = make_marking(source=source)
    assert read_marking(written(tmp_path, marked_png(PIXELS, marking))) == marking


def test_marking_changes_no_pixel(tmp_path):
    with Image.open(written(tmp_path, marked_png(PIXELS, make_marking()))) as picture:
        assert np.array_equal(np.asarray(picture), PIXELS)


def test_any_xmp_reader_finds_the_ai_marking(tmp_path):
    with Image.open(written(tmp_path, marked_png(PIXELS, make_marking()))) as picture:
        packet = picture.info[XMP]
    assert (
        'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"'
        in packet
    )
    assert packet.startswith("<?xpacket begin=")
    assert packet.endswith('<?xpacket end="r"?>')


def test_the_same_pixels_and_marking_are_the_same_bytes():
    assert marked_png(PIXELS, make_marking()) == marked_png(PIXELS.copy(), make_marking())


def test_a_synthetic_frame_says_so_twice(tmp_path):
    path = written(tmp_path, marked_png(PIXELS, make_marking(source=DigitalSourceType.ALGORITHMIC)))
    with Image.open(path) as picture:
        assert picture.info[SYNTHETIC] == "true"
    assert read_marking(path).is_synthetic


def test_a_file_without_a_marking_is_refused(tmp_path):
    with pytest.raises(FormatFault, match=r"carries no XML:com.adobe.xmp and no rightstep:shot_key"):
        read_marking(written(tmp_path, png_with({})))


def test_a_real_picture_relabelled_as_synthetic_is_refused(tmp_path):
    packet = '<x DigitalSourceType="" xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" e:DigitalSourceType="{}"/>'
    chunks = {XMP: packet.format(DigitalSourceType.TRAINED), SHOT_KEY: "a", STACK_ID: "b", SYNTHETIC: "true"}
    with pytest.raises(FormatFault, match="contradicts itself"):
        read_marking(written(tmp_path, png_with(chunks)))


@pytest.mark.parametrize("packet", ["<broken", "<x/>", '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'])
def test_an_unreadable_packet_is_refused(tmp_path, packet):
    with pytest.raises(FormatFault, match="DigitalSourceType"):
        read_marking(written(tmp_path, png_with({XMP: packet, SHOT_KEY: "a", STACK_ID: "b"})))


@pytest.mark.parametrize("cut", [0, 20, -30])
def test_a_truncated_file_is_refused(tmp_path, cut):
    content = marked_png(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8), make_marking())
    with pytest.raises(FormatFault):
        read_marking(written(tmp_path, content[:cut]))


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/webp"])
@pytest.mark.parametrize("source", list(DigitalSourceType))
def test_every_format_carries_the_marking_for_our_reader_and_for_one_that_decodes_nothing(
    tmp_path, media_type, source
):
    marking = make_marking(source=source)
    body = marked_picture(PIXELS, marking, media_type)
    assert read_marking(written(tmp_path, body)) == marking
    assert says_machine_made(body)


def test_a_format_without_a_place_for_a_marking_is_wrong_use():
    with pytest.raises(WrongUse, match="image/gif cannot be marked"):
        marked_picture(PIXELS, make_marking(), "image/gif")


def test_a_marked_png_is_the_same_bytes_by_either_door():
    assert marked_picture(PIXELS, make_marking(), "image/png") == marked_png(PIXELS, make_marking())
