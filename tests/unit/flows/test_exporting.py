"""Names of files for people."""

import pytest

from flows.exporting import _file_name
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
    assert _file_name(shot(name, media_type)) == file
