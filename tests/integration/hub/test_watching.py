"""What moves upstream after the pin is found, kept, told once, and holds what must wait."""

import json

import pytest

from flows.drift import conclude_drift, drift_holds, look_for_drift
from flows.identities import create_identity
from flows.pinning import pin_model
from policy.errors import UnknownName
from policy.identities import IdentityRole
from registry.unit_of_work import unit_of_work
from tests.local_hub.published import card, pipeline, text, weights

pytestmark = pytest.mark.timeout(900)

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
BINDING = "nvidia-open-model-2025-04-28"


def found(look):
    return sorted((one.finding.kind.value, one.finding.severity.value) for one in look.findings)


def test_nothing_is_found_where_nothing_moved(hub, studio, repo):
    hub.put(repo, pipeline())
    studio.do(pin_model, repo)
    look = studio.do(look_for_drift, repo)
    assert (look.looked_at, look.new, look.findings, look.failures) == (1, 0, (), ())


def test_other_terms_other_bytes_a_gate_and_another_owner_are_found_and_told_once(hub, studio, repo):
    repository = hub.put(repo, pipeline())
    record = studio.do(pin_model, repo)
    repository.change({
        "README.md": card(license="other", license_name="mine"),
        "LICENSE": b"All rights reserved.",
        WEIGHTS: weights(99),
    })  # fmt: skip
    repository.gated = "manual"
    hub.rename(repo, f"other/{repo.partition('/')[2]}")
    look = studio.do(look_for_drift, repo)
    assert found(look) == [
        ("bytes", "review"),
        ("gate", "review"),
        ("licence_claim", "review"),
        ("licence_file", "review"),
        ("renamed", "review"),
    ]
    assert studio.do(look_for_drift, repo).new == 0
    with unit_of_work(studio.here.engine, read_only=True) as work:
        told = [
            json.loads(one.event.payload)
            for one in work.audit.events(subject=record.pin.pin_id)
            if one.event.tag == "model:drift:found"
        ]
    assert {one["kind"] for one in told} == {one.finding.kind.value for one in look.findings}
    assert {one.only_notice for one in drift_holds(studio.here, [record.pin])} == {True}


def test_changed_terms_hold_where_the_pinned_licence_says_that_updates_bind(hub, studio, repo):
    repository = hub.put(repo, pipeline(BINDING))
    record = studio.do(pin_model, repo)
    repository.change({"LICENSE": b"A new agreement."})
    assert found(studio.do(look_for_drift, repo)) == [("licence_file", "hold")]
    (hold,) = drift_holds(studio.here, [record.pin])
    assert hold.repo == repo
    studio.do(create_identity, "counsel", IdentityRole.APPROVER)
    (concluded,) = studio.do(conclude_drift, repo, "Read with counsel.", "counsel")
    assert (concluded.concluded_by, concluded.concluded_because) == ("counsel", "Read with counsel.")
    assert [one.standing for one in studio.do(look_for_drift, repo).findings] == ["concluded"]
    assert drift_holds(studio.here, [record.pin]) == ()
    assert studio.do(look_for_drift, repo).new == 0, "what was concluded stays concluded"
    repository.change({"LICENSE": b"A newer agreement."})
    studio.do(look_for_drift, repo)
    assert len(drift_holds(studio.here, [record.pin])) == 1, "but another change is another finding"


def test_the_same_words_in_another_layout_are_for_information(hub, studio, repo):
    repository = hub.put(repo, pipeline(BINDING))
    studio.do(pin_model, repo)
    repository.change({"LICENSE": text(BINDING).replace(b"\n", b"\r\n")})
    assert found(studio.do(look_for_drift, repo)) == [("licence_file", "info")]


def test_a_licence_that_was_added_after_the_pin_is_found_and_is_not_the_pins(hub, studio, repo):
    files = pipeline()
    licence = files.pop("LICENSE")
    repository = hub.put(repo, files)
    record = studio.do(pin_model, repo)
    repository.change({"LICENSE": licence})
    assert found(studio.do(look_for_drift, repo)) == [("licence_file", "review")]
    assert all(claim.text_sha256 is None for claim in record.claims)


def test_a_repository_that_is_gone_holds_and_one_that_does_not_answer_says_nothing(hub, studio, repo):
    hub.put(repo, pipeline())
    record = studio.do(pin_model, repo)
    hub.is_down = True
    look = studio.do(look_for_drift, repo)
    assert (look.findings, [one.repo for one in look.failures]) == ((), [repo])
    hub.is_down = False
    del hub.repositories[repo]
    assert found(studio.do(look_for_drift, repo)) == [("repository_gone", "hold")]
    assert len(drift_holds(studio.here, [record.pin])) == 1


def test_a_rewritten_history_and_an_alarm_on_a_pinned_file_are_found(hub, studio, repo):
    repository = hub.put(repo, pipeline())
    studio.do(pin_model, repo)
    old = repository.refs["main"]
    repository.change({"notes.txt": b"x"})
    del repository.commits[old]
    repository.issues = [
        {"path": WEIGHTS, "level": "unsafe"},
        {"path": "unet/diffusion_pytorch_model.bin", "level": "unsafe"},
    ]
    assert found(studio.do(look_for_drift, repo)) == [
        ("commit_gone", "review"),
        ("security", "hold"),
        ("security", "info"),
    ]


def test_what_was_never_pinned_from_a_hub_cannot_drift(studio):
    with pytest.raises(UnknownName, match="not pinned from a hub"):
        studio.do(look_for_drift, "rightstep/emoji-64")
    studio.do(create_identity, "lawyer", IdentityRole.APPROVER)
    with pytest.raises(UnknownName, match="Nothing is open"):
        studio.do(conclude_drift, "rightstep/emoji-64", "because", "lawyer")
