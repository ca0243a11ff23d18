"""Which licences apply to a component: what its texts, tags and names amount to, and where they disagree.

The text at the pin outranks every name. A name that points nowhere is unknown, and
unknown is kept apart from none.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache

from registry.licences.claims import ClaimKind, Conclusion, Copy, LicensedComponent
from registry.licences.terms import LicenceTerms
from registry.licences.texts import UNKNOWN_PREFIX

TermsById = Mapping[str, LicenceTerms]

# Values of the Hub's `license` that name no licence.
SAYS_NOTHING = frozenset({"", "other", "unknown"})
NAMES = (ClaimKind.LICENSE_NAME, ClaimKind.SAFETENSORS_METADATA)
WORDS = (*NAMES, ClaimKind.README_TEXT, ClaimKind.UPSTREAM_REPO)


class Basis(StrEnum):
    """What the licence of a component rests on, strongest first."""

    CONCLUSION = "conclusion"
    TEXT = "text"
    TAG = "tag"
    NAME = "name"  # a free-text name without its text: a hint
    FLAGS = "flags"  # the permissions of a page, and nothing else
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Voice:
    """One claim and the licences it can mean."""

    kind: ClaimKind
    value: str
    means: tuple[str, ...]  # ids; an unknown: id where no term file knows the value
    where: str = ""  # the other repository that says it


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """The licences of a component, all of which must be obeyed, and the claims that contradict them."""

    licences: tuple[str, ...]
    basis: Basis
    dissent: tuple[Voice, ...] = ()
    tags: tuple[str, ...] = ()
    conclusion: Conclusion | None = None  # what it rests on, where a person concluded it
    claimed: tuple[Conclusion, ...] = ()  # that nobody's key vouches for: they decide nothing, and are told


def identity_of(component: LicensedComponent, terms: TermsById, on: date | None) -> Identity:
    """Conclude from the strongest evidence there is; weaker claims can only dissent."""
    tags = tuple(tag for tag in component.said(ClaimKind.HUB_TAG) if tag.lower() not in SAYS_NOTHING)
    conclusion, claimed = component.concluded(on), component.only_claimed(on)
    if conclusion is not None:
        return Identity(
            licences=_ordered(conclusion.licences),
            basis=Basis.CONCLUSION,
            dissent=tuple(_overruled(component, conclusion, terms)),
            tags=tags,
            conclusion=conclusion,
            claimed=claimed,
        )
    voices = _voices(component, tags, terms)
    hints = tuple(tag for tag in tags if _is_only_a_hint(tag, terms))
    declared = _meant(voices, ClaimKind.HUB_TAG)
    for basis, licences in (
        (Basis.TEXT, component.licence_texts),
        (Basis.NAME if hints else Basis.TAG, declared),
        (Basis.NAME, _meant(voices, *WORDS)),
    ):
        if licences:
            dissent = (*voices, *_copies(component, licences, terms))
            return Identity(
                licences=_ordered(licences),
                basis=basis,
                dissent=tuple(voice for voice in dissent if not set(voice.means) & set(licences)),
                tags=tags,
                claimed=claimed,
            )
    nothing = Basis.FLAGS if component.flags is not None else Basis.NOTHING
    return Identity(
        licences=(),
        basis=nothing,
        dissent=tuple(_copies(component, (), terms)) if component.flags else (),
        tags=tags,
        claimed=claimed,
    )


def _voices(component: LicensedComponent, tags: tuple[str, ...], terms: TermsById) -> tuple[Voice, ...]:
    named = [(ClaimKind.HUB_TAG, tag) for tag in tags]
    named += [
        (kind, value) for kind in WORDS for value in component.said(kind) if value.lower() not in SAYS_NOTHING
    ]
    return tuple(Voice(kind=kind, value=value, means=_meanings(value, terms)) for kind, value in named)


def _copies(component: LicensedComponent, licences: tuple[str, ...], terms: TermsById) -> Iterator[Voice]:
    """What is said of the same bytes elsewhere; a copy of which nothing is said contradicts nothing."""
    for copy in component.copies:
        for value, means in _of_copy(copy, licences, terms):
            place = f"{copy.repo}/{copy.path}" if copy.path else copy.repo
            yield Voice(kind=ClaimKind.UPLOADER_COPY, value=value, means=means, where=place)


def _of_copy(
    copy: Copy, licences: tuple[str, ...], terms: TermsById
) -> Iterator[tuple[str, tuple[str, ...]]]:
    if copy.licence_texts:
        yield ", ".join(copy.licence_texts), copy.licence_texts
    for tag in copy.tags:
        word = tag.strip().lower()
        if word not in SAYS_NOTHING:
            yield tag, _meanings(tag, terms)
        elif word == "unknown" or (word == "other" and not _may_be_other(copy, licences, terms)):
            yield tag, (f"{UNKNOWN_PREFIX}{word}",)


def _may_be_other(copy: Copy, licences: tuple[str, ...], terms: TermsById) -> bool:
    """The Hub says "other" for a licence without a tag of its own."""
    if copy.licence_texts:
        return True
    return bool(licences) and all(one in terms and not terms[one].hub_tags for one in licences)


def _overruled(component: LicensedComponent, conclusion: Conclusion, terms: TermsById) -> Iterator[Voice]:
    """Known texts that a conclusion sets aside; one that chooses among several sets nothing aside."""
    if set(conclusion.licences) <= set(component.licence_texts):
        return
    for text in component.licence_texts:
        if text in terms and text not in conclusion.licences:
            yield Voice(kind=ClaimKind.LICENCE_FILE, value=text, means=(text,))


def _meanings(value: str, terms: TermsById) -> tuple[str, ...]:
    """Every licence a tag or name can mean; several versions of one licence share a tag."""
    word, plain = value.strip().lower(), _plain(value)
    found = sorted(
        licence.id
        for licence in terms.values()
        if _declares(word, licence) or (plain and any(plain == _plain(name) for name in licence.hub_names))
    )
    return tuple(found) or (f"{UNKNOWN_PREFIX}{value}",)


def _declares(word: str, licence: LicenceTerms) -> bool:
    return word in licence.hub_tags or word in {licence.id, (licence.spdx or "").lower()}


def _is_only_a_hint(tag: str, terms: TermsById) -> bool:
    """A tag that names a kind of licence and no licence, such as "openrail"."""
    word = tag.strip().lower()
    if any(_declares(word, licence) for licence in terms.values()):
        return False
    return not _meanings(tag, terms)[0].startswith(UNKNOWN_PREFIX)


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    """A name without case, spaces and punctuation, in which spellings differ; "+" tells licences apart."""
    return re.sub(r"[^a-z0-9+]", "", name.lower())


def _meant(voices: tuple[Voice, ...], *kinds: ClaimKind) -> tuple[str, ...]:
    return tuple(licence for voice in voices if voice.kind in kinds for licence in voice.means)


def _ordered(licences: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(licences)))
