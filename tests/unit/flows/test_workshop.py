"""What a worker is handed, and whose lease is dead."""

import os
import platform
import subprocess
import sys

import pytest

from flows.holders import is_dead_holder
from flows.workshop import make_task, make_template
from policy.errors import IntegrityFault
from registry.records import LeasedBatch, LeasedShot
from tests.factories import make_execution_plan
from workers.processes import own_process

PLAN = make_execution_plan()
DECISION = PLAN.decisions[0]
SALT = "5a" * 32
ROOTS = {pin.pin_id: f"/models/{pin.repo}" for pin in DECISION.offer.stack.pins}


def leased_batch() -> LeasedBatch:
    def shot(name: str, *, is_settled: bool) -> LeasedShot:
        return LeasedShot(
            take_id=f"job/{name}/1",
            name=name,
            shot_key=name * 8,
            prompt=f"a {name}",
            negative="blurry",
            seed=7,
            inputs=(),
            is_settled=is_settled,
        )

    return LeasedBatch(
        task_id="job/0/1",
        number=0,
        run=1,
        decision=0,
        width=64,
        height=72,
        frames=1,
        shots=(shot("fox", is_settled=True), shot("owl", is_settled=False)),
    )


def test_a_worker_is_handed_everything_and_decides_nothing():
    task = make_task(leased_batch(), make_template(DECISION, ROOTS, (("job_id", "job"),)), SALT)
    preset = DECISION.offer.preset
    assert (task.task_id, task.preset, task.preset_version) == ("job/0/1", preset.name, preset.version)
    assert (task.steps, task.guidance, task.scheduler) == (
        DECISION.steps,
        DECISION.guidance,
        preset.scheduler,
    )
    assert (task.width, task.height, task.frames) == (64, 72, 1)
    assert task.load.stack is DECISION.offer.stack
    assert [part.pin_id for part in task.load.parts] == [pin.pin_id for pin in DECISION.offer.stack.pins]
    assert [part.root for part in task.load.parts] == [ROOTS[part.pin_id] for part in task.load.parts]
    assert [(shot.prompt, shot.negative, shot.seed) for shot in task.shots] == [
        ("a fox", "blurry", 7),
        ("a owl", "blurry", 7),
    ]
    assert task.provenance == (("job_id", "job"),)
    assert all(shot.prompt_digest and shot.seed_digest for shot in task.shots)
    assert SALT not in repr(task)


def test_a_batch_keeps_its_composition_and_stores_only_what_is_still_open():
    task = make_task(leased_batch(), make_template(DECISION, ROOTS, ()), SALT)
    assert [shot.take_id for shot in task.shots] == ["job/fox/1", "job/owl/1"]
    assert task.reuse == ("job/fox/1",)


def test_a_pin_that_is_not_the_newest_any_more_stops_the_batch_and_says_what_helps():
    with pytest.raises(IntegrityFault, match="is not what is pinned now") as caught:
        make_template(DECISION, {}, ())
    assert DECISION.offer.stack.base.repo in caught.value.message
    assert "render the manifest again" in caught.value.next_step


def holder_of(pid: int) -> str:
    process = own_process("driver", pid)
    assert process is not None
    return f"{platform.node()}:{process.pid}:{process.started}"


def test_a_living_driver_keeps_its_leases():
    assert not is_dead_holder(holder_of(os.getpid()))


def test_a_driver_that_is_gone_holds_nothing_even_before_its_parent_looks():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    holder = holder_of(child.pid)
    assert not is_dead_holder(holder)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and still a zombie
    assert is_dead_holder(holder)
    child.communicate()
    assert is_dead_holder(holder)


def test_a_process_id_that_was_given_to_another_process_is_no_proof_of_life():
    host, pid, started = holder_of(os.getpid()).rsplit(":", 2)
    assert is_dead_holder(f"{host}:{pid}:{int(started) - 1}")


@pytest.mark.parametrize("holder", ["elsewhere:1:1", f"{platform.node()}:x:1", "", "nobody"])
def test_a_driver_of_another_host_is_never_declared_dead(holder):
    assert not is_dead_holder(holder)
