"""Does a file say in its own bytes that a machine made it? Its IPTC DigitalSourceType, read without decoding.

XMP stands in a PNG in an iTXt chunk, in a JPEG in an APP1 segment, in a WebP in a chunk of
its own (XMP specification, part 3). Only what is plainly there counts: a compressed or
extended packet, or one that declares entities, is not read.
"""

import re
import struct
from collections.abc import Iterator

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_KEYWORD = b"XML:com.adobe.xmp\0"
JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
JPEG_APP1, JPEG_SCAN = 0xE1, 0xDA
SOURCE_TYPE = re.compile(
    rb"""Iptc4xmpExt:DigitalSourceType\s*(?:=\s*["']|>\s*)(http://cv\.iptc\.org/newscodes/digitalsourcetype/\w+)"""
)
MADE_BY_MACHINE = frozenset(
    {"trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia"}
)


def says_machine_made(body: bytes) -> bool:
    """Whether the file's XMP names a digital source type of generated media."""
    packet = xmp_packet(body)
    if packet is None or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return False
    found = SOURCE_TYPE.findall(packet)
    return len(found) == 1 and found[0].decode().rpartition("/")[2] in MADE_BY_MACHINE


def xmp_packet(body: bytes) -> bytes | None:
    """The XMP packet of a PNG, JPEG or WebP; None where there is none, or where the file is none of these."""
    if body.startswith(PNG_SIGNATURE):
        found = _png_texts(body)
    elif body.startswith(b"\xff\xd8"):
        found = _jpeg_packets(body)
    elif body.startswith(b"RIFF") and body[8:12] == b"WEBP":
        found = _webp_packets(body)
    else:
        return None
    return next(found, None)


def _png_texts(body: bytes) -> Iterator[bytes]:
    at = len(PNG_SIGNATURE)
    while at + 8 <= len(body):
        length, kind = struct.unpack_from(">I4s", body, at)
        chunk = body[at + 8 : at + 8 + length] if kind == b"iTXt" else b""
        if chunk.startswith(PNG_KEYWORD) and chunk[len(PNG_KEYWORD) : len(PNG_KEYWORD) + 1] == b"\0":
            yield chunk[len(PNG_KEYWORD) + 2 :].split(b"\0", 2)[-1]
        at += 12 + length


def _jpeg_packets(body: bytes) -> Iterator[bytes]:
    at = 2
    while at + 4 <= len(body) and body[at] == 0xFF and body[at + 1] != JPEG_SCAN:
        marker, length = body[at + 1], struct.unpack_from(">H", body, at + 2)[0]
        segment = body[at + 4 : at + 2 + length]
        if marker == JPEG_APP1 and segment.startswith(JPEG_XMP):
            yield segment[len(JPEG_XMP) :]
        at += 2 + length


def _webp_packets(body: bytes) -> Iterator[bytes]:
    at = 12
    while at + 8 <= len(body):
        kind, length = struct.unpack_from("<4sI", body, at)
        if kind == b"XMP ":
            yield body[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
