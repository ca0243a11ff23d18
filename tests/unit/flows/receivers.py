"""Who gets messages: a web server and a mail server on loopback, each real and each remembering what came."""

import datetime as dt
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Webhook:
    """What came, and what is answered: a status each, the last for ever; ``waits`` answers nothing till it is set."""

    answers: list[int] = field(default_factory=lambda: [204])
    came: list[tuple[dict[str, str], str]] = field(default_factory=list[tuple[dict[str, str], str]])
    arrived: threading.Event = field(default_factory=threading.Event)
    waits: threading.Event | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def handler(self) -> type[BaseHTTPRequestHandler]:
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                webhook.came.append(({name.lower(): value for name, value in self.headers.items()}, body))
                webhook.arrived.set()
                if webhook.waits is not None:
                    webhook.waits.wait(60)
                status = webhook.answers.pop(0) if len(webhook.answers) > 1 else webhook.answers[0]
                self.send_response(status)
                self.send_header("Location", webhook.url)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Tests speak for themselves."""

        return Handler


@contextmanager
def listening(webhook: Webhook) -> Generator[None]:
    """The web server, until the end of the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), webhook.handler()) as server, _served(server):
        webhook.port = server.server_port
        yield


@dataclass
class Mailbox:
    """Letters as they came, each with who it was for; ``knows`` STARTTLS or not."""

    folder: Path
    knows_tls: bool = True
    letters: list[tuple[list[str], Message]] = field(default_factory=list[tuple[list[str], Message]])
    port: int = 0

    @property
    def certificate(self) -> Path:
        return self.folder / "mail.pem"


class _Conversation(StreamRequestHandler):
    """As much of SMTP (RFC 5321, 3207) as a client needs to hand a letter in."""

    def handle(self) -> None:
        mailbox: Mailbox = self.server.mailbox  # type: ignore[attr-defined]
        to: list[str] = []
        encrypted = False
        self._say("220 here")
        while line := self.rfile.readline():
            word = line.decode().strip().upper()
            if word.startswith("EHLO"):
                offers = mailbox.knows_tls and not encrypted
                self._say("250-here\r\n250 STARTTLS" if offers else "250 here")
            elif word == "STARTTLS":
                self._say("220 go ahead")
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(mailbox.certificate)
                try:
                    self.request = context.wrap_socket(self.request, server_side=True)
                except OSError:  # the client does not trust us
                    return
                self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb")
                encrypted = True
            elif word.startswith("RCPT TO:"):
                to.append(line.decode().split("<")[1].split(">")[0])
                self._say("250 ok")
            elif word == "DATA":
                self._say("354 go on")
                lines = list(iter(self.rfile.readline, b".\r\n"))
                mailbox.letters.append((to, message_from_bytes(b"".join(lines))))
                self._say("250 kept")
            elif word == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())
        self.wfile.flush()


@contextmanager
def taking_letters(mailbox: Mailbox) -> Generator[None]:
    """The mail server, until the end of the block, with a certificate of its own for 127.0.0.1."""
    _write_certificate(mailbox.certificate)
    with ThreadingTCPServer(("127.0.0.1", 0), _Conversation) as server, _served(server):
        server.mailbox = mailbox  # type: ignore[attr-defined]
        mailbox.port = server.server_address[1]
        yield


@contextmanager
def _served(server: ThreadingTCPServer | ThreadingHTTPServer) -> Generator[None]:
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def _write_certificate(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
