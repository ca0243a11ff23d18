"""What moved upstream, and how much it matters: decided from recorded facts alone."""

from dataclasses import replace

import pytest

from registry.drift import (
    DRIFT_RULES,
    DriftKind,
    DriftSeverity,
    PinnedState,
    UpstreamState,
    compare,
)
from registry.licences.terms import Binding
from registry.upstream import Alarm, FileAlarm, LicenceTriple, UpstreamFacts, UpstreamFile

LICENCE = UpstreamFile(path="LICENSE", size=10, blob_id="a" * 40)
WEIGHTS = UpstreamFile(path="model.safetensors", size=99, blob_id="b" * 40, lfs_sha256="c" * 64)
FACTS = UpstreamFacts(
    asked="acme/base",
    repo="acme/base",
    revision="1" * 40,
    endpoint="https://hub.example",
    licence=LicenceTriple(licences=("mit",)),
    files=(LICENCE, WEIGHTS),
)
MOVED = {
    DriftKind.COMMIT_GONE: (FACTS, {"has_commit": False}),
    DriftKind.RENAMED: (replace(FACTS, repo="other/base"), {}),
    DriftKind.GATE: (replace(FACTS, gated="auto"), {}),
    DriftKind.LICENCE_CLAIM: (replace(FACTS, licence=LicenceTriple(licences=("other",), name="mine")), {}),
    DriftKind.LICENCE_FILE: (replace(FACTS, files=(replace(LICENCE, blob_id="d" * 40), WEIGHTS)), {}),
    DriftKind.BYTES: (replace(FACTS, files=(LICENCE, replace(WEIGHTS, lfs_sha256="e" * 64))), {}),
    DriftKind.SECURITY: (replace(FACTS, alarms=(FileAlarm(path=WEIGHTS.path, alarm=Alarm.UNSAFE),)), {}),
}


def pinned(*bindings: Binding, facts: UpstreamFacts = FACTS) -> PinnedState:
    paths = frozenset(file.path for file in facts.files)
    return PinnedState(facts=facts, pinned_paths=paths, bindings=bindings)


def severities(state: UpstreamState, *bindings: Binding) -> list[tuple[DriftKind, DriftSeverity]]:
    return [(one.kind, one.severity) for one in compare(pinned(*bindings), state)]


def test_nothing_moved_is_nothing_found():
    assert compare(pinned(Binding.AGREEMENT_UPDATES), UpstreamState(main=FACTS)) == ()


def test_a_new_commit_alone_is_no_news():
    assert compare(pinned(), UpstreamState(main=replace(FACTS, revision="2" * 40))) == ()


@pytest.mark.parametrize("kind", MOVED)
def test_each_kind_of_move_is_found_alone_with_what_stood_there_and_stands_there(kind):
    main, more = MOVED[kind]
    (finding,) = compare(pinned(), UpstreamState(main=main, **more))
    assert finding.kind is kind
    assert finding.pinned != finding.upstream


def test_every_rule_finds_its_kind_and_no_kind_is_without_a_rule():
    assert len(DRIFT_RULES) == len(MOVED)
    assert {*MOVED, DriftKind.REPOSITORY_GONE} == set(DriftKind)


@pytest.mark.parametrize("kind", [DriftKind.LICENCE_CLAIM, DriftKind.LICENCE_FILE])
@pytest.mark.parametrize("binding", list(Binding))
def test_changed_terms_hold_exactly_where_a_licence_of_the_pin_says_that_updates_bind(kind, binding):
    main, _ = MOVED[kind]
    binds = binding is Binding.AGREEMENT_UPDATES
    expected = DriftSeverity.HOLD if binds else DriftSeverity.REVIEW
    assert severities(UpstreamState(main=main), Binding.NONE, binding) == [(kind, expected)]


def test_a_repository_that_is_gone_holds_whatever_its_terms_say():
    (finding,) = compare(pinned(), UpstreamState(main=None, why_gone="nobody knows it."))
    assert (finding.kind, finding.severity) == (DriftKind.REPOSITORY_GONE, DriftSeverity.HOLD)
    assert "nobody knows it" in finding.detail


def test_a_licence_file_that_goes_or_comes_is_found_by_name():
    without = replace(FACTS, files=(WEIGHTS,))
    (went,) = compare(pinned(), UpstreamState(main=without))
    (came,) = compare(pinned(facts=without), UpstreamState(main=FACTS))
    assert ("removed" in went.detail, "added" in came.detail) == (True, True)
    assert went.subject == came.subject == "LICENSE"


def test_the_same_words_in_another_layout_are_information_even_where_updates_bind():
    main, _ = MOVED[DriftKind.LICENCE_FILE]
    state = UpstreamState(main=main, same_words={"LICENSE": True})
    assert severities(state, Binding.AGREEMENT_UPDATES) == [(DriftKind.LICENCE_FILE, DriftSeverity.INFO)]


@pytest.mark.parametrize(
    ("alarm", "path", "severity"),
    [
        (Alarm.UNSAFE, WEIGHTS.path, DriftSeverity.HOLD),
        (Alarm.SUSPICIOUS, WEIGHTS.path, DriftSeverity.REVIEW),
        (Alarm.CAUTION, WEIGHTS.path, DriftSeverity.REVIEW),
        (Alarm.UNSAFE, "not-pinned.bin", DriftSeverity.INFO),
    ],
)
def test_an_alarm_matters_by_its_degree_and_by_whether_the_file_is_pinned(alarm, path, severity):
    main = replace(FACTS, alarms=(FileAlarm(path=path, alarm=alarm),))
    assert severities(UpstreamState(main=main)) == [(DriftKind.SECURITY, severity)]


def test_an_alarm_that_was_known_at_the_pin_is_no_news():
    loud = replace(FACTS, alarms=(FileAlarm(path=WEIGHTS.path, alarm=Alarm.UNSAFE),))
    assert compare(pinned(facts=loud), UpstreamState(main=loud)) == ()


def test_a_gate_that_comes_down_and_a_new_name_of_the_same_owner_are_for_information():
    gated = replace(FACTS, gated="manual")
    (gate,) = compare(pinned(facts=gated), UpstreamState(main=FACTS))
    (name,) = compare(pinned(), UpstreamState(main=replace(FACTS, repo="acme/new")))
    assert gate.severity is name.severity is DriftSeverity.INFO


def test_bytes_of_files_that_are_not_pinned_may_change_unnoticed():
    state = PinnedState(facts=FACTS, pinned_paths=frozenset({"LICENSE"}), bindings=())
    assert compare(state, UpstreamState(main=MOVED[DriftKind.BYTES][0])) == ()
