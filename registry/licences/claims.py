"""What somebody says about some bytes, kept apart from what was concluded about them.

A claim is written down as it was found and never changed. A conclusion names who drew it,
why and until when. Neither is a licence: a licence is a text.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from policy.stacks import Role
from registry.licences.terms import EdgeKind


class ClaimKind(StrEnum):
    """Where a claim stands."""

    HUB_TAG = "hub_tag"  # `license` of the model card; one claim a value
    LICENSE_NAME = "license_name"
    LICENSE_LINK = "license_link"
    LICENCE_FILE = "licence_file"  # a LICENSE file: its value is texts.text_digests of its words
    BASE_MODEL = "base_model"
    BASE_MODEL_RELATION = "base_model_relation"
    SAFETENSORS_METADATA = "safetensors_metadata"


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """One statement by somebody about a repository or a file in it."""

    kind: ClaimKind
    value: str  # exactly as found
    path: str = ""  # file it speaks of or stands in; "" for the whole repository
    text_sha256: str | None = None  # of the bytes as read, where the claim is a text


@dataclass(frozen=True, kw_only=True, slots=True)
class Conclusion:
    """What a named person concluded on evidence; it outranks every claim until it expires."""

    licences: tuple[str, ...]  # ids; several mean all of them
    reason: str
    concluded_by: str
    concluded_on: date
    valid_until: date | None = None

    def holds_on(self, day: date | None) -> bool:
        """Without a day to judge by, only an unlimited conclusion holds."""
        if self.valid_until is None:
            return True
        return day is not None and day <= self.valid_until


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    """Descent from another artefact; the parent travels as a value, so that judging looks nothing up."""

    kind: EdgeKind
    to: str  # repository
    parent: "LicensedComponent | None" = None  # None: nothing is known of it


@dataclass(frozen=True, kw_only=True, slots=True)
class LicensedComponent:
    """One artefact of a stack with everything that bears on its licence."""

    repo: str
    role: Role
    revision: str = ""
    path: str = ""  # "" for the whole repository
    pinned: bool = False  # every file by sha256 and size
    claims: tuple[Claim, ...] = ()
    licence_texts: tuple[str, ...] = ()  # ids, by text, of the licence files at the pin: all apply
    edges: tuple[Edge, ...] = ()
    unsafe_files: tuple[str, ...] = ()  # pickled weights or code that loading would have to run
    intact: bool = True  # False: bytes on disk are not the pinned ones
    gated: bool = False
    gate_accepted: bool = False
    texts_on_main: tuple[str, ...] | None = None  # ids on the moving branch today; None: not looked up
    conclusion: Conclusion | None = None

    @property
    def place(self) -> str:
        """How reasons name it."""
        return f"{self.repo}/{self.path}" if self.path else self.repo

    def said(self, kind: ClaimKind) -> tuple[str, ...]:
        """What the claims of one kind say."""
        return tuple(claim.value for claim in self.claims if claim.kind is kind)
