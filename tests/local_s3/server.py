"""An S3-compatible store on loopback, as far as objects and multipart uploads go, that checks every signature.

It answers as the S3 API reference says: Signature Version 4 over the payload, ranges, checksums of SHA-256,
parts of at least five MiB but for the last. What it holds and what it was asked are plain values.
"""

import base64
import hashlib
import hmac
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from uuid import uuid4
from xml.etree import ElementTree as ET

from tests.loopback import Answers, Loopback
from workers.store_addresses import StoreAddress

KEY, SECRET, REGION = "local-key", "local-secret", "eu-central-1"
LEAST_PART = 5 << 20  # bytes, of every part but the last


@dataclass
class Upload:
    """A multipart upload that is not complete yet."""

    key: str
    parts: dict[int, bytes] = field(default_factory=dict)


class LocalS3(Loopback):
    """One bucket and the server in front of it."""

    def __init__(self, bucket: str = "house", host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(_Answers, host, port)
        self.bucket = bucket
        self.objects: dict[str, bytes] = {}
        self.put_at: dict[str, float] = {}  # seconds since the epoch, by key
        self.uploads: dict[str, Upload] = {}
        self.asked: list[tuple[str, str]] = []  # method and what for: "put", "part", "get", ...
        self.is_down = False
        self.parts_left: int | None = None  # parts that are taken before every further one is refused
        self.stall_at: tuple[str, int] | None = None  # what, and how many of it are answered before one waits

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


class _Answers(Answers):
    owner: LocalS3

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        asks = dict(parse_qsl(address.query, keep_blank_values=True))
        bucket, _, key = unquote(address.path).lstrip("/").partition("/")
        if self.owner.is_down:
            self._fault(503, "ServiceUnavailable")
        elif (wrong := self._unsigned(body)) is not None:
            self._fault(403, wrong)
        elif bucket != self.owner.bucket:
            self._fault(404, "NoSuchBucket")
        elif not key:
            self._list(asks)
        elif "uploads" in asks or "uploadId" in asks:
            self._multipart(key, asks, body)
        else:
            self._object(key, body)

    def _object(self, key: str, body: bytes) -> None:
        self._note({"PUT": "put", "GET": "get", "HEAD": "head", "DELETE": "delete"}[self.command])
        held = self.owner.objects.get(key)
        if self.command == "PUT":
            if not self._is_as_promised(body):
                self._fault(400, "BadDigest")
                return
            self.owner.keep(key, body)
            self._send(200, {"ETag": _etag(body)})
        elif self.command == "DELETE":
            self.owner.objects.pop(key, None)
            self._send(204, {})
        elif held is None:
            self._fault(404, "NoSuchKey")
        else:
            self._content(held, self.owner.put_at.get(key, time.time()))

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
            self.owner.uploads[upload_id] = Upload(key)
            self._xml(
                f"<InitiateMultipartUploadResult><UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
            )
            return
        upload = self.owner.uploads.get(asks["uploadId"])
        if upload is None or upload.key != key:
            self._fault(404, "NoSuchUpload")
        elif self.command == "PUT":
            self._part(upload, int(asks["partNumber"]), body)
        elif self.command == "GET":
            self._note("parts")
            self._parts(upload, int(asks.get("part-number-marker") or 0))
        elif self.command == "DELETE":
            self._note("abort")
            del self.owner.uploads[asks["uploadId"]]
            self._send(204, {})
        else:
            self._note("complete")
            self._complete(upload, asks["uploadId"], body)

    def _part(self, upload: Upload, number: int, body: bytes) -> None:
        if self.owner.parts_left == 0:
            self._fault(403, "AccessDenied")
            return
        if self.owner.parts_left is not None:
            self.owner.parts_left -= 1
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
        self.owner.keep(upload.key, whole)
        del self.owner.uploads[upload_id]
        self._xml(
            f"<CompleteMultipartUploadResult><ETag>{_etag(whole)}</ETag></CompleteMultipartUploadResult>"
        )

    def _list(self, asks: dict[str, str]) -> None:
        """Two at a time, as parts are."""
        self._note("list")
        prefix, after = asks.get("prefix", ""), asks.get("continuation-token", "")
        keys = [key for key in sorted(self.owner.objects) if key.startswith(prefix) and key > after]
        told = "".join(self._listed(key) for key in keys[:2])
        more = (
            f"<IsTruncated>true</IsTruncated><NextContinuationToken>{keys[1]}</NextContinuationToken>"
            if len(keys) > 2
            else "<IsTruncated>false</IsTruncated>"
        )
        self._xml(f"<ListBucketResult>{more}{told}</ListBucketResult>")

    def _listed(self, key: str) -> str:
        put_at = datetime.fromtimestamp(self.owner.put_at.get(key, time.time()), UTC)
        return (
            f"<Contents><Key>{key}</Key><LastModified>{put_at:%Y-%m-%dT%H:%M:%S}.000Z</LastModified>"
            f"<Size>{len(self.owner.objects[key])}</Size></Contents>"
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
        if self.owner.stall_at == (what, self.owner.count(what)):
            self.owner.stalled.set()
            self.owner.go_on.wait()
        self.owner.asked.append((self.command, what))

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
