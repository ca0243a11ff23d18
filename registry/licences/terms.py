"""The terms of one licence text as data: what it grants, forbids, asks for and leaves open.

Every fact carries the clause it was read in and whether it was read there at all: an
unverified fact never permits by itself.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from policy.uses import Act
from policy.verdicts import Ruling


class EdgeKind(StrEnum):
    """How one artefact comes from another."""

    FINETUNED_FROM = "finetuned_from"
    ADAPTER_OF = "adapter_of"
    MERGE_OF = "merge_of"
    QUANTIZED_FROM = "quantized_from"
    CONVERTED_FROM = "converted_from"
    DISTILLED_FROM = "distilled_from"
    TRAINED_ON_OUTPUTS_OF = "trained_on_outputs_of"


class Stance(StrEnum):
    """What a text says about an act; an act it does not mention has no stance and is unknown."""

    ALLOW = "allow"
    REVIEW = "review"  # the text can be read both ways: a person decides
    DENY = "deny"


class Comparison(StrEnum):
    """How a condition compares what is known with what the text names."""

    AT_MOST = "<="
    BELOW = "<"
    AT_LEAST = ">="
    ABOVE = ">"
    ONE_OF = "in"
    NONE_OF = "not in"


class Binding(StrEnum):
    """Whether a later version of the terms binds those who started under an earlier one."""

    NONE = "none"
    USAGE_RESTRICTION = "usage_restriction"  # the licensor may restrict use that violates the licence
    LATEST_VERSION_EFFORT = "latest_version_effort"  # reasonable efforts to use the latest version
    POLICY_BY_REFERENCE = "policy_by_reference"  # an acceptable-use policy at an address that may change
    AGREEMENT_UPDATES = "agreement_updates"  # the new agreement binds


@dataclass(frozen=True, kw_only=True, slots=True)
class ActTerm:
    """What the text says about one act."""

    act: Act
    stance: Stance
    code: str  # reason code: "granted", "noncommercial_licence", ...
    clause: str
    detail: str
    verified: bool
    remedy: str = ""  # the licence that can be bought instead; "" where the text names none


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """A fact about the organisation that the grant depends on, such as a revenue cap."""

    id: str
    attribute: str  # field of policy.uses.Organisation
    comparison: Comparison
    value: int | tuple[str, ...]
    scope: str  # whose figure it is: "entity", "entity and affiliates"
    acts: tuple[Act, ...]
    if_false: Ruling
    code: str
    clause: str
    detail: str
    remedy: str  # the licence that can be bought instead; "" where the text names none
    verified: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RequiredEvidence:
    """Something that must be shown to have been done, such as a registration."""

    id: str  # as it stands in IntendedUse.evidence
    acts: tuple[Act, ...]
    if_missing: Ruling
    code: str
    clause: str
    detail: str
    verified: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Duty:
    """An obligation that comes with an act."""

    id: str
    acts: tuple[Act, ...]
    when: str
    text: str
    clause: str
    verified: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Territory:
    """Where the grant does not reach; empty: worldwide."""

    excluded: tuple[str, ...] = ()  # ISO 3166-1 alpha-2
    clause: str = ""
    verified: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """Which offspring the text counts as a derivative, and the licences it may go out under."""

    covers: tuple[EdgeKind, ...] = tuple(EdgeKind)
    share_alike: bool = False
    outbound: tuple[str, ...] = ()  # licence ids; empty: any licence will do
    clause: str = ""
    verified: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class UseRestrictions:
    """What the model must not be used for, and whether whoever gets it must be bound as well."""

    must_flow_down: bool = False
    clause: str = ""
    items: tuple[str, ...] = ()
    verified: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputTerms:
    """What the text says of outputs, for a person to read."""

    licensor_claims: str = "none"
    clause: str = ""
    detail: str = ""
    marking_must_stay: bool = False  # watermarks and provenance marks must not be removed
    marking_clause: str = ""
    verified: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Updating:
    """How the terms may change, and how the grant ends."""

    binding: Binding = Binding.NONE
    binding_clause: str = ""
    revocable: bool = False
    termination: str = ""
    termination_clause: str = ""
    verified: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """Words of the text that a fact rests on; a test looks for them in the text itself."""

    clause: str
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TextSource:
    """Where the text was read, when, and which words it has."""

    url: str
    read_from: str
    read_on: date
    text_sha256: str  # normalised; "" where the text is not at hand, and then no fact is verified
    variants: tuple[str, ...] = ()  # normalised digests of the same licence in other copies


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedModel:
    """The model that a text names as the only one it licenses: other models need another text."""

    named: str
    family: str  # regular expression: a repository or file speaks of this kind of model
    matches: str  # and of the one that is named
    clause: str

    def is_another(self, places: Iterable[str]) -> bool:
        """Do these names of a component and its ancestors speak of the kind, and never of the one?"""
        words = " ".join(places).lower()
        return bool(re.search(self.family, words)) and not re.search(self.matches, words)


@dataclass(frozen=True, kw_only=True, slots=True)
class LicenceTerms:
    """Everything known of one licence text."""

    id: str
    name: str
    family: str
    version: str
    spdx: str | None
    hub_tags: tuple[str, ...]  # values of the Hub's `license` that name this text
    hub_names: tuple[str, ...]  # values of `license_name`, lower case; hints only
    acts: tuple[ActTerm, ...]
    source: TextSource
    licensor: tuple[str, ...] = ()  # who can sell another licence, by every name; empty: not one party
    model: NamedModel | None = None
    conditions: tuple[Condition, ...] = ()
    evidence: tuple[RequiredEvidence, ...] = ()
    duties: tuple[Duty, ...] = ()
    territory: Territory = field(default_factory=Territory)
    lineage: Lineage = field(default_factory=Lineage)
    restrictions: UseRestrictions = field(default_factory=UseRestrictions)
    outputs: OutputTerms = field(default_factory=OutputTerms)
    updating: Updating = field(default_factory=Updating)
    quotes: tuple[Quote, ...] = ()

    def on(self, act: Act) -> ActTerm | None:
        """What the text says about an act; None where it says nothing."""
        return next((term for term in self.acts if term.act is act), None)
