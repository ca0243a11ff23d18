"""Objects by name on an S3-compatible store, a mounted share or a peer; the only file that knows fsspec.

What is put under a name never changes: names are made of digests. So an upload or a fetch that broke off
goes on where it stood, and asking twice does no harm.
"""

import base64
import hashlib
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from policy.errors import IntegrityFault, StorageFault
from workers.store_addresses import StoreAddress
from workers.uploads import Journal, upload_in_parts

PIECE_BYTES = 8 << 20  # fetched at once, and so lost at most when a connection drops
WHOLE_BYTES = 16 << 20  # what is larger goes up in parts


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredObject:
    """What a store tells of an object, by the store's own clock."""

    name: str
    size: int  # bytes
    put_at: datetime


class ObjectStore:
    """Objects under one address. Any thread may ask; a failure is a StorageFault that names the address."""

    def __init__(self, address: StoreAddress) -> None:
        self.address = address

    def ask(self) -> None:
        """Whether the store answers to this key; StorageFault where it does not, or has no such bucket."""
        with self._told("asked"):
            if self.address.is_s3:
                self._files.call_s3("head_bucket", Bucket=self._path("").partition("/")[0])
            else:
                self._files.exists(self._path(""))

    def size_of(self, name: str) -> int | None:
        """Bytes of an object; None where there is none."""
        with self._told(name):
            try:
                if self.address.is_s3:  # one question: fsspec's would also ask for a folder of that name
                    return int(self._call("head_object", name)["ContentLength"])
                return int(self._files.info(self._path(name))["size"])
            except FileNotFoundError:
                return None

    def find(self, name: str) -> StoredObject | None:
        """An object of S3 or of a share, and when it was put; None where there is none."""
        with self._told(name):
            try:
                if self.address.is_s3:
                    told = self._call("head_object", name)
                    size, put_at = told["ContentLength"], told["LastModified"]
                else:
                    told = self._files.info(self._path(name))
                    size, put_at = told["size"], datetime.fromtimestamp(told["mtime"], UTC)
            except FileNotFoundError:
                return None
        return StoredObject(name=name, size=int(size), put_at=put_at)

    def listing(self, folder: str) -> Iterator[StoredObject]:
        """What lies in a folder of S3 or of a share, in the order of names; subfolders are left out."""
        if not self.address.is_s3:
            with self._told(folder):
                names = sorted(path.name for path in Path(self._path(folder)).glob("*") if path.is_file())
            found = (self.find(f"{folder}/{name}") for name in names)
            yield from (one for one in found if one is not None)
            return
        bucket, _, prefix = self._path(f"{folder}/").partition("/")
        asks = {"Bucket": bucket, "Prefix": prefix, "Delimiter": "/"}
        while True:
            with self._told(folder):
                page = self._files.call_s3("list_objects_v2", **asks)
            for told in page.get("Contents", ()):
                name = f"{folder}/{told['Key'].removeprefix(prefix)}"
                yield StoredObject(name=name, size=int(told["Size"]), put_at=told["LastModified"])
            if not page.get("IsTruncated"):
                return
            asks["ContinuationToken"] = page["NextContinuationToken"]

    def put(self, name: str, file: Path, sha256: str, journal: Path) -> None:
        """Keep a file durably under a name. S3 is told the digest, and refuses other bytes.

        A large file goes up in parts; ``journal`` remembers where it stood, until it is done.
        """
        size = file.stat().st_size
        with self._told(name):
            if not self.address.is_s3:
                self._put_file(name, file)
            elif size <= WHOLE_BYTES:
                self._call(
                    "put_object",
                    name,
                    Body=file.read_bytes(),
                    ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
                )
            else:
                before = self.find(name)
                with Journal(journal).held() as kept:
                    now = self.find(name)
                    if now is not None and now.size == size and now != before:
                        return  # another put it while this one waited
                    upload_in_parts(file, kept, lambda call, **facts: self._call(call, name, **facts))
        if (found := self.size_of(name)) != size:
            raise StorageFault(
                f"{self.address.url} says that {name} has {found} bytes, and {size} were sent.",
                "Look at the store, then resume the job.",
            )

    def fetch(self, name: str, draft: Path, size: int, sha256: str) -> bool:
        """Bring an object into ``draft``, on from what is there; False where the store has none.

        IntegrityFault where its bytes are not those of the digest; the draft is then gone.
        """
        if self.size_of(name) != size:
            return False
        with draft.open("ab") as stream:
            if stream.tell() > size:
                stream.truncate(0)
            while (start := os.fstat(stream.fileno()).st_size) < size:
                with self._told(name):
                    piece = self._files.cat_file(
                        self._path(name), start=start, end=min(size, start + PIECE_BYTES)
                    )
                if not piece or len(piece) > min(size - start, PIECE_BYTES):
                    raise StorageFault(
                        f"{self.address.url} sent {len(piece)} bytes of {name}, and not those asked for.",
                        "Ask a server that knows ranges.",
                    )
                stream.write(piece)
                stream.flush()
            os.fsync(stream.fileno())
        with draft.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != sha256:
            draft.unlink()
            raise IntegrityFault(
                f"{name} at {self.address.url} has the digest {found}, not its own.",
                "Nothing of it was used. Restore it there.",
            )
        return True

    def remove(self, name: str) -> None:
        """Take an object out; that it is not there is nothing."""
        with self._told(name):
            if self.address.is_s3:
                self._call("delete_object", name)
            elif self._files.exists(self._path(name)):
                self._files.rm_file(self._path(name))

    def _put_file(self, name: str, file: Path) -> None:
        """To a share: under a temporary name, flushed, then renamed."""
        place = Path(self._path(name))  # a share is a mounted folder
        draft = place.with_name(f"{uuid4().hex}.part")
        self._files.makedirs(str(place.parent), exist_ok=True)
        try:
            self._files.put_file(str(file), str(draft))
            for flushed in (draft, place.parent):
                handle = os.open(flushed, os.O_RDONLY)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
            draft.replace(place)
        finally:
            draft.unlink(missing_ok=True)

    def _call(self, method: str, name: str, **facts: Any) -> Any:
        bucket, _, key = self._path(name).partition("/")
        return self._files.call_s3(method, Bucket=bucket, Key=key, **facts)

    @cached_property
    def _files(self) -> Any:
        """The file system of the address, connected when it is first asked."""
        import fsspec  # noqa: PLC0415 - a house without a store need not wait for it

        return fsspec.filesystem(self.address.url.partition("://")[0], **_options(self.address))

    def _path(self, name: str) -> str:
        """As fsspec wants it: web addresses whole, all others without their scheme."""
        url = self.address.url
        return f"{url if url.startswith('http') else url.partition('://')[2]}/{name}"

    @contextmanager
    def _told(self, what: str) -> Generator[None]:
        try:
            yield
        except StorageFault:
            raise
        except Exception as fault:
            raise StorageFault(
                f"The store {self.address.url} failed ({what}): {type(fault).__name__}: {fault}.",
                "Look at its address, its keys and the network, then resume the job.",
            ) from fault


def _options(address: StoreAddress) -> dict[str, Any]:
    if not address.is_s3:
        return {}
    config: dict[str, Any] = {
        # Checksums are ours, of SHA-256: other stores than Amazon's do not know botocore's own.
        "request_checksum_calculation": "when_required",
        "retries": {"mode": "standard", "total_max_attempts": 3},
    }
    if address.endpoint:
        config["s3"] = {"addressing_style": "path"}
    return {
        "key": address.key,
        "secret": address.secret,
        "endpoint_url": address.endpoint,
        "client_kwargs": {"region_name": address.region} if address.region else {},
        "config_kwargs": config,
        "use_listings_cache": False,
    }
