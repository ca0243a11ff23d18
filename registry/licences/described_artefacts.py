"""The artefacts of a described stack: each with its claims, and what each says that it comes from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from policy.stacks import Role
from registry.licences.claims import (
    CivitaiFlags,
    Claim,
    ClaimKind,
    Conclusion,
    Copy,
    Edge,
    LicensedComponent,
)
from registry.licences.strict_table import StrictTable
from registry.licences.terms import EdgeKind

Origins = Mapping[str, tuple[str, ...]]
"""Well-known repositories and every licence their weights went out under, by id."""

MOST_LINES = 2000  # of descent; a few artefacts that all come from each other have millions
METADATA_LICENCES = ("modelspec.license", "modelspec.licence", "license", "licence")
# Weights that loading would unpickle or that bring templates along, and programs.
UNSAFE = re.compile(
    r"\.(bin|pt|pth|ckpt|pkl|pickle|joblib|dill|npy|npz|h5|keras|gguf|py|pyc|pyd|so|dll|dylib|exe|sh|bat)$",
    re.IGNORECASE,
)
_ROLES = {
    "scheduler": Role.RUNTIME_CODE,
    "tokenizer": Role.TEXT_ENCODER,
    "feature_extractor": Role.IMAGE_ENCODER,
    "audio_vae": Role.VAE,
    "vocoder": Role.VAE,
    "decoder": Role.VAE,
    "latent_upscaler": Role.UPSCALER,
    "latent_upsampler": Role.UPSCALER,
    "frame_interpolator": Role.INTERPOLATOR,
    "prior": Role.BASE,
    "expert": Role.TRANSFORMER,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Described:
    """One artefact and the edges it names, their ends not looked up yet."""

    component: LicensedComponent
    edges: tuple[tuple[EdgeKind, str], ...]


def described(read: StrictTable) -> Described:
    """One entry of a stack."""
    nothing: tuple[Claim, ...] = ()
    said = read.optional("claims", _claims, nothing)
    claims = said + read.optional("safetensors_metadata", _metadata, nothing)
    drift = read.optional("drift", _drift, _Drift())
    path = read.text("path", "")
    concluded = read.optional("conclusion", _conclusion, None)
    component = LicensedComponent(
        repo=read.text("repo"),
        role=role_of(read.text("role")),
        revision=read.scalar("revision", ""),
        path=path,
        pinned=True,  # described, so there are no files to count: the revision says what is meant
        claims=claims,
        licence_texts=read.texts("licence_texts"),
        sections_in=read.text("multi_section_licence_file", ""),
        copies=read.many("same_sha256_as", _copy),
        flags=read.optional("civitai", _flags, None),
        unsafe_files=(path,) if UNSAFE.search(path) else (),
        intact=read.flag("local_sha256_matches", default=True),
        gated=_gated(read),
        gate_accepted=read.flag("gate_accepted"),
        texts_on_main=drift.main,
        texts_at_link=drift.link,
        same_bytes_on_main=drift.same_bytes,
        conclusions=() if concluded is None else (concluded,),
    )
    return Described(component=component, edges=read.many("edges", _edge))


def related(
    entries: Sequence[Described], origins: Origins, fault: StrictTable
) -> tuple[LicensedComponent, ...]:
    """The artefacts with their parents: others of the stack by repository, else well-known ones."""
    family = _Family(entries, origins)
    try:
        return tuple(family.with_parents(number, ()) for number in range(len(entries)))
    except _TooMany:
        raise fault.fault("its artefacts come from each other in too many ways.") from None


def role_of(word: str) -> Role:
    """What an artefact is for; of a word that nobody knows, nothing is assumed."""
    plain = re.sub(r"_?\d+$", "", word.strip().lower())
    if plain in _ROLES:
        return _ROLES[plain]
    return Role(plain) if plain in set(Role) else Role.OTHER


class _TooMany(Exception):  # never leaves this file; becomes a fault of the description
    pass


class _Family:
    """Who comes from whom; counts what it unfolds, because a few edges can unfold into millions."""

    def __init__(self, entries: Sequence[Described], origins: Origins) -> None:
        self._entries = entries
        self._origins = origins
        self._unfolded = 0

    def with_parents(self, number: int, line: tuple[int, ...]) -> LicensedComponent:
        entry = self._entries[number]
        edges = tuple(edge for kind, to in entry.edges for edge in self._edges(kind, to, (*line, number)))
        return replace(entry.component, edges=edges)

    def _edges(self, kind: EdgeKind, to: str, line: tuple[int, ...]) -> list[Edge]:
        self._unfolded += 1
        if self._unfolded > MOST_LINES:
            raise _TooMany
        here = [
            number
            for number, entry in enumerate(self._entries)
            if entry.component.repo == to and number not in line
        ]
        if here:
            return [Edge(kind=kind, to=to, parent=self.with_parents(number, line)) for number in here]
        known = self._origins.get(to)
        parent = (
            None
            if known is None
            else LicensedComponent(repo=to, role=Role.BASE, licence_texts=known, is_origin=True)
        )
        return [Edge(kind=kind, to=to, parent=parent)]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Drift:
    main: tuple[str, ...] | None = None
    link: tuple[str, ...] | None = None
    same_bytes: bool | None = None


def _drift(read: StrictTable) -> _Drift:
    return _Drift(
        main=read.texts("main_licence_texts") if read.has("main_licence_texts") else None,
        link=read.text_or_texts("link_text") if read.has("link_text") else None,
        same_bytes=read.flag("same_weight_sha256") if read.has("same_weight_sha256") else None,
    )


def _claims(read: StrictTable) -> tuple[Claim, ...]:
    kinds = (
        ClaimKind.HUB_TAG,
        ClaimKind.LICENSE_NAME,
        ClaimKind.LICENSE_LINK,
        ClaimKind.README_TEXT,
        ClaimKind.UPSTREAM_REPO,
    )
    return tuple(Claim(kind=kind, value=value) for kind in kinds for value in read.text_or_texts(kind.value))


def _metadata(read: StrictTable) -> tuple[Claim, ...]:
    """Metadata is data of strangers: only its licence is heard, and all else may stand there."""
    rest = read.rest()
    return tuple(
        Claim(kind=ClaimKind.SAFETENSORS_METADATA, value=str(rest[key]))
        for key in METADATA_LICENCES
        if rest.get(key) not in {None, ""}
    )


def _copy(read: StrictTable) -> Copy:
    return Copy(
        repo=read.text("repo"),
        path=read.text("path", ""),
        tags=read.text_or_texts("hub_tag"),
        licence_texts=read.texts("licence_texts"),
    )


def _flags(read: StrictTable) -> CivitaiFlags | None:
    return CivitaiFlags(
        commercial_use=read.text_or_texts("allowCommercialUse"),
        allows_derivatives=read.flag("allowDerivatives"),
        allows_no_credit=read.flag("allowNoCredit"),
        allows_other_licence=read.flag("allowDifferentLicense"),
        is_snapshot=read.flag("snapshot"),
    )


def _conclusion(read: StrictTable) -> Conclusion | None:
    licences = read.texts("licence_texts")
    if not licences:
        raise read.fault('"licence_texts" names no licence.')
    evidence = ", ".join(read.texts("evidence"))
    return Conclusion(
        licences=licences,
        reason=read.text("reason", "") or (f"on {evidence}." if evidence else "no reason is written down."),
        concluded_by=read.text("by"),
        concluded_on=day(read, "on"),
        valid_until=day(read, "valid_until"),
        scope=read.text("scope", ""),
    )


def day(read: StrictTable, key: str) -> date | None:
    """A date, written plainly or as a text; None where it is left out."""
    if not read.has(key):
        return None
    given = read.scalar(key, "")
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise read.fault(f'"{key}" must be a date such as 2026-11-23.') from None


def _edge(read: StrictTable) -> tuple[EdgeKind, str]:
    return read.choice("type", EdgeKind), read.text("to", "")


def _gated(read: StrictTable) -> bool:
    """auto, manual or false."""
    given = read.scalar("gated", "false").lower()
    if given not in {"auto", "manual", "true", "false"}:
        raise read.fault('"gated" must be auto, manual or false.')
    return given != "false"
