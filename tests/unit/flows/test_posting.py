"""Messages about jobs: written with what they tell of, signed, tried again, and lost by no kill."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.bootstrap import House
from flows.judging import judge_job
from flows.news import telling
from flows.planning import plan_manifest
from flows.posting import TAKEN_SECONDS, Posted, list_messages, post_due, postman
from flows.settings import Settings, load_settings
from flows.submitting import submit_plan
from policy.errors import WrongUse
from policy.messages import WAITS_SECONDS, Event
from policy.plan import ExecutionPlan
from registry.records import JobRecord, JobState
from registry.unit_of_work import unit_of_work
from tests.factories import NOW, make_manifest, make_shot
from tests.unit.flows.receivers import Mailbox, Webhook, listening, taking_letters

SECRET = "whsec_" + base64.b64encode(b"twenty-four bytes or more").decode()
MakeHouse = Callable[..., House]
CHILD = "from flows.bootstrap import open_house; from flows.posting import post_due; \
from flows.settings import load_settings; post_due(open_house(load_settings()))"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    found = Webhook()
    with listening(found):
        yield found


def submitted(house: House) -> JobRecord:
    plan = plan_manifest(house, make_manifest(shots=(make_shot("fox", prompt="a secret fox"),)))
    assert isinstance(plan, ExecutionPlan)
    return submit_plan(house, plan)


def held(house: House) -> JobRecord:
    """A job that is held by whatever may hold one, as a driver's transaction does it."""
    job = submitted(house)
    with unit_of_work(house.engine) as work:
        with telling(house, work, job.job_id):
            work.ledger.hold(job.job_id, reason="The disk is full.")
        work.commit()
    return job


def by_webhook(make_house: MakeHouse, webhook: Webhook, **settings: Any) -> House:
    return make_house(webhook_url=webhook.url, webhook_secret=SECRET, **settings)


def test_a_receiver_can_tell_that_it_is_from_us_and_new(make_house: MakeHouse, webhook: Webhook):
    house = by_webhook(make_house, webhook)
    job = held(house)
    assert post_due(house) == Posted(sent=1, failed=0, given_up=0)
    ((headers, body),) = webhook.came
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    mac = hmac.new(b"twenty-four bytes or more", signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()
    assert int(headers["webhook-timestamp"]) == NOW.timestamp()
    told = json.loads(body)
    assert (told["type"], told["data"]["job_id"]) == ("job.held", job.job_id)
    assert told["data"]["detail"] == "The disk is full."
    assert "secret fox" not in body
    assert post_due(house) == Posted(sent=0, failed=0, given_up=0), "it is sent once"


def test_what_is_taken_back_is_told_to_nobody(make_house: MakeHouse, webhook: Webhook):
    house = by_webhook(make_house, webhook)
    job = submitted(house)
    with unit_of_work(house.engine) as work, telling(house, work, job.job_id):
        work.ledger.hold(job.job_id, reason="The disk is full.")  # and no commit: as a kill leaves it
    assert list_messages(house) == ()


def test_a_job_that_is_held_already_is_told_of_once(make_house: MakeHouse, webhook: Webhook):
    house = by_webhook(make_house, webhook)
    job = held(house)
    with unit_of_work(house.engine) as work:
        with telling(house, work, job.job_id):
            work.ledger.hold(job.job_id, reason="Again.")
        work.commit()
    assert len(list_messages(house)) == 1


def test_a_finished_job_is_told_of_by_every_way_that_is_set(make_house: MakeHouse, webhook: Webhook):
    house = by_webhook(make_house, webhook, mail_to=("night@studio.test",))
    job = submitted(house)
    with unit_of_work(house.engine) as work:
        work.ledger.eat(job.job_id, ("fox",), actor="t", reason="not wanted", now=NOW)
        work.commit()
    assert judge_job(house, job.job_id) is JobState.FINISHED
    judge_job(house, job.job_id)
    found = [(one.event, one.channel) for one in list_messages(house)]
    assert sorted(found) == [(Event.FINISHED, "mail"), (Event.FINISHED, "webhook")]


def test_where_no_way_is_set_nothing_is_written(make_house: MakeHouse):
    house = make_house()
    held(house)
    assert list_messages(house) == ()


def test_a_receiver_that_is_down_is_tried_later_and_later_under_one_id(
    make_house: MakeHouse, webhook: Webhook
):
    webhook.answers = [503, 302, 204]  # nor is a redirection followed: it was signed for this address
    house = by_webhook(make_house, webhook)
    held(house)
    moment = NOW
    for wait in WAITS_SECONDS[:2]:
        house = by_webhook(make_house, webhook, now=moment)
        assert post_due(house) == Posted(sent=0, failed=1, given_up=0)
        assert post_due(house) == Posted(sent=0, failed=0, given_up=0), "not before it is due"
        moment += timedelta(seconds=wait)
    assert "302" in list_messages(house)[0].fault
    assert post_due(by_webhook(make_house, webhook, now=moment)).sent == 1
    ids = {headers["webhook-id"] for headers, _ in webhook.came}
    times = {headers["webhook-timestamp"] for headers, _ in webhook.came}
    assert (len(webhook.came), len(ids), len(times)) == (3, 1, 3)


def test_what_nobody_ever_takes_is_given_up_on_record(make_house: MakeHouse, webhook: Webhook):
    webhook.answers = [500]
    house = by_webhook(make_house, webhook)
    job = held(house)
    moment = NOW
    for wait in (*WAITS_SECONDS, 0.0):
        last = post_due(by_webhook(make_house, webhook, now=moment))
        moment += timedelta(seconds=wait)
    assert last == Posted(sent=0, failed=0, given_up=1)
    assert len(webhook.came) == len(WAITS_SECONDS) + 1
    with unit_of_work(house.engine, read_only=True) as work:
        event = work.audit.latest(1)[0].event
    assert (event.tag, event.subject) == ("message:delivery:abandoned", job.job_id)
    assert post_due(by_webhook(make_house, webhook, now=moment + timedelta(days=9))).sent == 0


def test_a_receiver_that_is_gone_for_good_is_left_alone(make_house: MakeHouse, webhook: Webhook):
    webhook.answers = [410]
    house = by_webhook(make_house, webhook)
    held(house)
    assert post_due(house).given_up == 1


def test_a_sender_that_is_killed_sends_again_under_the_same_id(
    make_house: MakeHouse, webhook: Webhook, tmp_path: Path
):
    webhook.waits = threading.Event()
    house = by_webhook(make_house, webhook)
    held(house)
    environment = os.environ | {
        "RIGHTSTEP_HOME": str(tmp_path / "home"),
        "RIGHTSTEP_WEBHOOK_URL": webhook.url,
        "RIGHTSTEP_WEBHOOK_SECRET": SECRET,
    }
    child = subprocess.Popen([sys.executable, "-c", CHILD], env=environment)
    try:
        assert webhook.arrived.wait(60), "the child sent it, and waits for the answer"
    finally:
        child.kill()
        child.wait()
        webhook.waits.set()
    now = datetime.now(UTC)
    assert post_due(by_webhook(make_house, webhook, now=now)).sent == 0, "the try is still its own"
    later = now + timedelta(seconds=TAKEN_SECONDS)
    assert post_due(by_webhook(make_house, webhook, now=later)).sent == 1
    first, second = (headers["webhook-id"] for headers, _ in webhook.came)
    assert first == second


def test_the_postman_goes_round_and_sends_the_last_before_he_goes_home(
    make_house: MakeHouse, webhook: Webhook
):
    house = by_webhook(make_house, webhook)
    with postman(house):
        held(house)
    assert [one.sent_at is not None for one in list_messages(house)] == [True]


def test_a_letter_goes_over_an_encrypted_connection_to_everybody(make_house: MakeHouse, tmp_path: Path):
    mailbox = Mailbox(folder=tmp_path)
    with taking_letters(mailbox):
        house = make_house(
            mail_to=("night@studio.test", "zoe@studio.test"),
            mail_from="farm@studio.test",
            smtp_host="127.0.0.1",
            smtp_port=mailbox.port,
            smtp_ca=mailbox.certificate,
        )
        job = held(house)
        assert post_due(house) == Posted(sent=1, failed=0, given_up=0)
    ((to, letter),) = mailbox.letters
    assert to == ["night@studio.test", "zoe@studio.test"]
    assert letter["Subject"] == f"night is held ({job.job_id})"
    assert letter["Message-ID"] == f"<{list_messages(house)[0].message_id}@studio.test>"
    text = letter.get_payload()
    assert isinstance(text, str)
    assert "The disk is full." in text
    assert "secret fox" not in text


@pytest.mark.parametrize("fault", ["no encryption", "a stranger's certificate"])
def test_no_letter_goes_to_a_server_that_is_not_known_or_does_not_encrypt(
    make_house: MakeHouse, tmp_path: Path, fault: str
):
    mailbox = Mailbox(folder=tmp_path, knows_tls=fault != "no encryption")
    with taking_letters(mailbox):
        trusted = {"smtp_ca": mailbox.certificate} if fault == "no encryption" else {}
        house = make_house(
            mail_to=("a@studio.test",), smtp_host="127.0.0.1", smtp_port=mailbox.port, **trusted
        )
        held(house)
        assert post_due(house) == Posted(sent=0, failed=1, given_up=0)
    assert mailbox.letters == []
    assert "did not take it" in list_messages(house)[0].fault


def test_a_webhook_that_nothing_signs_is_refused_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RIGHTSTEP_WEBHOOK_URL", "http://127.0.0.1:9/hook")
    with pytest.raises(WrongUse, match=r"RIGHTSTEP_WEBHOOK_URL: .*RIGHTSTEP_WEBHOOK_SECRET"):
        load_settings()
    monkeypatch.setenv("RIGHTSTEP_WEBHOOK_SECRET", "whsec_c2hvcnQ=")
    with pytest.raises(WrongUse, match="random bytes"):
        load_settings()


def test_addresses_are_written_as_people_write_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RIGHTSTEP_MAIL_TO", "a@studio.test, b@studio.test")
    assert load_settings().mail_to == ("a@studio.test", "b@studio.test")


def test_settings_tell_no_secret_when_they_are_printed(tmp_path: Path):
    settings = Settings(
        home=tmp_path, webhook_secret=SECRET, webhook_url="http://127.0.0.1:9/", smtp_password="pw1"
    )
    assert SECRET not in repr(settings)
    assert "pw1" not in repr(settings)
