"""The command line as a person types it, in this process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from rightstep.cli.edge import run


@dataclass(frozen=True)
class Typed:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def rightstep(capsys: pytest.CaptureFixture[str]) -> Callable[..., Typed]:
    def typed(*words: object) -> Typed:
        capsys.readouterr()
        code = run([str(word) for word in words])
        said = capsys.readouterr()
        return Typed(code=int(code), out=said.out, err=said.err)

    return typed
