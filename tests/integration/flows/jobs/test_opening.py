"""A house that several processes open for the first time at once: `up` and `render` in two terminals."""

import subprocess
import sys

from flows.auditing import audit_check
from flows.bootstrap import open_house
from flows.planning import pin_records
from flows.settings import load_settings
from registry.pin_builtin import load_builtin_pins
from registry.unit_of_work import unit_of_work
from tests.integration.flows.jobs.night import ROOT

OPEN = """
import sys
from flows.bootstrap import open_house
from flows.settings import load_settings
sys.stdin.readline()
open_house(load_settings())
"""


def test_processes_that_open_a_fresh_home_at_once_agree_on_its_ledger_and_pins():
    openers = [
        subprocess.Popen([sys.executable, "-c", OPEN], cwd=ROOT, stdin=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("now\n")
        opener.stdin.flush()
    for opener in openers:
        opener.communicate(timeout=120)
    assert [opener.returncode for opener in openers] == [0, 0, 0]
    house = open_house(load_settings())
    shipped = {pin.repo: pin for pin in load_builtin_pins()}
    assert {repo: record.pin for repo, record in pin_records(house).items()} == shipped
    with unit_of_work(house.engine, read_only=True) as work:
        assert len(work.models.pins()) == len(shipped)
    assert audit_check(house).ok
    house.engine.dispose()
