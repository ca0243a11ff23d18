"""One way in for every trigger: a key is one job, and what may not be is audited once."""

from pathlib import Path

import pytest

from flows.handing_in import EVENTS, hand_in, order_of_file
from flows.planning import Overrides
from flows.rendering import list_jobs
from flows.steering import cancel_job
from policy.errors import ManifestRejected, RequestKeyReused, WrongUse
from policy.plan import PlanRefusal
from policy.tiers import ServiceTier
from registry.records import JobRecord
from registry.unit_of_work import unit_of_work
from tests.integration.flows.jobs.night import write_order


def submitted(house, path: Path, overrides: Overrides | None = None, **named) -> JobRecord:
    found = hand_in(house, order_of_file(house, path, overrides or Overrides(), **named))
    assert isinstance(found, JobRecord), found
    return found


def refusals_in(house) -> int:
    with unit_of_work(house.engine, read_only=True) as work:
        tags = [chained.event.tag for chained in work.audit.events(after=0)]
    return tags.count("job:plan:refused")


def test_the_same_key_is_the_same_job_even_after_its_end(make_house, tmp_path: Path):
    house = make_house()
    order = write_order(tmp_path, 1)
    first = submitted(house, order, key="take-1")
    cancel_job(house, first.job_id)
    again = submitted(house, order, key="take-1")
    assert (again.job_id, again.attached, first.attached) == (first.job_id, True, False)
    assert submitted(house, order, key="take-2").job_id != first.job_id
    assert submitted(house, order).job_id != first.job_id, "without a key an order that is over is made anew"


@pytest.mark.parametrize("what", ["file", "tier"])
def test_a_key_with_another_order_is_refused_and_makes_nothing(make_house, tmp_path: Path, what: str):
    house = make_house()
    order = write_order(tmp_path, 1)
    first = submitted(house, order, key="take-1")
    said = Overrides(tier=ServiceTier.INTERACTIVE) if what == "tier" else Overrides()
    if what == "file":
        write_order(tmp_path, 2)
    with pytest.raises(RequestKeyReused, match=first.job_id):
        submitted(house, order, said, key="take-1")
    assert [job.job_id for job in list_jobs(house)] == [first.job_id]


def test_keys_of_events_are_apart_from_those_of_people(make_house, tmp_path: Path):
    house = make_house()
    by_hand = submitted(house, write_order(tmp_path, 1, name="one"), key="take-1")
    by_event = submitted(house, write_order(tmp_path, 1, name="two"), client=EVENTS, key="take-1")
    assert by_event.job_id != by_hand.job_id


def test_a_refusal_comes_back_as_a_value_leaves_its_key_free_and_is_audited_once(make_house, tmp_path: Path):
    house = make_house()
    forbidden = write_order(tmp_path, 1, shots={"loras": ["rightstep/emoji-64-style-shapes"]})
    found = hand_in(house, order_of_file(house, forbidden, Overrides(), key="take-1"))
    assert isinstance(found, PlanRefusal)
    assert refusals_in(house) == 1
    assert submitted(house, write_order(tmp_path, 1), key="take-1").attached is False


def test_an_order_of_what_is_not_here_is_answered_and_not_audited(make_house, tmp_path: Path):
    house = make_house()
    unknown = write_order(tmp_path, 1, shots={"model": "rightstep/emoji-46"})
    assert isinstance(hand_in(house, order_of_file(house, unknown, Overrides())), PlanRefusal)
    assert refusals_in(house) == 0


@pytest.mark.parametrize("key", ["", "k" * 256, "two\nlines", "schlüssel"])
def test_a_key_that_no_header_could_carry_is_wrong_use(make_house, tmp_path: Path, key: str):
    with pytest.raises(WrongUse, match="idempotency key"):
        order_of_file(make_house(), write_order(tmp_path, 1), Overrides(), key=key)


def test_a_key_for_a_file_that_is_not_there_says_so(make_house, tmp_path: Path):
    with pytest.raises(ManifestRejected, match=r"nothing\.toml"):
        order_of_file(make_house(), tmp_path / "nothing.toml", Overrides(), key="take-1")
