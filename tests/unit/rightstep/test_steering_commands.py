"""``rightstep job pause|eat|requeue|priority|deadline``: what they say, print and exit with."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.bootstrap import open_house
from flows.holders import own_holder
from flows.settings import load_settings
from registry.ledger_workers import WorkerStanding
from registry.unit_of_work import unit_of_work
from rightstep.cli.output import ExitCode
from tests.integration.flows.jobs.night import submit, write_order
from tests.unit.rightstep.conftest import Typed

Run = Callable[..., Typed]


@pytest.fixture
def job_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("RIGHTSTEP_RENDERER", "synthetic")
    house = open_house(load_settings())
    found = submit(house, write_order(tmp_path, 16)).job_id
    house.engine.dispose()
    return found


def test_a_paused_job_says_so_in_words_and_in_data(rightstep: Run, job_id: str):
    answer = rightstep("job", "pause", job_id, "--reason", "Lunch.")
    assert answer.code == ExitCode.DONE
    assert f"Paused job {job_id}" in answer.err
    assert f"rightstep job resume {job_id}" in answer.err
    again = rightstep("job", "pause", job_id, "--json")
    assert (again.code, again.data["job"]["state"]) == (ExitCode.DONE, "paused")
    assert "Lunch." in rightstep("job", "show", job_id).out


def test_an_eaten_shot_stands_in_the_data_and_can_be_put_back(rightstep: Run, job_id: str):
    words = ("job", "eat", job_id, "shot-0003", "--reason", "Cut.")
    answer = rightstep(*words, "--json")
    assert answer.code == ExitCode.DONE
    assert (answer.data["shots"], answer.data["job"]["counts"]["eaten"]) == (["shot-0003"], 1)
    shots = rightstep("job", "show", job_id, "--shots", "--json").data["shots"]
    (eaten,) = [shot for shot in shots if shot["state"] == "eaten"]
    assert eaten["detail"].endswith(": Cut.")
    assert "Nothing changed" in rightstep(*words).err
    back = rightstep("job", "requeue", job_id, "shot-0003")
    assert back.code == ExitCode.DONE
    assert "Queued 1 shot" in back.err


def test_to_eat_without_a_reason_or_an_unknown_shot_is_wrong_use(rightstep: Run, job_id: str):
    assert rightstep("job", "eat", job_id, "shot-0003").code == ExitCode.WRONG_USE
    answer = rightstep("job", "eat", job_id, "ghost", "--reason", "Cut.")
    assert answer.code == ExitCode.WRONG_USE
    assert "ghost" in answer.err


def test_there_is_nothing_to_requeue_and_the_refusal_says_so_as_data(rightstep: Run, job_id: str):
    answer = rightstep("job", "requeue", job_id, "--json")
    assert (answer.code, answer.data["error"]) == (ExitCode.BROKEN, "WrongMoment")


def test_priorities_of_a_job_and_of_shots_in_it(rightstep: Run, job_id: str):
    assert rightstep("job", "priority", job_id, 5, "--json").data["job"]["priority"] == 5
    answer = rightstep("job", "priority", job_id, 9, "--shot", "shot-0009", "--json")
    assert answer.data["shots"] == ["shot-0009"]
    after = rightstep("job", "priority", "--", job_id, -3)
    assert after.code == ExitCode.DONE
    assert "priority -3" in after.err


def test_a_deadline_comes_and_goes_and_one_that_passed_is_wrong_use(rightstep: Run, job_id: str):
    answer = rightstep("job", "deadline", job_id, "08:00", "--json").data
    assert answer["job"]["deadline"] is not None
    assert answer["round"] is None
    none = rightstep("job", "deadline", job_id, "none")
    assert none.code == ExitCode.DONE
    assert "no deadline" in none.err
    assert rightstep("job", "deadline", job_id, "2020-01-01").code == ExitCode.WRONG_USE


def test_a_budget_comes_with_its_end_and_goes(rightstep: Run, job_id: str):
    job = rightstep("job", "budget", job_id, "3600", "--then", "stop", "--json").data["job"]
    assert (job["budget_seconds"], job["budget_end"]) == (3600.0, "stop")
    kept = rightstep("job", "budget", job_id, "7200")
    assert "then stop" in kept.err
    assert "no budget" in rightstep("job", "budget", job_id, "none").err
    assert rightstep("job", "budget", job_id, "much").code == ExitCode.WRONG_USE
    assert rightstep("job", "budget", job_id, "0").code == ExitCode.WRONG_USE


def test_nobody_is_at_work_where_nothing_runs_and_nobody_is_drained(rightstep: Run, job_id: str):
    assert rightstep("worker", "list", "--json").data == []
    answer = rightstep("worker", "drain", "here:1", "--reason", "Loud.")
    assert answer.code == ExitCode.WRONG_USE
    assert "here:1" in answer.err


def test_a_cancelled_job_refuses_every_other_word(rightstep: Run, job_id: str):
    assert rightstep("job", "cancel", job_id).code == ExitCode.DONE
    for words in (
        ("pause", job_id),
        ("requeue", job_id),
        ("eat", job_id, "shot-0001", "--reason", "Cut."),
        ("priority", job_id, "1"),
        ("deadline", job_id, "08:00"),
        ("budget", job_id, "60"),
    ):
        answer = rightstep("job", *words)
        assert answer.code == ExitCode.BROKEN
        assert "was cancelled" in answer.err
    assert rightstep("job", "show", job_id, "--json").data["job"]["state"] == "cancelled"


def test_workers_are_added_in_words_and_in_data(rightstep: Run, job_id: str):
    answer = rightstep("worker", "add", job_id, 2)
    assert answer.code == ExitCode.DONE
    assert "2 workers more on synthetic-" in answer.err
    assert rightstep("worker", "add", job_id, 1, "--json").data["workers"] == 1
    assert rightstep("worker", "add", job_id, 0).code == ExitCode.WRONG_USE
    assert rightstep("worker", "add", job_id, 1, "--device", "gpu-9").code == ExitCode.WRONG_USE
    rightstep("job", "deadline", job_id, "08:00")
    due = rightstep("worker", "add", job_id, 1)
    assert "at p95" in due.err


def test_a_barred_worker_is_listed_with_why_and_let_back_with_a_reason(rightstep: Run, job_id: str):
    house = open_house(load_settings())
    one = WorkerStanding(worker="here:7", device="cpu-2", stack_id="", in_flight=0, batches=3)
    with unit_of_work(house.engine) as work:
        work.ledger.bar_worker(own_holder(), job_id, one, because="It failed 3 times.", now=house.clock())
        work.commit()
    house.engine.dispose()
    listed = rightstep("worker", "list").out
    assert "barred" in listed
    assert "It failed 3 times." in listed
    (row,) = rightstep("worker", "list", "--json").data
    assert (row["worker"], row["barred_because"]) == ("here:7", "It failed 3 times.")
    assert rightstep("worker", "readmit", "here:7").code == ExitCode.WRONG_USE
    assert rightstep("worker", "readmit", "here:9", "--reason", "Why not.").code == ExitCode.WRONG_USE
    assert "is readmitted" in rightstep("worker", "readmit", "here:7", "--reason", "A new card.").err
    assert "readmitted" in rightstep("worker", "list").out
