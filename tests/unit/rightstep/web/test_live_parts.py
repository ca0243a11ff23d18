"""The parts of a live socket: tickets, pages, messages and frames."""

import pytest

from policy.errors import WrongUse
from rightstep.web.listening import refuse_page
from rightstep.web.live_tickets import LIFETIME, MOST, Tickets
from rightstep.web.live_wire import HEADER, LiveFrame, parse_frame, parse_later, parse_opening


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_ticket_is_good_once():
    tickets = Tickets(clock=Clock())
    ticket = tickets.issue("secret")
    assert (tickets.redeem(ticket), tickets.redeem(ticket)) == ("secret", None)
    assert tickets.redeem("") is None


def test_a_ticket_is_good_for_half_a_minute():
    clock = Clock()
    tickets = Tickets(clock=clock)
    ticket, other = tickets.issue("secret"), tickets.issue("secret")
    clock.now += LIFETIME - 0.01
    assert tickets.redeem(ticket) == "secret"
    clock.now += 0.01
    assert tickets.redeem(other) is None


def test_nothing_that_is_kept_opens_anything():
    tickets = Tickets(clock=Clock())
    ticket = tickets.issue("secret")
    assert ticket not in repr(tickets._known)
    assert all(tickets.redeem(kept) is None for kept in tuple(tickets._known))


def test_tickets_that_nobody_uses_do_not_pile_up():
    tickets = Tickets(clock=Clock())
    first = tickets.issue("secret")
    last = [tickets.issue("secret") for _ in range(MOST)][-1]
    assert tickets.redeem(first) is None
    assert tickets.redeem(last) == "secret"


@pytest.mark.parametrize(
    ("origin", "host", "may"),
    [
        (None, "house.example", True),
        ("https://house.example", "house.example", True),
        ("http://127.0.0.1:8750", "127.0.0.1:8750", True),
        ("http://localhost:8751", "localhost:8750", False),
        ("https://house.example.evil", "house.example", False),
        ("https://studio.example", "house.example", True),
        ("null", "house.example", False),
        ("file://", "", False),
        ("https://[", "house.example", False),
        ("", "", False),
    ],
)
def test_a_page_opens_a_socket_to_where_it_came_from_alone(origin: str | None, host: str, may: bool):
    assert (refuse_page(origin, host, ("https://studio.example",)) == "") is may


def test_a_frame_reads_back_as_it_was_sent():
    frame = LiveFrame(
        number=2**40, pts=123_456, prompt=3, change=9, media_type="image/webp", body=b"RIFF0000WEBP"
    )
    assert parse_frame(frame.to_bytes()) == frame
    assert len(frame.to_bytes()) == HEADER.size + len(frame.body) == 32 + 12


@pytest.mark.parametrize(
    "message", [b"", b"RSLF", b"X" * 40, b"RSLF\x02" + b"\0" * 40, b"RSLF\x01\x09" + b"\0" * 40]
)
def test_other_bytes_are_no_frame(message: bytes):
    with pytest.raises(WrongUse):
        parse_frame(message)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "1",
        '{"type": "begin"}',
        '{"type": "begin", "model": "a/b", "prompt": "x", "fps": 0}',
        '{"type": "begin", "model": "../b", "prompt": "x"}',
        '{"type": "begin", "model": "a/b", "prompt": "x", "fps": NaN}',
        '{"type": "begin", "model": "a/b", "prompt": "x", "token": "x"}',
        '{"type": "change", "prompt": "x"}',
    ],
)
def test_what_opens_nothing_is_refused_without_repeating_it(text: str):
    with pytest.raises(WrongUse) as caught:
        parse_opening(text)
    assert caught.value.next_step


def test_a_refused_message_is_not_told_back():
    with pytest.raises(WrongUse) as caught:
        parse_later('{"type": "change", "seed": "hunter2"}')
    assert "hunter2" not in str(caught.value)
