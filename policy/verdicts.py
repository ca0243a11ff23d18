"""An answer that explains itself: a ruling with all its reasons and obligations."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Ruling(StrEnum):
    """What was decided; the order of severity is PERMIT < REVIEW < DENY."""

    PERMIT = "permit"
    REVIEW = "review"  # a person must decide: evidence is missing or contradictory
    DENY = "deny"


SEVERITY = {Ruling.PERMIT: 0, Ruling.REVIEW: 1, Ruling.DENY: 2}


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """One fact that moved the ruling (or confirms it), down to the clause it rests on."""

    code: str  # stable machine name, such as "noncommercial_licence"
    ruling: Ruling  # what this reason alone would decide
    detail: str  # one sentence for a person
    component: str = ""  # repo or repo/path the reason speaks of; "" for the whole
    licence: str = ""  # licence id, where one is involved
    clause: str = ""  # where in the licence text


@dataclass(frozen=True, kw_only=True, slots=True)
class Obligation:
    """Something that must be done if the use goes ahead."""

    id: str
    text: str
    when: str  # the act that triggers it, such as "distribution of the work"
    component: str = ""
    licence: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """A ruling, every reason for it, and the union of obligations; never a bare yes."""

    ruling: Ruling
    reasons: tuple[Reason, ...] = ()
    obligations: tuple[Obligation, ...] = ()

    @property
    def is_permit(self) -> bool:
        return self.ruling is Ruling.PERMIT

    def against(self) -> tuple[Reason, ...]:
        """The reasons that speak against the use, worst first."""
        adverse = [reason for reason in self.reasons if reason.ruling is not Ruling.PERMIT]
        return tuple(
            sorted(adverse, key=lambda reason: (-SEVERITY[reason.ruling], reason.code, reason.component))
        )


def _ordered_reasons(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    unique = set(reasons)
    return tuple(
        sorted(
            unique, key=lambda r: (-SEVERITY[r.ruling], r.code, r.component, r.licence, r.clause, r.detail)
        )
    )


def _ordered_obligations(obligations: Iterable[Obligation]) -> tuple[Obligation, ...]:
    unique = set(obligations)
    return tuple(sorted(unique, key=lambda o: (o.id, o.component, o.licence, o.when, o.text)))


def from_reasons(reasons: Iterable[Reason], obligations: Iterable[Obligation] = ()) -> Verdict:
    """The verdict that reasons amount to; no reasons at all is a DENY, because nothing known means no."""
    ordered = _ordered_reasons(reasons)
    if not ordered:
        nothing = Reason(
            code="no_grounds", ruling=Ruling.DENY, detail="Nothing is known that would permit this use."
        )
        return Verdict(ruling=Ruling.DENY, reasons=(nothing,))
    ruling = max((reason.ruling for reason in ordered), key=SEVERITY.__getitem__)
    return Verdict(ruling=ruling, reasons=ordered, obligations=_ordered_obligations(obligations))


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Strictest wins; reasons and obligations are united.

    Order-independent, idempotent and monotone: adding a verdict never loosens the result.
    An empty set of verdicts is a DENY.
    """
    parts = tuple(verdicts)
    return from_reasons(
        (reason for part in parts for reason in part.reasons),
        (obligation for part in parts for obligation in part.obligations),
    )
