"""What the registry knows, as one value: everything that a verdict rests on, read once while it stands.

Nothing in it depends on the time: whether an approval stands, a waiver has ended or a conclusion counts
on a day is asked of it each time. Whether it is still what the database holds is asked in the very
transaction that uses it, by a token that every change replaces (``registry.revision_tables``).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import select

from policy.approvals import Approval, Grant
from policy.quarantine import Revocation
from policy.stacks import Stack
from policy.uses import Act
from registry.catalogue import Catalogue
from registry.components import PinnedClaims, licensed_components
from registry.drift import DriftKind
from registry.licences.claims import LicensedComponent
from registry.model_registry import PinRecord
from registry.revision_tables import registry_revision
from registry.stack_standing import Asked, StackStanding, judge_stack
from registry.unit_of_work import UnitOfWork
from registry.upstream_records import FoundDrift

TOKEN = select(registry_revision.c.token)
TOKEN_HELD = TOKEN.with_for_update(read=True)  # on PostgreSQL no change of the registry commits before us

MOST_STANDINGS = 256  # of one reading: beyond them all are forgotten


@dataclass(frozen=True, kw_only=True)
class KnownRegistry:
    """Pins, claims, conclusions, findings, revocations and approvals of one moment."""

    token: str | None  # None: of a moment that cannot be recognised again
    pins: Mapping[str, PinRecord]  # the newest of each repository, by name
    components: Mapping[str, LicensedComponent]  # the same as the licence rules see them
    findings: tuple[FoundDrift, ...]  # open ones
    revocations: tuple[Revocation, ...]
    approved: tuple[Approval | Grant, ...]  # standing or not
    _standings: dict[object, StackStanding] = field(
        default_factory=dict[object, StackStanding], init=False, repr=False, compare=False
    )

    def lifting(self, act: Act) -> tuple[Approval, ...]:
        """Every approval and waiver for an act, standing or not: the gates judge them."""
        return tuple(one for one in self.approved if isinstance(one, Approval) and one.act is act)

    def grants(self, act: Act) -> tuple[Grant, ...]:
        """Every paid licence for an act, standing or not."""
        return tuple(one for one in self.approved if isinstance(one, Grant) and one.act is act)

    def standing(self, catalogue: Catalogue, stack: Stack, asked: Asked) -> StackStanding:
        """What a stack comes to for a use; the same question gets the same answer at once."""
        question = (stack.stack_id, stack.name, asked)
        known = self._standings.get(question)
        if known is None:
            known = judge_stack(self, catalogue, stack, asked)
            if len(self._standings) >= MOST_STANDINGS:
                self._standings.clear()
            self._standings[question] = known
        return known


class KeptRegistry:
    """The latest reading of one database; shared by threads, since a reading is only ever replaced."""

    def __init__(self, text_ids: Mapping[str, str]) -> None:
        self._text_ids = text_ids
        self._kept: KnownRegistry | None = None

    def at(self, work: UnitOfWork, *, held: bool = False) -> KnownRegistry:
        """The registry as the transaction sees it; ``held`` keeps it so until a writing one ends."""
        token = work.connection.execute(TOKEN_HELD if held else TOKEN).scalar_one_or_none()
        kept = self._kept
        if kept is None or token is None or kept.token != token:
            kept = self._kept = read_registry(work, self._text_ids, token)
        return kept


def read_registry(work: UnitOfWork, text_ids: Mapping[str, str], token: str | None) -> KnownRegistry:
    """Everything anew; ``text_ids`` name licences by the words of their texts."""
    newest: dict[str, PinRecord] = {}
    for record in sorted(work.models.pins(), key=lambda record: record.pinned_at):
        newest[record.pin.repo] = record
    findings = work.upstream.findings(open_only=True)
    return KnownRegistry(
        token=token,
        pins=newest,
        components=components_as_known(newest, moved_upstream(findings), text_ids),
        findings=findings,
        revocations=work.revocations.all(),
        approved=work.approvals.known(),
    )


def moved_upstream(findings: Iterable[FoundDrift]) -> frozenset[str]:
    """Ids of pins whose main branch has other bytes by now."""
    return frozenset(found.pin_id for found in findings if found.finding.kind is DriftKind.BYTES)


def components_as_known(
    records: Mapping[str, PinRecord], moved: Collection[str], text_ids: Mapping[str, str]
) -> dict[str, LicensedComponent]:
    """These pins as the licence rules see them; ``moved`` are pins whose main branch has other bytes now."""
    return licensed_components(
        [
            PinnedClaims(
                pin=record.pin,
                claims=record.claims,
                conclusions=record.conclusions,
                gated=bool(record.gated),
                gate_passed_by=record.gate_passed_by if record.gated else "",
                moved=record.pin.pin_id in moved,
            )
            for record in records.values()
        ],
        text_ids,
    )
