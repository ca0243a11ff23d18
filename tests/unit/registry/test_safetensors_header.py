"""A safetensors file that two readers could understand differently is refused."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from policy.stacks import FilePin
from registry.safetensors_header import LARGEST_HEADER, header_fault
from registry.sources import builtin_source
from registry.verification import FaultKind, sha256_file, verify_files


def write(path: Path, header: Any, data: bytes = b"") -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + data)
    return path


def tensor(start: int, end: int, shape: list[int], dtype: str = "F16") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_a_whole_file_has_no_fault(tmp_path):
    header = {"__metadata__": {"format": "pt"}, "b": tensor(8, 12, [2]), "a": tensor(0, 8, [2, 2])}
    assert header_fault(write(tmp_path / "x.safetensors", header, b"\0" * 12)) is None


def test_every_built_in_file_is_whole():
    source = builtin_source()
    files = [path for repo in source.repositories() for path in source.locate(repo).rglob("*.safetensors")]
    assert len(files) >= 4
    assert [header_fault(path) for path in files] == [None] * len(files)


@pytest.mark.parametrize(
    ("header", "data", "said"),
    [
        ({"a": tensor(0, 8, [2, 2])}, b"\0" * 9, "9 bytes of data"),
        ({"a": tensor(0, 8, [2, 2])}, b"\0" * 7, "7 bytes of data"),
        ({"a": tensor(0, 8, [2, 2]), "b": tensor(4, 12, [4])}, b"\0" * 12, "overlap"),
        ({"a": tensor(0, 8, [2, 2]), "b": tensor(10, 12, [1])}, b"\0" * 12, "holes"),
        ({"a": tensor(0, 8, [3, 2])}, b"\0" * 8, "shape does not give"),
        ({"a": tensor(0, 8, [2, 2], "PICKLE")}, b"\0" * 8, "wrong entry"),
        ({"a": tensor(-8, 0, [2, 2])}, b"", "wrong entry"),
        ({"a": tensor(0, 8, [2, True])}, b"\0" * 8, "wrong entry"),
        ({"a": {"dtype": "F16"}}, b"", "wrong entry"),
        ({"a": 3}, b"", "wrong entry"),
        ([], b"", "not a table"),
        ({str(number): 1 for number in range(100_001)}, b"", "100001 tensors"),
        (b"{", b"", "cannot be read"),
        (b"[" * 200_000, b"", "cannot be read"),
        (b'{"a": {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]}, "a": 1}', b"", "twice"),
    ],
)
def test_a_header_that_lies_is_refused_with_the_lie(tmp_path, header, data, said):
    assert said in (header_fault(write(tmp_path / "x.safetensors", header, data)) or "")


@pytest.mark.parametrize("length", [3, 10**12, LARGEST_HEADER + 1])
def test_a_header_longer_than_the_file_or_the_limit_is_not_read(tmp_path, length):
    path = tmp_path / "x.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b"{}")
    os.truncate(path, 10 if length != LARGEST_HEADER + 1 else LARGEST_HEADER + 100)
    assert f"a header of {length} bytes" in (header_fault(path) or "")


def test_a_file_too_short_for_a_header_is_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"abc")
    assert "in a file of 3" in (header_fault(tmp_path / "x.safetensors") or "")


def test_a_file_with_the_pinned_digest_but_an_ambiguous_header_is_still_refused(tmp_path):
    path = write(tmp_path / "x.safetensors", b'{"a": 1, "a": 2}')
    pin = FilePin(path=path.name, sha256=sha256_file(path), size=path.stat().st_size)
    assert [fault.kind for fault in verify_files(str(tmp_path), (pin,))] == [FaultKind.HEADER]
