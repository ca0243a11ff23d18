"""What somebody says about some bytes, kept apart from what was concluded about them.

A claim is written down as it was found and never changed. A conclusion names who drew it,
why, for which files and until when. Neither is a licence: a licence is a text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from fnmatch import fnmatchcase

from policy.approvals import Evidence
from policy.stacks import Role
from registry.licences.terms import EdgeKind


class ClaimKind(StrEnum):
    """Where a claim stands."""

    HUB_TAG = "hub_tag"  # `license` of the model card; one claim a value
    LICENSE_NAME = "license_name"
    LICENSE_LINK = "license_link"
    LICENCE_FILE = "licence_file"  # a LICENSE file: its value is texts.text_digests of its words
    README_TEXT = "readme_text"  # what the body of the card says
    UPSTREAM_REPO = "upstream_repo"  # what the origin says of the same bytes
    UPLOADER_COPY = "uploader_copy"  # what another repository says of the same bytes
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
    concluded_on: date | None  # None: the day is not on record
    valid_until: date | None = None
    scope: str = ""  # a file, or a pattern of files such as "Hyper-SDXL-*"; "" for the whole repository
    evidence: tuple[Evidence, ...] = ()  # the files that it rests on
    key_id: str = ""  # of the key that signed it; "" where it was described, or never signed
    is_claimed: bool = False  # it should be signed, and no approver's key that counts vouches for it

    @property
    def standing(self) -> str:
        """``signed``, ``claimed``, or "" for one that was only described."""
        if self.is_claimed:
            return "claimed"
        return "signed" if self.key_id else ""

    def holds_on(self, day: date | None) -> bool:
        """Without a day to judge by, only an unlimited conclusion holds."""
        if self.valid_until is None:
            return True
        return day is not None and day <= self.valid_until

    def covers(self, path: str) -> bool:
        """Does it speak of this file? One with a scope never speaks of a whole repository."""
        if not self.scope or self.scope == path:
            return True
        return bool(path) and fnmatchcase(path, self.scope)


def up_to_signed(conclusions: Iterable[Conclusion]) -> Iterator[Conclusion]:
    """Of conclusions, the newest first: the first that counts, and whatever was only claimed since."""
    for one in conclusions:
        yield one
        if not one.is_claimed:
            return


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """The same bytes elsewhere, and what is said of them there."""

    repo: str
    path: str = ""
    tags: tuple[str, ...] = ()
    licence_texts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class CivitaiFlags:
    """The permissions that a Civitai page grants; the base licence still applies underneath."""

    commercial_use: tuple[str, ...]  # Image, RentCivit, Rent, Sell; None or nothing: no commercial use
    allows_derivatives: bool
    allows_no_credit: bool
    allows_other_licence: bool
    is_snapshot: bool  # they were written down with a date: their author can edit the page


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
    sections_in: str = ""  # a licence file whose sections hold for different files; "" where there is none
    copies: tuple[Copy, ...] = ()  # elsewhere, by sha256
    flags: CivitaiFlags | None = None
    edges: tuple[Edge, ...] = ()
    unsafe_files: tuple[str, ...] = ()  # pickled weights or code that loading would have to run
    intact: bool = True  # False: bytes on disk are not the pinned ones
    gated: bool = False
    gate_accepted: bool = False
    texts_on_main: tuple[str, ...] | None = None  # ids on the moving branch today; None: not looked up
    texts_at_link: tuple[str, ...] | None = None  # the same, of the page that the card links to
    same_bytes_on_main: bool | None = None  # None: not looked up
    conclusions: tuple[Conclusion, ...] = ()  # newest first
    is_origin: bool = False  # known from the list of origins alone

    @property
    def place(self) -> str:
        """How reasons name it."""
        return f"{self.repo}/{self.path}" if self.path else self.repo

    def said(self, kind: ClaimKind) -> tuple[str, ...]:
        """What the claims of one kind say."""
        return tuple(claim.value for claim in self.claims if claim.kind is kind)

    def concluded(self, day: date | None) -> Conclusion | None:
        """The newest conclusion that counts, holds on a day and speaks of this file."""
        return next((one for one in self._heard(day) if not one.is_claimed), None)

    def only_claimed(self, day: date | None) -> tuple[Conclusion, ...]:
        """Those that no key vouches for, as far as none that counts was drawn since."""
        return tuple(one for one in self._heard(day) if one.is_claimed)

    def _heard(self, day: date | None) -> Iterator[Conclusion]:
        return up_to_signed(one for one in self.conclusions if one.holds_on(day) and one.covers(self.path))

    def at_path(self, path: str) -> "LicensedComponent":
        """The same repository, of which one file is used; only where a conclusion tells files apart."""
        return replace(self, path=path) if any(one.scope for one in self.conclusions) else self
