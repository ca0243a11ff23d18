"""What is told of a job, how it is signed, and when it is tried again."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from policy.errors import WrongUse
from policy.messages import WAITS_SECONDS, Event, JobNews, read_secret, seconds_until_next, signed_headers
from tests.factories import NOW

# The example of the specification of Standard Webhooks, in its reference libraries too: secret, id, time, body
# and the signature that every one of them has to find.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = '{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def news(**changes: object) -> JobNews:
    one = JobNews(
        event=Event.FINISHED,
        at=NOW,
        job_id="j1",
        name="night",
        owner="zoë",
        tier="batch",
        detail="",
        deadline=NOW + timedelta(hours=13),
        started_at=NOW,
        ended_at=NOW + timedelta(hours=9),
        shots=1200,
        made=1198,
        reused=8,
        dead=2,
        open=0,
    )
    return replace(one, **changes)


def test_a_message_is_signed_as_the_specification_s_own_example_is():
    headers = signed_headers(read_secret(SECRET), MESSAGE_ID, TIMESTAMP, BODY)
    assert headers == {
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_id_time_and_body_are_each_under_the_signature():
    key = read_secret(SECRET)
    signed = {
        signed_headers(key, *message)["webhook-signature"]
        for message in (
            (MESSAGE_ID, TIMESTAMP, BODY),
            ("msg_other", TIMESTAMP, BODY),
            (MESSAGE_ID, TIMESTAMP + 1, BODY),
            (MESSAGE_ID, TIMESTAMP, BODY + " "),
        )
    }
    assert len(signed) == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsec_not base64",
        "whsec_" + base64.b64encode(b"short").decode(),
        SECRET.removeprefix("whsec_"),
    ],
)
def test_a_secret_that_keeps_nobody_out_is_refused(text: str):
    with pytest.raises(WrongUse):
        read_secret(text)


def test_tries_are_further_apart_each_time_and_come_to_an_end():
    waits = [seconds_until_next(tries) for tries in range(1, len(WAITS_SECONDS) + 2)]
    assert waits.pop() is None
    assert all(before < after for before, after in pairwise(wait for wait in waits if wait is not None))


def test_the_body_says_figures_and_times_and_a_person_reads_the_same():
    told = json.loads(news().body)
    assert (told["type"], told["timestamp"]) == ("job.finished", "2026-01-31T19:00:00+00:00")
    assert (told["data"]["made"], told["data"]["dead"], told["data"]["owner"]) == (1198, 2, "zoë")
    assert "1,198 of 1,200 shots made, 8 of them reused; 2 given up, 0 open." in news().text
    assert "Deadline: 2026-02-01 08:00 UTC" in news().text


@pytest.mark.parametrize(
    ("event", "subject"),
    [
        (Event.FINISHED, "night finished (j1)"),
        (Event.FAILED, "night failed (j1)"),
        (Event.HELD, "night is held (j1)"),
        (Event.AT_RISK, "night may miss its deadline (j1)"),
    ],
)
def test_each_event_has_its_own_line_in_a_mailbox(event: Event, subject: str):
    assert news(event=event).subject == subject
