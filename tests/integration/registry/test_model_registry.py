"""Pins, claims and conclusions: exact bytes, everything said, and who concluded what."""

from datetime import timedelta

import pytest

from policy.errors import IntegrityFault, UnknownName
from policy.identities import IdentityRole
from policy.stacks import ModelPin
from registry.audit_walk import verify
from registry.licences.claims import Claim, ClaimKind, Conclusion
from registry.licences.texts import normalised_sha256
from registry.model_registry import PinRecord
from registry.unit_of_work import unit_of_work
from tests.factories import NOW, STYLE, make_file_pin, make_model_pin
from tests.integration.registry.stores import Store
from tests.integration.registry.test_approvals import MAIL, person

LICENCE = b"Apache License\r\nVersion 2.0, January 2004\r\n"
TAG = Claim(kind=ClaimKind.HUB_TAG, value="apache-2.0")


def save(store: Store, pin: ModelPin | None = None, **changes: object) -> PinRecord:
    facts: dict[str, object] = {
        "source": "builtin",
        "claims": (TAG,),
        "texts": (LICENCE,),
        "actor": "alice",
        "now": NOW,
    }
    with unit_of_work(store.engine) as work:
        record = work.models.save_pin(pin or make_model_pin(), **(facts | changes))
        work.commit()
    return record


def test_a_pin_comes_back_with_every_file_and_claim(store: Store):
    pin = make_model_pin()
    saved = save(store, pin)
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.models.pin_of(pin.repo) == saved == work.models.pin_of(pin.repo, pin.revision)
        assert work.models.pins() == (saved,)
    assert saved.pin.pin_id == pin.pin_id
    assert (saved.source, saved.pinned_by, saved.pinned_at) == ("builtin", "alice", NOW)
    assert saved.claims == (TAG,)


def test_a_licence_is_kept_as_the_bytes_that_were_read(store: Store):
    save(store)
    words = normalised_sha256(LICENCE)
    with unit_of_work(store.engine, read_only=True) as work:
        kept = work.models.licence_text(words)
        assert (kept.body, kept.normalised_sha256) == (LICENCE, words)
        assert work.models.licence_text(kept.sha256) == kept
        with pytest.raises(UnknownName, match="No licence text"):
            work.models.licence_text("0" * 64)


def test_two_spellings_of_one_licence_are_two_texts_with_one_identity(store: Store):
    unix = LICENCE.replace(b"\r\n", b"\n")
    save(store, texts=(LICENCE, unix))
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.models.licence_text(normalised_sha256(unix)).body in {LICENCE, unix}


def test_saving_again_adds_only_what_is_new(store: Store):
    save(store)
    other = Claim(kind=ClaimKind.LICENSE_NAME, value="something-else", path="README.md")
    again = save(store, claims=(TAG, other), actor="bob", now=NOW + timedelta(days=1))
    assert set(again.claims) == {TAG, other}
    assert (again.pinned_by, again.pinned_at) == ("alice", NOW)
    with unit_of_work(store.engine, read_only=True) as work:
        assert [event.event.tag for event in work.audit.events()] == ["registry:pin:saved"]
    assert verify(store.engine).ok


def test_other_bytes_behind_the_same_commit_are_refused(store: Store):
    save(store)
    forged = make_model_pin(files=(make_file_pin(sha256="f" * 64), make_file_pin("model_index.json")))
    with pytest.raises(IntegrityFault, match="pinned with other bytes"):
        save(store, forged)
    with unit_of_work(store.engine, read_only=True) as work:
        assert len(work.models.pins()) == 1


def test_fewer_files_of_the_same_commit_are_another_pin(store: Store):
    save(store)
    part = make_model_pin(files=(make_file_pin("model_index.json"),))
    assert save(store, part).pin.files == part.files


def test_the_newest_pin_of_a_repository_is_the_one_without_a_commit(store: Store):
    save(store)
    moved = make_model_pin(revision="b" * 40, files=(make_file_pin(sha256="e" * 64),))
    save(store, moved, now=NOW + timedelta(days=1))
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.models.pin_of(moved.repo).pin.revision == "b" * 40
        older = work.models.pin_of(moved.repo, make_model_pin().revision).pin
        assert older.pin_id == make_model_pin().pin_id


def test_what_is_not_pinned_says_how_to_pin_it(store: Store):
    with (
        pytest.raises(UnknownName, match=f"rightstep model pin {STYLE}"),
        unit_of_work(store.engine, read_only=True) as work,
    ):
        work.models.pin_of(STYLE)


def test_a_conclusion_stands_beside_the_claims_and_changes_none(store: Store):
    pin = make_model_pin()
    save(store, pin)
    first = Conclusion(
        licences=("apache-2.0",),
        reason="The LICENSE file says so.",
        concluded_by="officer",
        concluded_on=NOW.date(),
        valid_until=NOW.date() + timedelta(days=90),
    )
    second = Conclusion(
        licences=("mit", "cc-by-4.0"),
        reason="Asked.",
        concluded_by="chief",
        concluded_on=NOW.date(),
        scope="model_*.json",
    )
    officer, chief = (person(store, name, IdentityRole.APPROVER) for name in ("officer", "chief"))
    with unit_of_work(store.engine) as work:
        kept = [
            work.models.conclude(pin, first, officer.identity, officer.key, evidence=(MAIL,), now=NOW),
            work.models.conclude(
                pin,
                second,
                chief.identity,
                chief.key,
                evidence=(MAIL,),
                now=NOW + timedelta(seconds=1),
            ),
        ]
        work.commit()
    with unit_of_work(store.engine, read_only=True) as work:
        record = work.models.pin_of(pin.repo)
        tags = [event.event.tag for event in work.audit.events(subject=pin.pin_id)]
    assert record.claims == (TAG,)
    assert record.conclusions == tuple(reversed(kept))
    assert [one.standing for one in record.conclusions] == ["signed", "signed"]
    assert [(one.licences, one.concluded_by, one.scope) for one in record.conclusions] == [
        (("mit", "cc-by-4.0"), "chief", "model_*.json"),
        (("apache-2.0",), "officer", ""),
    ]
    assert tags == ["registry:pin:saved", "registry:licence:concluded", "registry:licence:concluded"]


def test_a_pin_and_its_audit_event_are_one_transaction(store: Store):
    with unit_of_work(store.engine) as work:
        work.models.save_pin(make_model_pin(), source="builtin", claims=(), texts=(), actor="alice", now=NOW)
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.models.pins() == ()
        assert work.audit.events() == ()
