"""Looking upstream of every pin that came from a hub: what moved is written down, and may hold shipments."""

from collections.abc import Iterable
from dataclasses import dataclass

from flows.bootstrap import House
from flows.identities import signatory
from policy.errors import IntegrityFault, Refused, RightstepError, UnknownName
from policy.gates import DriftHold
from policy.stacks import ModelPin
from registry.drift import DriftSeverity, PinnedState, UpstreamState, compare
from registry.licences.claims import up_to_signed
from registry.licences.texts import licence_of, normalised_sha256
from registry.model_registry import PinRecord
from registry.sources import LICENCE_NAMES
from registry.unit_of_work import unit_of_work
from registry.upstream import UpstreamFacts
from registry.upstream_records import FoundDrift, PinSnapshot


@dataclass(frozen=True, kw_only=True, slots=True)
class NotLooked:
    """A pin that could not be compared."""

    repo: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftLook:
    """One look at upstream: everything that differs from the pins now, found today or before."""

    looked_at: int  # pins
    new: int  # findings
    findings: tuple[FoundDrift, ...]
    failures: tuple[NotLooked, ...]


def look_for_drift(house: House, repo: str | None = None) -> DriftLook:
    """Compare one repository, or every one that was pinned from a hub, with what its hub says now."""
    pins = _hub_pins(house, repo)
    new, failures = 0, []
    for record, snapshot in pins:
        try:
            state = _upstream_state(house, snapshot)
        except RightstepError as error:
            failures.append(NotLooked(repo=record.pin.repo, reason=error.message))
            continue
        findings = compare(_pinned_state(house, record, snapshot), state)
        with unit_of_work(house.engine) as work:
            saved = work.upstream.save_findings(
                record.pin, findings, actor=house.settings.actor, now=house.clock()
            )
            work.commit()
        new += len(saved)
    looked = {record.pin.pin_id for record, _ in pins}
    with unit_of_work(house.engine, read_only=True) as work:
        known = work.upstream.findings()
    return DriftLook(
        looked_at=len(pins) - len(failures),
        new=new,
        findings=tuple(found for found in known if found.pin_id in looked),
        failures=tuple(failures),
    )


def conclude_drift(house: House, repo: str, because: str, approver: str) -> tuple[FoundDrift, ...]:
    """Conclude every open finding of a repository, signed by an approver; UnknownName where there is none."""
    by = signatory(house, approver)
    with unit_of_work(house.engine) as work:
        standing = [found for found in work.upstream.findings(open_only=True) if found.repo == repo]
        if not standing:
            raise UnknownName(f"Nothing is open on {repo}.", "Look first: rightstep model drift.")
        for found in standing:
            work.upstream.conclude(found, by.identity, by.key, because=because, now=house.clock())
        now = {found.finding_id for found in standing}
        concluded = tuple(found for found in work.upstream.findings() if found.finding_id in now)
        work.commit()
    return concluded


def drift_holds(house: House, pins: Iterable[ModelPin]) -> tuple[DriftHold, ...]:
    """What keeps these pins from being shipped, and what a person should look at before long."""
    with unit_of_work(house.engine, read_only=True) as work:
        return holds_among(house.registry.at(work).findings, pins)


def holds_among(findings: Iterable[FoundDrift], pins: Iterable[ModelPin]) -> tuple[DriftHold, ...]:
    """What open findings come to for these pins."""
    wanted = {pin.pin_id for pin in pins}
    return tuple(
        DriftHold(
            repo=found.repo,
            detail=found.finding.detail,
            found_on=found.found_at.date(),
            only_notice=found.finding.severity is not DriftSeverity.HOLD,
        )
        for found in findings
        if found.pin_id in wanted and found.finding.severity is not DriftSeverity.INFO
    )


def _hub_pins(house: House, repo: str | None) -> tuple[tuple[PinRecord, PinSnapshot], ...]:
    with unit_of_work(house.engine, read_only=True) as work:
        records, snapshots = work.models.pins(), work.upstream.snapshots()
    found = tuple(
        (record, snapshots[record.pin.pin_id]) for record in records if record.pin.pin_id in snapshots
    )
    if repo is None:
        return found
    wanted = tuple(pair for pair in found if pair[0].pin.repo == repo)
    if not wanted:
        raise UnknownName(f"{repo} was not pinned from a hub.", f"Pin it with: rightstep model pin {repo}.")
    return wanted


def _pinned_state(house: House, record: PinRecord, snapshot: PinSnapshot) -> PinnedState:
    """What was written down, with how its licences bind; one that nobody knows binds nobody yet."""
    ids = {licence_of(claim.value, house.catalogue.text_ids) for claim in record.claims if claim.text_sha256}
    for conclusion in up_to_signed(record.conclusions):
        ids |= set(conclusion.licences)
    terms = house.catalogue.terms
    return PinnedState(
        facts=snapshot.facts,
        pinned_paths=frozenset(file.path for file in record.pin.files),
        bindings=tuple(terms[licence].updating.binding for licence in sorted(ids) if licence in terms),
    )


def _upstream_state(house: House, snapshot: PinSnapshot) -> UpstreamState:
    """What the hub says now; a repository that is not shown any more is an answer, silence is not."""
    asked = snapshot.facts.asked
    try:
        main = house.hub.describe(asked)
    except UnknownName as error:
        return UpstreamState(main=None, why_gone=error.message)
    return UpstreamState(
        main=main,
        has_commit=house.hub.client.has_commit(asked, snapshot.facts.revision),
        same_words=_same_words(house, snapshot, main),
    )


def _same_words(house: House, snapshot: PinSnapshot, main: UpstreamFacts) -> dict[str, bool]:
    """Licence files that changed, and whether only their layout did; both texts are read."""
    known = dict(snapshot.texts)
    then, now = snapshot.facts.by_path, main.by_path
    same = {}
    for path in sorted(set(then) & set(now)):
        is_licence = LICENCE_NAMES.fullmatch(path.rpartition("/")[2]) is not None
        if not is_licence or then[path].blob_id == now[path].blob_id or path not in known:
            continue
        try:
            body = house.hub.read_text(main, path)
        except (IntegrityFault, Refused):
            continue  # too long, not what was announced, or behind a gate now: it counts as changed
        with unit_of_work(house.engine, read_only=True) as work:
            before = work.models.licence_text(known[path]).normalised_sha256
        same[path] = normalised_sha256(body) == before
    return same
