"""Does a file say in its own bytes that a machine made it? Its IPTC DigitalSourceType, read without decoding.

XMP stands in a PNG in an iTXt chunk, in a JPEG in an APP1 segment, in a WebP and a WAV in a chunk
of its own, in an MP4 in a box of its own (XMP specification, part 3). A WebM has no place for it:
there the type is a tag. Only what is plainly there counts: a compressed or extended packet, or one
that declares entities, is not read.
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
EBML = b"\x1a\x45\xdf\xa3"  # what a Matroska file, and so a WebM, begins with
WEBM_TAG = re.compile(  # RFC 9559: the name of a simple tag, then its string (element 4487) with its length
    rb"IPTC:DigitalSourceType\x44\x87([\x80-\xfe])(?=http://cv\.iptc\.org/newscodes/digitalsourcetype/)",
    re.IGNORECASE,
)
MP4_XMP = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")
RIFF_XMP = {b"WEBP": b"XMP ", b"WAVE": b"_PMX"}
MADE_BY_MACHINE = frozenset(
    {"trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia"}
)


def says_machine_made(body: bytes) -> bool:
    """Whether the file itself names a digital source type of generated media, and no other."""
    found = _source_types(body)
    return len(found) == 1 and found[0].decode().rpartition("/")[2] in MADE_BY_MACHINE


def _source_types(body: bytes) -> list[bytes]:
    if body.startswith(EBML):
        return [body[tag.end() :][: tag[1][0] & 0x7F] for tag in WEBM_TAG.finditer(body)]
    packet = xmp_packet(body)
    if packet is None or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return []
    return SOURCE_TYPE.findall(packet)


def xmp_packet(body: bytes) -> bytes | None:
    """The XMP packet of a PNG, JPEG, WebP, WAV or MP4; None where there is none, or no such file."""
    if body.startswith(PNG_SIGNATURE):
        found = _png_texts(body)
    elif body.startswith(b"\xff\xd8"):
        found = _jpeg_packets(body)
    elif body.startswith(b"RIFF") and body[8:12] in RIFF_XMP:
        found = _riff_chunks(body, RIFF_XMP[body[8:12]])
    elif body[4:8] == b"ftyp":
        found = _mp4_packets(body)
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


def _riff_chunks(body: bytes, wanted: bytes) -> Iterator[bytes]:
    at = 12
    while at + 8 <= len(body):
        kind, length = struct.unpack_from("<4sI", body, at)
        if kind == wanted:
            yield body[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _mp4_packets(body: bytes) -> Iterator[bytes]:
    at = 0
    while at + 16 <= len(body):
        length, kind, large = struct.unpack_from(">I4sQ", body, at)
        size = {0: len(body) - at, 1: large}.get(length, length)  # 0: to the end; 1: a longer field follows
        if kind == b"uuid" and body[at + 8 : at + 24] == MP4_XMP:
            yield body[at + 24 : at + size]
        at += max(size, 8)
