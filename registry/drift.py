"""Has upstream moved since the pin, and how much does it matter? A pure decision over recorded facts.

A finding never changes a verdict by itself, and never for the looser. ``hold`` keeps new
shipments back until a person concludes it: where the repository is gone, where its scanners
call a pinned file unsafe, or where terms changed whose licence says that updates bind.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from registry.licences.terms import Binding
from registry.sources import LICENCE_NAMES
from registry.upstream import Alarm, LicenceTriple, UpstreamFacts

SHORT = 12  # digits of a digest that a person reads
NOTHING = "nothing"


class DriftSeverity(StrEnum):
    """What a finding asks for."""

    INFO = "info"
    REVIEW = "review"  # somebody should look
    HOLD = "hold"  # nothing new ships until somebody has looked


class DriftKind(StrEnum):
    """What has moved."""

    REPOSITORY_GONE = "repository_gone"
    COMMIT_GONE = "commit_gone"
    RENAMED = "renamed"
    GATE = "gate"
    LICENCE_CLAIM = "licence_claim"
    LICENCE_FILE = "licence_file"
    BYTES = "bytes"
    SECURITY = "security"


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftFinding:
    """One difference between a pin and its upstream."""

    kind: DriftKind
    severity: DriftSeverity
    detail: str  # one sentence for a person
    subject: str = ""  # file it is about; "" for the repository
    pinned: str = ""  # what stood there at the pin
    upstream: str = ""  # what stands there now


@dataclass(frozen=True, kw_only=True, slots=True)
class PinnedState:
    """What was written down at the pin, with what its licences say of later versions."""

    facts: UpstreamFacts
    pinned_paths: frozenset[str]
    bindings: tuple[Binding, ...]  # one a known licence of the pin


@dataclass(frozen=True, kw_only=True, slots=True)
class UpstreamState:
    """What the hub says now."""

    main: UpstreamFacts | None  # None: the repository is gone
    why_gone: str = ""
    has_commit: bool = True  # whether the pinned commit can still be reached
    same_words: Mapping[str, bool] = field(
        default_factory=dict
    )  # changed licence files: are the words the same?


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Both sides while the repository is still there."""

    pinned: PinnedState
    now: UpstreamFacts
    state: UpstreamState

    @property
    def on_terms(self) -> DriftSeverity:
        """How much changed terms matter: they hold where the pinned licence says that updates bind."""
        binds = Binding.AGREEMENT_UPDATES in self.pinned.bindings
        return DriftSeverity.HOLD if binds else DriftSeverity.REVIEW


DriftRule = Callable[[Comparison], Iterator[DriftFinding]]


def compare(pinned: PinnedState, state: UpstreamState) -> tuple[DriftFinding, ...]:
    """Every finding, by the rules in their order; none where upstream stands as it was pinned."""
    if state.main is None:
        gone = DriftFinding(
            kind=DriftKind.REPOSITORY_GONE,
            severity=DriftSeverity.HOLD,
            detail=f"{pinned.facts.repo} is gone: {state.why_gone}",
            pinned=pinned.facts.repo,
            upstream=NOTHING,
        )
        return (gone,)
    both = Comparison(pinned=pinned, now=state.main, state=state)
    return tuple(finding for rule in DRIFT_RULES for finding in rule(both))


def the_commit_is_still_there(both: Comparison) -> Iterator[DriftFinding]:
    """History that was rewritten often takes something back."""
    if not both.state.has_commit:
        yield DriftFinding(
            kind=DriftKind.COMMIT_GONE,
            severity=DriftSeverity.REVIEW,
            detail=f"The pinned commit {both.pinned.facts.revision[:SHORT]} cannot be reached any more.",
            pinned=both.pinned.facts.revision,
            upstream=NOTHING,
        )


def the_name_is_the_same(both: Comparison) -> Iterator[DriftFinding]:
    """Another owner is worth a look; another name of the same owner is not."""
    then, now = both.pinned.facts.repo, both.now.repo
    if then != now:
        is_owner_same = then.partition("/")[0] == now.partition("/")[0]
        yield DriftFinding(
            kind=DriftKind.RENAMED,
            severity=DriftSeverity.INFO if is_owner_same else DriftSeverity.REVIEW,
            detail=f"{then} is called {now} now.",
            pinned=then,
            upstream=now,
        )


def the_gate_is_the_same(both: Comparison) -> Iterator[DriftFinding]:
    """A gate that went up asks for an acceptance that nobody gave; one that came down changes nothing."""
    then, now = both.pinned.facts.gated, both.now.gated
    if then != now:
        yield DriftFinding(
            kind=DriftKind.GATE,
            severity=DriftSeverity.REVIEW if now else DriftSeverity.INFO,
            detail=f"Its gate is {now or 'open'} now; it was {then or 'open'}.",
            pinned=then or "open",
            upstream=now or "open",
        )


def the_card_claims_the_same_licence(both: Comparison) -> Iterator[DriftFinding]:
    """``license``, ``license_name`` and ``license_link`` together."""
    then, now = both.pinned.facts.licence, both.now.licence
    if then != now:
        yield DriftFinding(
            kind=DriftKind.LICENCE_CLAIM,
            severity=both.on_terms,
            detail=f"Its card claims {_in_words(now)} now; it claimed {_in_words(then)}.",
            pinned=_in_words(then),
            upstream=_in_words(now),
        )


def the_licence_files_are_the_same(both: Comparison) -> Iterator[DriftFinding]:
    """Added, changed or removed; the same words in another layout are no news."""
    then, now = both.pinned.facts.by_path, both.now.by_path
    for path in sorted({path for path in (*then, *now) if LICENCE_NAMES.fullmatch(path.rpartition("/")[2])}):
        before, after = then.get(path), now.get(path)
        if before is not None and after is not None and before.blob_id == after.blob_id:
            continue
        told = "was added" if before is None else "was removed" if after is None else "was changed"
        is_same = both.state.same_words.get(path, False)
        yield DriftFinding(
            kind=DriftKind.LICENCE_FILE,
            severity=DriftSeverity.INFO if is_same else both.on_terms,
            detail=f"{path} {told} on main{', in its layout alone' if is_same else ''}.",
            subject=path,
            pinned=before.blob_id if before else NOTHING,
            upstream=after.blob_id if after else NOTHING,
        )


def the_pinned_bytes_are_still_offered(both: Comparison) -> Iterator[DriftFinding]:
    """Other bytes behind the same name; the pinned commit is not touched by them."""
    then, now = both.pinned.facts.by_path, both.now.by_path
    for path in sorted(both.pinned.pinned_paths):
        before, after = then.get(path), now.get(path)
        if before is None or not before.lfs_sha256:
            continue
        found = after.lfs_sha256 if after else NOTHING
        if found != before.lfs_sha256:
            told = f"has other bytes on main ({found[:SHORT]})" if after else "is not on main any more"
            yield DriftFinding(
                kind=DriftKind.BYTES,
                severity=DriftSeverity.REVIEW,
                detail=f"{path} {told}.",
                subject=path,
                pinned=before.lfs_sha256,
                upstream=found,
            )


def no_scanner_points_at_it(both: Comparison) -> Iterator[DriftFinding]:
    """What the hub's scanners found since the pin."""
    known = {(one.path, one.alarm) for one in both.pinned.facts.alarms}
    for alarm in both.now.alarms:
        if (alarm.path, alarm.alarm) in known:
            continue
        is_pinned = alarm.path in both.pinned.pinned_paths
        severity = DriftSeverity.INFO
        if is_pinned:
            severity = DriftSeverity.HOLD if alarm.alarm is Alarm.UNSAFE else DriftSeverity.REVIEW
        place = "pinned" if is_pinned else "not pinned"
        yield DriftFinding(
            kind=DriftKind.SECURITY,
            severity=severity,
            detail=f"The hub's scanners call {alarm.path} {alarm.alarm.value}; it is {place} here.",
            subject=alarm.path,
            pinned=NOTHING,
            upstream=alarm.alarm.value,
        )


DRIFT_RULES: tuple[DriftRule, ...] = (
    the_commit_is_still_there,
    the_name_is_the_same,
    the_gate_is_the_same,
    the_card_claims_the_same_licence,
    the_licence_files_are_the_same,
    the_pinned_bytes_are_still_offered,
    no_scanner_points_at_it,
)


def _in_words(triple: LicenceTriple) -> str:
    parts = [*triple.licences, triple.name, triple.link]
    return " / ".join(part for part in parts if part) or "no licence"
