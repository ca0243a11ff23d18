"""What CI runs: both verbs always, a failure of either is a failure, the tests' closing line is the last."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.contract.house import ROOT

MAKE = """#!/bin/sh
echo "made $1"
case " $FAILING " in *" $1 "*) exit 2 ;; esac
if [ "$1" = test ]; then echo "1 passed in 0.01s"; fi
"""


def run_ci(folder: Path, failing: str) -> subprocess.CompletedProcess[str]:
    """`.ci/run` with a `make` that only says what it was asked for."""
    stand_in = folder / "make"
    stand_in.write_text(MAKE, encoding="utf-8")
    stand_in.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "FAILING": failing}
    return subprocess.run(
        ["bash", ROOT / ".ci" / "run"],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_ci_checks_and_tests_and_ends_on_the_closing_line(tmp_path: Path):
    result = run_ci(tmp_path, failing="")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n")[:-1] == ["made setup", "made check", "made test", "1 passed in 0.01s"]


@pytest.mark.parametrize("failing", ["check", "test", "check test"])
def test_ci_fails_when_either_fails_and_still_runs_both(tmp_path: Path, failing: str):
    result = run_ci(tmp_path, failing=failing)
    assert result.returncode != 0
    assert "made check" in result.stdout
    assert "made test" in result.stdout


def test_ci_stops_when_nothing_could_be_set_up(tmp_path: Path):
    result = run_ci(tmp_path, failing="setup")
    assert result.returncode != 0
    assert "made test" not in result.stdout


def test_ci_can_be_run_as_a_program():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
