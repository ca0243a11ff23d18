"""Where a stack stands for a use: the verdict, the licences and the duties, by what the registry knows.

All of it follows from values: the same registry, catalogue, stack, use and circumstances come to the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from policy.quarantine import Revocation, quarantined
from policy.stacks import AdapterPin, Stack
from policy.uses import IntendedUse
from policy.verdicts import Obligation, Reason, Ruling, Verdict, from_reasons
from registry.catalogue import Catalogue
from registry.licences.case import Part, make_case
from registry.licences.circumstances import Circumstances
from registry.licences.claims import ClaimKind, LicensedComponent
from registry.licences.texts import licence_of
from registry.model_registry import PinRecord
from registry.reevaluation import JudgedStack, stack_json
from registry.shipment_records import ShippedLicence


class Known(Protocol):
    """What a registry knows, as far as it is asked here."""

    @property
    def pins(self) -> Mapping[str, PinRecord]: ...
    @property
    def components(self) -> Mapping[str, LicensedComponent]: ...
    @property
    def revocations(self) -> tuple[Revocation, ...]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is asked of a stack: for which use, under which circumstances."""

    use: IntendedUse
    circumstances: Circumstances


@dataclass(frozen=True, kw_only=True)
class StackStanding:
    """What the licence rules say of a stack for a use, and what a shipment of it rests on."""

    judged: JudgedStack  # the components that are still pinned as they were used
    verdict: Verdict  # a part that is pinned otherwise or revoked by now denies
    licences: tuple[ShippedLicence, ...]
    proofs: tuple[Obligation, ...]  # evidence that terms ask for and the order claims to have

    @cached_property
    def judged_json(self) -> str:
        """The judged stack as it is kept with a shipment."""
        return stack_json(self.judged)


def judge_stack(known: Known, catalogue: Catalogue, stack: Stack, asked: Asked) -> StackStanding:
    """Judge a stack for a use; pure, and dear enough to be asked once (``KnownRegistry.standing``)."""
    components = tuple(
        known.components[pin.repo].at_path(pin.file if isinstance(pin, AdapterPin) else "")
        for pin in stack.pins
        if pin.repo in known.components and known.pins[pin.repo].pin.pin_id == pin.pin_id
    )
    parts = make_case(components, asked.use, catalogue.terms).parts
    unpinned = _unpinned(known.pins, stack)
    return StackStanding(
        judged=JudgedStack(
            stack_id=stack.stack_id,
            name=stack.name,
            components=components,
            circumstances=asked.circumstances,
        ),
        verdict=unpinned
        or quarantined(
            catalogue.verdicts.judge(components, asked.use, asked.circumstances),
            stack.pins,
            known.revocations,
        ),
        licences=tuple(_licences(catalogue, stack, parts)),
        proofs=tuple(_proofs(catalogue, parts, asked.use)),
    )


def _unpinned(pins: Mapping[str, PinRecord], stack: Stack) -> Verdict | None:
    """The denial of a stack of which a part is not what is pinned today."""
    for pin in stack.pins:
        known = pins.get(pin.repo)
        if known is None or known.pin.pin_id != pin.pin_id:
            detail = f"{pin.repo} at {pin.revision[:12]} is not what is pinned today."
            reason = Reason(code="unpinned_revision", ruling=Ruling.DENY, detail=detail, component=pin.repo)
            return from_reasons([reason])
    return None


def _licences(catalogue: Catalogue, stack: Stack, parts: Iterable[Part]) -> Iterable[ShippedLicence]:
    """Under which licences each part is used today; an heir stands for what it inherits."""
    pins = {pin.repo: pin for pin in stack.pins}
    found: dict[tuple[str, str], ShippedLicence] = {}
    for part in parts:
        pin = pins.get(part.heir or part.component.place)
        if pin is None:
            continue
        for licence in part.identity.licences:
            found[pin.pin_id, licence] = ShippedLicence(
                stack_id=stack.stack_id,
                pin_id=pin.pin_id,
                repo=pin.repo,
                revision=pin.revision,
                licence=licence,
                text_sha256=_text_of(catalogue, part.component, licence),
            )
    return found.values()


def _text_of(catalogue: Catalogue, component: LicensedComponent, licence: str) -> str | None:
    """The digest of the LICENSE bytes that lay in the repository; None where there was no such file."""
    texts = {
        claim.text_sha256
        for claim in component.claims
        if claim.kind is ClaimKind.LICENCE_FILE
        and claim.text_sha256
        and licence_of(claim.value, catalogue.text_ids) == licence
    }
    return min(texts, default=None)


def _proofs(catalogue: Catalogue, parts: Iterable[Part], use: IntendedUse) -> Iterator[Obligation]:
    """Evidence such as a registration: shown, not said."""
    for part in parts:
        for licence in part.identity.licences:
            terms = catalogue.terms.get(licence)
            for asked in () if terms is None else terms.evidence:
                if use.act in asked.acts and asked.id in use.evidence:
                    yield Obligation(
                        id=asked.id,
                        text=asked.detail,
                        when="before the use",
                        component=part.component.place,
                        licence=licence,
                    )
