"""An S3-compatible store on loopback, as far as objects and multipart uploads go, that checks every signature.

It answers as the S3 API reference says: Signature Version 4 over the payload, ranges, checksums of SHA-256,
parts of at least five MiB but for the last. What it holds and what it was asked are plain values.
"""

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from uuid import uuid4
from xml.etree import ElementTree as ET

from workers.store_addresses import StoreAddress

KEY, SECRET, REGION = "local-key", "local-secret", "eu-central-1"
LEAST_PART = 5 << 20  # bytes, of every part but the last


@dataclass
class Upload:
    """A multipart upload that is not complete yet."""

    key: str
    parts: dict[int, bytes] = field(default_factory=dict)


class LocalS3:
    """One bucket and the server in front of it."""

    def __init__(self, bucket: str = "house", host: str = "127.0.0.1", port: int = 0) -> None:
        self.bucket = bucket
        self.objects: dict[str, bytes] = {}
        self.put_at: dict[str, float] = {}  # seconds since the epoch, by key
        self.uploads: dict[str, Upload] = {}
        self.asked: list[tuple[str, str]] = []  # method and what for: "put", "part", "get", ...
        self.is_down = False
        self.parts_left: int | None = None  # parts that are taken before every further one is refused
        self.stall_at: tuple[str, int] | None = None  # what, and how many of it are answered before one waits
        self.stalled = threading.Event()
        self.go_on = threading.Event()
        self._server = ThreadingHTTPServer((host, port), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def endpoint(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def address(self, **changes: str) -> StoreAddress:
        """Where a house finds it, under a prefix of the house's own."""
        facts = {"endpoint": self.endpoint, "region": REGION, "key": KEY, "secret": SECRET}
        return StoreAddress(url=f"s3://{self.bucket}/night", **(facts | changes))

    def count(self, what: str) -> int:
        """How often something was asked for."""
        return sum(1 for _, asked in self.asked if asked == what)

    def keep(self, key: str, body: bytes) -> None:
        self.objects[key] = body
        self.put_at[key] = time.time()

    @contextmanager
    def running(self) -> Iterator["LocalS3"]:
        self._thread.start()
        try:
            yield self
        finally:
            self.go_on.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


def _handler_of(store: LocalS3) -> type[BaseHTTPRequestHandler]:
    class Handler(_Answers):
        pass

    Handler.store = store
    return Handler


class _Answers(BaseHTTPRequestHandler):
    store: LocalS3
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Silence: what was asked is kept as values."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        asks = dict(parse_qsl(address.query, keep_blank_values=True))
        bucket, _, key = unquote(address.path).lstrip("/").partition("/")
        if self.store.is_down:
            self._fault(503, "ServiceUnavailable")
        elif (wrong := self._unsigned(body)) is not None:
            self._fault(403, wrong)
        elif bucket != self.store.bucket:
            self._fault(404, "NoSuchBucket")
        elif not key:
            self._list(asks)
        elif "uploads" in asks or "uploadId" in asks:
            self._multipart(key, asks, body)
        else:
            self._object(key, body)

    def _object(self, key: str, body: bytes) -> None:
        self._note({"PUT": "put", "GET": "get", "HEAD": "head", "DELETE": "delete"}[self.command])
        held = self.store.objects.get(key)
        if self.command == "PUT":
            if not self._is_as_promised(body):
                self._fault(400, "BadDigest")
                return
            self.store.keep(key, body)
            self._send(200, {"ETag": _etag(body)})
        elif self.command == "DELETE":
            self.store.objects.pop(key, None)
            self._send(204, {})
        elif held is None:
            self._fault(404, "NoSuchKey")
        else:
            self._content(held, self.store.put_at.get(key, time.time()))

    def _content(self, held: bytes, put_at: float) -> None:
        about = {
            "ETag": _etag(held),
            "Accept-Ranges": "bytes",
            "Last-Modified": self.date_time_string(put_at),
        }
        span = self.headers.get("Range")
        if span is None:
            self._send(200, about, held)
            return
        first, _, last = span.removeprefix("bytes=").partition("-")
        start = int(first)
        if start >= len(held):
            self._fault(416, "InvalidRange")
            return
        part = held[start : int(last) + 1 if last else None]
        about["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(held)}"
        self._send(206, about, part)

    def _multipart(self, key: str, asks: dict[str, str], body: bytes) -> None:
        if "uploads" in asks:
            self._note("begin")
            upload_id = uuid4().hex
            self.store.uploads[upload_id] = Upload(key)
            self._xml(
                f"<InitiateMultipartUploadResult><UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
            )
            return
        upload = self.store.uploads.get(asks["uploadId"])
        if upload is None or upload.key != key:
            self._fault(404, "NoSuchUpload")
        elif self.command == "PUT":
            self._part(upload, int(asks["partNumber"]), body)
        elif self.command == "GET":
            self._note("parts")
            self._parts(upload, int(asks.get("part-number-marker") or 0))
        elif self.command == "DELETE":
            self._note("abort")
            del self.store.uploads[asks["uploadId"]]
            self._send(204, {})
        else:
            self._note("complete")
            self._complete(upload, asks["uploadId"], body)

    def _part(self, upload: Upload, number: int, body: bytes) -> None:
        if self.store.parts_left == 0:
            self._fault(403, "AccessDenied")
            return
        if self.store.parts_left is not None:
            self.store.parts_left -= 1
        self._note("part")
        if not self._is_as_promised(body):
            self._fault(400, "BadDigest")
            return
        upload.parts[number] = body
        self._send(200, {"ETag": _etag(body)})

    def _parts(self, upload: Upload, after: int) -> None:
        """Two at a time: every listing of a test is paged."""
        numbers = [number for number in sorted(upload.parts) if number > after]
        told = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{_etag(upload.parts[number])}</ETag>"
            f"<Size>{len(upload.parts[number])}</Size></Part>"
            for number in numbers[:2]
        )
        more = str(len(numbers) > 2).lower()
        marker = numbers[:2][-1] if numbers else after
        self._xml(
            f"<ListPartsResult><IsTruncated>{more}</IsTruncated>"
            f"<NextPartNumberMarker>{marker}</NextPartNumberMarker>{told}</ListPartsResult>"
        )

    def _complete(self, upload: Upload, upload_id: str, body: bytes) -> None:
        named = [(int(_text(part, "PartNumber")), _text(part, "ETag")) for part in ET.fromstring(body)]
        if any(number not in upload.parts or etag != _etag(upload.parts[number]) for number, etag in named):
            self._fault(400, "InvalidPart")
            return
        if any(len(upload.parts[number]) < LEAST_PART for number, _ in named[:-1]):
            self._fault(400, "EntityTooSmall")
            return
        whole = b"".join(upload.parts[number] for number, _ in named)
        self.store.keep(upload.key, whole)
        del self.store.uploads[upload_id]
        self._xml(
            f"<CompleteMultipartUploadResult><ETag>{_etag(whole)}</ETag></CompleteMultipartUploadResult>"
        )

    def _list(self, asks: dict[str, str]) -> None:
        """Two at a time, as parts are."""
        self._note("list")
        prefix, after = asks.get("prefix", ""), asks.get("continuation-token", "")
        keys = [key for key in sorted(self.store.objects) if key.startswith(prefix) and key > after]
        told = "".join(self._listed(key) for key in keys[:2])
        more = (
            f"<IsTruncated>true</IsTruncated><NextContinuationToken>{keys[1]}</NextContinuationToken>"
            if len(keys) > 2
            else "<IsTruncated>false</IsTruncated>"
        )
        self._xml(f"<ListBucketResult>{more}{told}</ListBucketResult>")

    def _listed(self, key: str) -> str:
        put_at = datetime.fromtimestamp(self.store.put_at.get(key, time.time()), UTC)
        return (
            f"<Contents><Key>{key}</Key><LastModified>{put_at:%Y-%m-%dT%H:%M:%S}.000Z</LastModified>"
            f"<Size>{len(self.store.objects[key])}</Size></Contents>"
        )

    def _is_as_promised(self, body: bytes) -> bool:
        promised = self.headers.get("x-amz-checksum-sha256")
        return promised is None or base64.b64decode(promised) == hashlib.sha256(body).digest()

    def _unsigned(self, body: bytes) -> str | None:
        """What is wrong with the signature; None where it holds and the body is the signed one."""
        scheme, _, told = self.headers.get("Authorization", "").partition(" ")
        if scheme != "AWS4-HMAC-SHA256":
            return "AccessDenied"
        facts = dict(part.strip().split("=", 1) for part in told.split(","))
        key, day, region, service, _ = facts["Credential"].split("/")
        payload = self.headers["x-amz-content-sha256"]
        if key != KEY or (region, service) != (REGION, "s3"):
            return "InvalidAccessKeyId"
        if payload != hashlib.sha256(body).hexdigest():
            return "XAmzContentSHA256Mismatch"
        address = urlsplit(self.path)
        pairs = sorted(parse_qsl(address.query, keep_blank_values=True))
        query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
        names = facts["SignedHeaders"].split(";")
        headers = "".join(f"{name}:{' '.join(self.headers[name].split())}\n" for name in names)
        request = "\n".join([self.command, address.path, query, headers, ";".join(names), payload])
        digest = hashlib.sha256(request.encode()).hexdigest()
        scope = f"{day}/{region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", self.headers["x-amz-date"], scope, digest])
        signing = f"AWS4{SECRET}".encode()
        for part in scope.split("/"):
            signing = hmac.digest(signing, part.encode(), "sha256")
        signature = hmac.digest(signing, text.encode(), "sha256").hex()
        return None if hmac.compare_digest(signature, facts["Signature"]) else "SignatureDoesNotMatch"

    def _note(self, what: str) -> None:
        if self.store.stall_at == (what, self.store.count(what)):
            self.store.stalled.set()
            self.store.go_on.wait()
        self.store.asked.append((self.command, what))

    def _fault(self, status: int, code: str) -> None:
        self._xml(f"<Error><Code>{code}</Code><Message>{code}</Message></Error>", status)

    def _xml(self, text: str, status: int = 200) -> None:
        self._send(status, {"Content-Type": "application/xml"}, text.encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        with suppress(ConnectionError):  # whoever asked was killed meanwhile
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body).hexdigest()}"'


def _text(part: ET.Element, name: str) -> str:
    return next(child.text or "" for child in part if child.tag.rpartition("}")[2] == name)
