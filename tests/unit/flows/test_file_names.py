"""Names of files for people."""

from dataclasses import replace

import pytest

from flows.file_names import distinct_names, file_name
from policy.tasks import TakeState
from registry.records import ArtefactRecord, ShotRecord
from tests.factories import NOW


def shot(name: str, media_type: str = "image/png") -> ShotRecord:
    artefact = ArtefactRecord(
        shot_key="a" * 64,
        sha256="b" * 64,
        size=1,
        media_type=media_type,
        provenance_sha256=None,
        stack_id="c" * 64,
        job_id="job",
        figures=None,
        made_at=NOW,
    )
    return ShotRecord(
        job_id="job",
        ordinal=0,
        name=name,
        shot_key="a" * 64,
        decision=0,
        batch=0,
        prompt="",
        negative="",
        seed=0,
        width=64,
        height=64,
        frames=1,
        priority=0,
        where="",
        inputs=(),
        state=TakeState.DONE,
        take_id="job/0/1",
        attempts=1,
        worker=None,
        detail="",
        seconds=None,
        artefact=artefact,
    )


@pytest.mark.parametrize(
    ("name", "media_type", "file"),
    [
        ("fox", "image/png", "fox.png"),
        ("fox.v2", "image/png", "fox.v2.png"),
        ("fox", "image/jpeg", "fox.jpg"),
        ("fox", "image/webp", "fox.webp"),
        ("fox", "application/octet-stream", "fox"),
        ("../../etc/passwd", "image/png", ".._.._etc_passwd.png"),
        ("a b/ü", "image/png", "a_b__.png"),
    ],
)
def test_a_picture_is_named_after_its_shot_and_never_leaves_the_folder(name, media_type, file):
    assert file_name(shot(name, media_type)) == file


def test_two_shots_whose_names_look_the_same_as_files_get_two_files():
    shots = [replace(shot(name), ordinal=number) for number, name in enumerate(("a b", "a_b", "A_B"))]
    assert distinct_names(shots) == {"a b": "a_b.png", "a_b": "000001-a_b.png", "A_B": "000002-A_B.png"}


def test_what_was_not_made_has_no_file():
    assert distinct_names([replace(shot("fox"), artefact=None)]) == {}
