"""Multipart uploads that go on where they broke off: a journal knows the upload, the store the parts it has.

The calls and their limits are those of Amazon's S3 API reference: at most 10,000 parts, each of at least
5 MiB but for the last.
"""

import base64
import fcntl
import hashlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PART_BYTES = 16 << 20
MOST_PARTS = 10_000
Call = Callable[..., Any]  # a method of the S3 API on the object that is put


class Journal:
    """A small file with the id of an unfinished upload. One process at a time goes on with it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def held(self) -> Generator["Journal"]:
        """Hold it, wait where another does; the system lets go of it when a process dies."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self

    def upload_id(self) -> str:
        """The upload to go on with; "" where there is none."""
        return self._path.read_text(encoding="ascii").strip()

    def begin(self, upload_id: str) -> None:
        self._path.write_text(upload_id, encoding="ascii")

    def end(self) -> None:
        """The upload is done: an empty journal stays, because others may wait for it."""
        self._path.write_text("", encoding="ascii")


def upload_in_parts(file: Path, journal: Journal, call: Call) -> None:
    """Put a file in parts, those that the store has already left out."""
    size = file.stat().st_size
    part_bytes = max(PART_BYTES, -(-size // MOST_PARTS))
    upload_id, etags = _standing(journal, call, size, part_bytes)
    if not upload_id:
        upload_id = call("create_multipart_upload", ChecksumAlgorithm="SHA256")["UploadId"]
        journal.begin(upload_id)
    with file.open("rb") as stream:
        for number in range(1, -(-size // part_bytes) + 1):
            if number in etags:
                continue
            stream.seek((number - 1) * part_bytes)
            part = stream.read(part_bytes)
            checksum = base64.b64encode(hashlib.sha256(part).digest()).decode()
            answer = call(
                "upload_part", UploadId=upload_id, PartNumber=number, Body=part, ChecksumSHA256=checksum
            )
            etags[number] = (answer["ETag"], checksum)
    parts = [
        {"PartNumber": number, "ETag": etag} | ({"ChecksumSHA256": checksum} if checksum else {})
        for number, (etag, checksum) in sorted(etags.items())
    ]
    call("complete_multipart_upload", UploadId=upload_id, MultipartUpload={"Parts": parts})
    journal.end()


def _standing(
    journal: Journal, call: Call, size: int, part_bytes: int
) -> tuple[str, dict[int, tuple[str, str]]]:
    """The upload that broke off and the parts that it has whole: (etag, checksum) by number."""
    upload_id = journal.upload_id()
    if not upload_id:
        return "", {}
    etags: dict[int, tuple[str, str]] = {}
    after = 0
    try:
        while True:
            page = call("list_parts", UploadId=upload_id, PartNumberMarker=after)
            for part in page.get("Parts", ()):
                number = int(part["PartNumber"])
                if int(part["Size"]) == min(part_bytes, size - (number - 1) * part_bytes):
                    etags[number] = (part["ETag"], part.get("ChecksumSHA256", ""))
            if not page.get("IsTruncated"):
                return upload_id, etags
            after = int(page["NextPartNumberMarker"])
    except FileNotFoundError:  # ended, or swept away by the store
        return "", {}
