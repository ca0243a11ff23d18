"""Does a safetensors file describe itself truthfully? Reads the header only, never a weight.

The library refuses overlaps and holes when it loads, but accepts duplicate keys and
headers of 100 MB; a file that two readers can understand differently is refused here.
"""

import json
from pathlib import Path
from typing import Any

LARGEST_HEADER = 25_000_000  # bytes, as the Hub has it
MOST_TENSORS = 100_000
LICENCE_KEY = "modelspec.license"
LONGEST_NAME = 200  # characters
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64,
}  # fmt: skip


def header_fault(path: Path) -> str | None:
    """What is wrong with the header of this file; None where it is whole, unambiguous and adds up."""
    try:
        header, room = _read(path)
    except _Unreadable as fault:
        return str(fault)
    header.pop("__metadata__", None)
    if len(header) > MOST_TENSORS:
        return f"{len(header)} tensors"
    return _layout_fault(header, room)


def header_licence(path: Path) -> str:
    """The licence that the file names in its metadata; "" where it names none or cannot be read.

    Key of https://github.com/Stability-AI/ModelSpec; anybody can write anything there.
    """
    try:
        metadata = _read(path)[0].get("__metadata__")
    except _Unreadable:
        return ""  # whoever pins such a file is told by header_fault
    said = metadata.get(LICENCE_KEY) if isinstance(metadata, dict) else None
    return said.strip()[:LONGEST_NAME] if isinstance(said, str) else ""


class _Unreadable(Exception):  # never leaves this file
    """What is wrong, as a piece of a sentence."""


def _read(path: Path) -> tuple[dict[str, Any], int]:
    """The header, and how many bytes of weights follow it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(LARGEST_HEADER, size - 8):
            raise _Unreadable(f"a header of {length} bytes in a file of {size}")
        raw = file.read(length)
    try:
        header = json.loads(raw, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _Unreadable(f"a header that cannot be read ({error})") from None
    if not isinstance(header, dict):
        raise _Unreadable("a header that is not a table")
    return header, size - 8 - length


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key stands in it twice")
    return table


def _layout_fault(header: dict[str, Any], room: int) -> str | None:
    """Tensors must fill the file exactly, one after another, each as long as its shape says."""
    spans: list[tuple[int, int]] = []
    for name, entry in header.items():
        try:
            dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
            bits = BITS[dtype]
            for extent in shape:
                bits *= _whole(extent)
            if _whole(end) - _whole(start) != bits // 8:
                return f'tensor "{name}" of {end - start} bytes that its shape does not give'
        except (KeyError, TypeError, ValueError) as error:
            return f'tensor "{name}" with a wrong entry ({error})'
        spans.append((start, end))
    position = 0
    for start, end in sorted(spans):
        if start != position:
            return "tensors that overlap or leave holes"
        position = end
    return None if position == room else f"{room} bytes of data where the header describes {position}"


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value
