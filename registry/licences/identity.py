"""Which licences apply to a component: what its texts, tags and names amount to, and where they disagree.

The text at the pin outranks every name. A name that points nowhere is unknown, and
unknown is kept apart from none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from registry.licences.claims import ClaimKind, LicensedComponent
from registry.licences.terms import LicenceTerms
from registry.licences.texts import UNKNOWN_PREFIX

TermsById = Mapping[str, LicenceTerms]

# Values of the Hub's `license` that name no licence.
SAYS_NOTHING = frozenset({"", "other", "unknown"})


class Basis(StrEnum):
    """What the licence of a component rests on, strongest first."""

    CONCLUSION = "conclusion"
    TEXT = "text"
    TAG = "tag"
    NAME = "name"  # a free-text name without its text: a hint
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Voice:
    """One claim and the licences it can mean."""

    kind: ClaimKind
    value: str
    means: tuple[str, ...]  # ids; an unknown: id where no term file knows the value


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """The licences of a component, all of which must be obeyed, and the claims that contradict them."""

    licences: tuple[str, ...]
    basis: Basis
    dissent: tuple[Voice, ...] = ()
    tags: tuple[str, ...] = ()


def identity_of(component: LicensedComponent, terms: TermsById, on: date | None) -> Identity:
    """Conclude from the strongest evidence there is; weaker claims can only dissent."""
    tags = tuple(tag for tag in component.said(ClaimKind.HUB_TAG) if tag.lower() not in SAYS_NOTHING)
    voices = _voices(component, tags, terms)
    if component.conclusion is not None and component.conclusion.holds_on(on):
        return Identity(licences=_ordered(component.conclusion.licences), basis=Basis.CONCLUSION, tags=tags)
    for basis, licences in (
        (Basis.TEXT, component.licence_texts),
        (Basis.TAG, _meant(voices, ClaimKind.HUB_TAG)),
        (Basis.NAME, _meant(voices, ClaimKind.LICENSE_NAME, ClaimKind.SAFETENSORS_METADATA)),
    ):
        if licences:
            dissent = tuple(voice for voice in voices if not set(voice.means) & set(licences))
            return Identity(licences=_ordered(licences), basis=basis, dissent=dissent, tags=tags)
    return Identity(licences=(), basis=Basis.NOTHING, tags=tags)


def _voices(component: LicensedComponent, tags: tuple[str, ...], terms: TermsById) -> tuple[Voice, ...]:
    named = [(ClaimKind.HUB_TAG, tag) for tag in tags]
    named += [
        (kind, value)
        for kind in (ClaimKind.LICENSE_NAME, ClaimKind.SAFETENSORS_METADATA)
        for value in component.said(kind)
        if value.lower() not in SAYS_NOTHING
    ]
    return tuple(Voice(kind=kind, value=value, means=_meanings(value, terms)) for kind, value in named)


def _meanings(value: str, terms: TermsById) -> tuple[str, ...]:
    """Every licence a tag or name can mean; several versions of one licence share a tag."""
    word = value.strip().lower()
    found = sorted(
        licence.id
        for licence in terms.values()
        if word in licence.hub_tags
        or word in licence.hub_names
        or word in {licence.id, (licence.spdx or "").lower()}
    )
    return tuple(found) or (f"{UNKNOWN_PREFIX}{value}",)


def _meant(voices: tuple[Voice, ...], *kinds: ClaimKind) -> tuple[str, ...]:
    return tuple(licence for voice in voices if voice.kind in kinds for licence in voice.means)


def _ordered(licences: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(licences)))
