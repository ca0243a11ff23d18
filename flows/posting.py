"""Sending what is in the outbox: a webhook that is signed, an e-mail over an encrypted connection.

Each message is tried a few times, later and later, and then given up, which the audit log says. Whoever is
killed between sending and saying so sends it again, with the same id.
"""

import http.client
import smtplib
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from flows.bootstrap import House
from flows.news import channels_of
from flows.settings import Settings
from policy.audit import AuditEvent
from policy.canonical import canonical_json
from policy.errors import RightstepError
from policy.messages import Channel, read_secret, signed_headers
from registry.messages import MessageRecord
from registry.unit_of_work import unit_of_work

ANSWER_SECONDS = 15.0  # for the other side to say anything at all, as often as it speaks
TAKEN_SECONDS = 120.0  # how long a try is nobody else's
LOOK_SECONDS = 5.0  # from one look at the outbox to the next
AT_THE_END = 2  # of the last look: one by each way, so that a dead receiver holds nobody up for long
MOST = 20  # messages of one look: who is due meanwhile is sent at the next
GONE = 410  # the receiver wants no more of them


@dataclass(frozen=True, kw_only=True, slots=True)
class Posted:
    """What became of the messages that were due."""

    sent: int
    failed: int  # and are due again later
    given_up: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fault:
    """Why a try did not arrive."""

    told: str
    is_final: bool = False


def post_due(house: House, most: int = MOST) -> Posted:
    """Try every message that is due, the longest first."""
    sent = failed = given_up = 0
    for _ in range(most):
        if (taken := _taken(house)) is None:
            break
        fault = _try(house.settings, taken, int(house.clock().timestamp()))
        if fault is None:
            with unit_of_work(house.engine) as work:
                work.messages.note_sent(taken, house.clock())
                work.commit()
            sent += 1
        elif _note_failed(house, taken, fault):
            given_up += 1
        else:
            failed += 1
    return Posted(sent=sent, failed=failed, given_up=given_up)


def _taken(house: House) -> MessageRecord | None:
    """The next that is due; the ledger is written to only where there is one."""
    with unit_of_work(house.engine, read_only=True) as work:
        if not work.messages.has_due(house.clock()):
            return None
    with unit_of_work(house.engine) as work:
        taken = work.messages.take(house.clock(), TAKEN_SECONDS)
        work.commit()
    return taken


def list_messages(house: House, limit: int = 100) -> tuple[MessageRecord, ...]:
    """Messages, newest first: what was sent, what waits and why, what was given up."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.messages.newest(limit)


@contextmanager
def postman(house: House) -> Generator[None]:
    """Send what is due every few seconds beside whatever is done inside; nothing where no way is set."""
    if not channels_of(house.settings):
        yield
        return
    is_over = threading.Event()

    def go_round() -> None:
        while not is_over.wait(LOOK_SECONDS):
            with suppress(RightstepError):  # a ledger that is locked is asked again at the next look
                post_due(house)

    walker = threading.Thread(target=go_round, name="postman", daemon=True)
    walker.start()
    try:
        yield
    finally:
        is_over.set()
        walker.join()
        with suppress(RightstepError):
            post_due(house, AT_THE_END)


def _note_failed(house: House, taken: MessageRecord, fault: _Fault) -> bool:
    """Put it off, or give it up on record; whether it was given up."""
    now = house.clock()
    with unit_of_work(house.engine) as work:
        is_over = work.messages.note_failed(taken, fault.told, now, is_final=fault.is_final)
        if is_over:
            facts = {
                "message_id": taken.message_id,
                "event": taken.event,
                "channel": taken.channel,
                "tries": taken.tries,
                "fault": fault.told,
            }
            event = AuditEvent(
                tag="message:delivery:abandoned",
                actor=house.settings.actor,
                subject=taken.job_id,
                payload=canonical_json(facts),
            )
            work.audit.append(event, now)
        work.commit()
    return is_over


def _try(settings: Settings, message: MessageRecord, timestamp: int) -> _Fault | None:
    match message.channel:
        case Channel.WEBHOOK:
            return _call(settings, message, timestamp)
        case Channel.MAIL:
            return _mail(settings, message)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is signed for one receiver is not carried to another."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow nothing: the answer is then an error like any other."""


def _call(settings: Settings, message: MessageRecord, timestamp: int) -> _Fault | None:
    if settings.webhook_url is None or settings.webhook_secret is None:
        return _Fault(told="No webhook is set any more.")
    key = read_secret(settings.webhook_secret.get_secret_value())
    headers = signed_headers(key, message.message_id, timestamp, message.body)
    request = urllib.request.Request(  # noqa: S310 - an address of the settings, http or https
        settings.webhook_url,
        data=message.body.encode(),
        headers={"Content-Type": "application/json", "User-Agent": "rightstep", **headers},
        method="POST",
    )
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=ANSWER_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        with error:
            return _Fault(told=f"The receiver answered {error.code}.", is_final=error.code == GONE)
    except (OSError, http.client.HTTPException) as error:
        return _Fault(told=f"The receiver does not answer: {error}.")


def _mail(settings: Settings, message: MessageRecord) -> _Fault | None:
    if not settings.mail_to:
        return _Fault(told="Nobody gets e-mails any more.")
    try:
        with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=ANSWER_SECONDS) as server:
            if settings.smtp_security == "starttls":
                server.starttls(context=ssl.create_default_context(cafile=settings.smtp_ca))
            if settings.smtp_user:
                password = settings.smtp_password.get_secret_value() if settings.smtp_password else ""
                server.login(settings.smtp_user, password)
            refused = server.send_message(_letter(settings, message))
    except (OSError, smtplib.SMTPException, ValueError) as error:
        return _Fault(told=f"The mail server did not take it: {error}.")
    return _Fault(told=f"Refused for {', '.join(sorted(refused))}.") if refused else None


def _letter(settings: Settings, message: MessageRecord) -> EmailMessage:
    """The same id in its head every time: a mailbox can tell a second copy."""
    letter = EmailMessage()
    letter["From"] = settings.mail_from
    letter["To"] = ", ".join(settings.mail_to)
    letter["Subject"] = " ".join(message.subject.split())
    letter["Date"] = format_datetime(message.made_at)
    letter["Message-ID"] = f"<{message.message_id}@{settings.mail_from.rpartition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(message.words)
    return letter
