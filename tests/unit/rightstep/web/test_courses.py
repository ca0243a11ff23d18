"""What is noted of a request: its seconds by stage, and routes that are never what a caller wrote."""

import threading
from contextlib import suppress
from contextvars import copy_context

from flows.stages import Stage, heard_by, stage
from rightstep.web.courses import Course, route_of


def course(*stages: tuple[str, float, float]) -> Course:
    noted = Course(request_id="one", method="POST", path="/v1/jobs")
    noted.stages += [Stage(name=name, began=began, seconds=seconds) for name, began, seconds in stages]
    return noted


def test_stages_one_after_the_other_are_added_up():
    assert course(("plan", 0, 1), ("plan", 5, 2)).stage_seconds == {"plan": 3}


def test_stages_side_by_side_count_once():
    side_by_side = course(("denoise", 2, 4), ("denoise", 0, 3), ("denoise", 1, 1), ("store", 6, 1))
    assert side_by_side.stage_seconds == {"denoise": 6, "store": 1}


def test_a_stage_is_heard_from_a_thread_that_works_for_the_request_and_where_it_fails():
    heard: list[Stage] = []

    @stage("plan")
    def fail() -> None:
        raise ValueError

    def work() -> None:
        with suppress(ValueError):
            fail()

    with heard_by(heard.append):
        thread = threading.Thread(target=copy_context().run, args=(work,))
        thread.start()
        thread.join()
    fail_unheard = threading.Thread(target=work)
    fail_unheard.start()
    fail_unheard.join()
    assert [one.name for one in heard] == ["plan"]


def test_a_path_that_no_route_took_is_unknown():
    assert route_of({"path": "/anything/a-caller-wrote"}) == "unknown"
