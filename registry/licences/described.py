"""A stack that is described rather than pinned: claims from a file, for the same evaluator.

Nothing is downloaded and nothing is believed: what a description leaves out is not known.
A key that nobody reads is refused, so that a slip never turns into silence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policy.territories import is_territory
from policy.uses import Act, Context, Delivery, IntendedUse, Organisation
from registry.licences.circumstances import Circumstances, PaidLicence
from registry.licences.claims import LicensedComponent
from registry.licences.described_artefacts import Origins, day, described, related
from registry.licences.strict_table import StrictTable

NEXT = "Correct the description of the stack; a key that is left out or null means not known."


@dataclass(frozen=True, kw_only=True, slots=True)
class DescribedStack:
    """The whole question that a description asks."""

    components: tuple[LicensedComponent, ...]
    use: IntendedUse
    circumstances: Circumstances


def parse_described(
    table: Mapping[str, Any], where: str, origins: Origins, assumed: IntendedUse
) -> DescribedStack:
    """The question in a table; anything unexpected is a FormatFault naming the place.

    ``assumed`` stands in for an organisation and a day that the description does not speak of. One that
    names an organisation of its own is not taken to deliver as that of the context does.
    """
    read = StrictTable(_without_nulls(table), where, NEXT)
    if not read.has("stack"):
        raise read.fault('"stack" is missing.')
    entries = read.many("stack", described)
    use, circumstances = read.one("use", lambda inner: _use(inner, assumed))
    read.close()
    return DescribedStack(components=related(entries, origins, read), use=use, circumstances=circumstances)


def _without_nulls(value: Any) -> Any:
    """A key that says null says nothing; a null in a list is left for its reader to refuse."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(held) for key, held in value.items() if held is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _use(read: StrictTable, assumed: IntendedUse) -> tuple[IntendedUse, Circumstances]:
    act = read.choice("act", Act)
    context = Context() if read.has("org") else assumed.context
    use = IntendedUse(
        act=act,
        organisation=read.optional("org", _organisation, assumed.organisation),
        territories=_territories(read),
        on=day(read, "on") or assumed.on,
        evidence=read.texts("evidence"),
        outbound_licence=read.text("outbound_licence", "") or None,
        context=context,
    )
    circumstances = Circumstances(
        paid=read.many("grants", _paid), pipeline=read.optional("pipeline", _delivery, context.delivery)
    )
    return use, circumstances


def _organisation(read: StrictTable) -> Organisation:
    return Organisation(
        name=read.text("name", ""),
        annual_revenue_usd=_figure(read, "annual_revenue_usd"),
        group_revenue_usd=_figure(read, "group_revenue_usd"),
        mau=_figure(read, "mau"),
        monthly_visits=_figure(read, "monthly_visits"),
        domicile=_domicile(read),
        kind=read.text("kind", "") or None,
    )


def _figure(read: StrictTable, key: str) -> int | None:
    """Not known, or a whole number that is not negative; NaN and infinity are neither."""
    if not read.has(key):
        return None
    value = read.number(key)
    if not value.is_integer() or value < 0:
        raise read.fault(f'"{key}" must be a whole number that is not negative, or null.')
    return int(value)


def _domicile(read: StrictTable) -> str | None:
    if not read.has("domicile"):
        return None
    code = read.text("domicile")
    if not is_territory(code):
        raise read.fault(f'"domicile" cannot be "{code}"; it is an ISO 3166-1 alpha-2 code.')
    return code


def _territories(read: StrictTable) -> tuple[str, ...]:
    codes = read.texts("territories")
    for code in codes:
        if not is_territory(code):
            raise read.fault(
                f'"territories" cannot have "{code}"; it has ISO 3166-1 alpha-2 codes, or WORLD.'
            )
    return codes


def _paid(read: StrictTable) -> PaidLicence:
    return PaidLicence(
        licensor=read.text("licensor"),
        repos=read.texts("repos"),
        acts=read.choices("acts", Act),
        document_sha256=read.scalar("document_sha256", ""),
        valid_until=day(read, "valid_until"),
    )


def _delivery(read: StrictTable) -> Delivery:
    return Delivery(
        content_filter=_said(read, "content_filter"),
        ai_disclosure=_said(read, "ai_disclosure"),
        removes_provenance_marking=_said(read, "removes_provenance_marking"),
    )


def _said(read: StrictTable, key: str) -> bool | None:
    return read.flag(key) if read.has(key) else None
