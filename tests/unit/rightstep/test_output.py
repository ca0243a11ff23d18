"""Data is data: whole, in order, never read as markup, never cut by a pipe."""

import json
from dataclasses import dataclass

import pytest

from policy.verdicts import Ruling
from rightstep.cli.output import PIPED_WIDTH, print_json, print_pairs, print_table
from tests.factories import make_reason


@dataclass(frozen=True)
class Thing:
    name: str
    ruling: Ruling = Ruling.PERMIT


def test_dataclasses_become_json_at_any_depth(capsys: pytest.CaptureFixture[str]):
    print_json({"things": (Thing("a"), [Thing("ü")]), "reason": make_reason(), "none": None})
    found = json.loads(capsys.readouterr().out)
    assert found["things"] == [{"name": "a", "ruling": "permit"}, [{"name": "ü", "ruling": "permit"}]]
    assert found["reason"]["code"] == "commercial_use_granted"
    assert found["none"] is None


def test_a_table_shows_cells_as_they_are(capsys: pytest.CaptureFixture[str]):
    print_table(("name", "n"), [("[red]fox[/red]", 3), (None, 4)], right=(1,))
    out = capsys.readouterr().out
    assert "[red]fox[/red]" in out
    assert "None" not in out


def test_a_long_digest_is_never_cut(capsys: pytest.CaptureFixture[str]):
    print_table(("file", "sha256"), [("unet/diffusion_pytorch_model.safetensors", "a" * 64)])
    assert "a" * 64 in capsys.readouterr().out
    assert PIPED_WIDTH > 120


def test_pairs_are_aligned(capsys: pytest.CaptureFixture[str]):
    print_pairs([("job", "1"), ("submitted", "2")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].index("1") == lines[1].index("2")
