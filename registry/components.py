"""From what was found in a repository to what licence rules look at: pins, claims, descent and copies."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from policy.stacks import FilePin, ModelPin, Role
from registry.licences.case import ADAPTERS
from registry.licences.claims import Claim, ClaimKind, Conclusion, Copy, Edge, LicensedComponent
from registry.licences.terms import EdgeKind
from registry.licences.texts import licence_of, text_digests
from registry.sources import SourceListing
from registry.verification import PICKLES, unsafe_among

# The Hub's words for how a model comes from another.
RELATIONS = {
    "adapter": EdgeKind.ADAPTER_OF,
    "finetune": EdgeKind.FINETUNED_FROM,
    "merge": EdgeKind.MERGE_OF,
    "quantized": EdgeKind.QUANTIZED_FROM,
}
# Parts that many models share byte for byte; that two repositories hold them says nothing of either.
SHARED = ("text_encoder", "image_encoder", "vae", "audio_vae", "vocoder", "tokenizer", "safety_checker")
SMALLEST_WEIGHTS = 1024  # bytes; a file with next to nothing in it is nobody's work


@dataclass(frozen=True, kw_only=True, slots=True)
class PinnedClaims:
    """A pin with what is said about it, as the database keeps them."""

    pin: ModelPin
    claims: tuple[Claim, ...]
    conclusions: tuple[Conclusion, ...] = ()  # newest first
    gated: bool = False
    gate_passed_by: str = ""  # whose account the hub let in
    moved: bool = False  # the main branch has other bytes by now, as the drift watch found


def pin_of(listing: SourceListing, role: Role) -> ModelPin:
    """Pin every file of a listing, except pickles beside safetensors: nothing ever loads those."""
    unsafe = set(unsafe_among(listing.paths))
    files = tuple(
        file
        for file in listing.files
        if file.path in unsafe or not file.path.lower().endswith(tuple(PICKLES))
    )
    return ModelPin(repo=listing.repo, revision=listing.revision, role=role, files=files)


def role_of(listing: SourceListing, distilled: Sequence[str]) -> Role:
    """What a repository is for, by its files and card; ``distilled`` are the repositories of methods."""
    if "model_index.json" in listing.paths:
        return Role.BASE  # though a method may take files of it too
    if listing.repo in distilled:
        return Role.DISTILL_LORA
    is_adapter = listing.card.relation == "adapter" or any("lora" in path.lower() for path in listing.paths)
    return Role.LORA if is_adapter else Role.BASE


def claims_of(listing: SourceListing) -> tuple[Claim, ...]:
    """Everything a listing says about licence and descent, as it says it."""
    card = listing.card
    said = [(ClaimKind.HUB_TAG, tag) for tag in card.licences]
    said += [(ClaimKind.LICENSE_NAME, card.license_name), (ClaimKind.LICENSE_LINK, card.license_link)]
    said += [(ClaimKind.BASE_MODEL, base) for base in card.base_models]
    said += [(ClaimKind.BASE_MODEL_RELATION, card.relation)]
    on_card = tuple(Claim(kind=kind, value=value, path="README.md") for kind, value in said if value)
    in_files = tuple(
        Claim(
            kind=ClaimKind.LICENCE_FILE,
            value=text_digests(body),
            path=path,
            text_sha256=hashlib.sha256(body).hexdigest(),
        )
        for path, body in listing.licence_files
    )
    in_headers = tuple(
        Claim(kind=ClaimKind.SAFETENSORS_METADATA, value=value, path=path)
        for path, value in listing.weight_licences
    )
    return on_card + in_files + in_headers


def licensed_components(
    pinned: Sequence[PinnedClaims], text_ids: Mapping[str, str]
) -> dict[str, LicensedComponent]:
    """Every pinned repository as the rules see it, by name; parents travel along where they are pinned."""
    by_repo = {record.pin.repo: record for record in pinned}
    holders = _holders(by_repo.values(), text_ids)
    return {
        repo: replace(
            _component(record, by_repo, text_ids, frozenset()), copies=tuple(_copies(record, holders))
        )
        for repo, record in by_repo.items()
    }


def _holders(pinned: Iterable[PinnedClaims], text_ids: Mapping[str, str]) -> Mapping[str, Sequence[Copy]]:
    """Who holds which weights, by sha256, and what is said of them there."""
    found: dict[str, list[Copy]] = defaultdict(list)
    for record in pinned:
        tags = tuple(claim.value for claim in record.claims if claim.kind is ClaimKind.HUB_TAG)
        for file in _own_weights(record.pin):
            copy = Copy(
                repo=record.pin.repo,
                path=file.path,
                tags=tags,
                licence_texts=_licence_texts(record.claims, text_ids),
            )
            found[file.sha256].append(copy)
    return found


def _copies(record: PinnedClaims, holders: Mapping[str, Sequence[Copy]]) -> Iterator[Copy]:
    """The same weights in other pinned repositories, one a repository."""
    seen = {record.pin.repo}
    for file in _own_weights(record.pin):
        for copy in holders[file.sha256]:
            if copy.repo not in seen:
                seen.add(copy.repo)
                yield copy


def _own_weights(pin: ModelPin) -> Iterator[FilePin]:
    for file in pin.files:
        is_shared = file.path.partition("/")[0].startswith(SHARED)
        if file.path.endswith(".safetensors") and file.size >= SMALLEST_WEIGHTS and not is_shared:
            yield file


def _licence_texts(claims: Sequence[Claim], text_ids: Mapping[str, str]) -> tuple[str, ...]:
    """Ids of the licence files, by their words."""
    found = {licence_of(claim.value, text_ids) for claim in claims if claim.kind is ClaimKind.LICENCE_FILE}
    return tuple(sorted(found))


def _component(
    record: PinnedClaims,
    by_repo: Mapping[str, PinnedClaims],
    text_ids: Mapping[str, str],
    seen: frozenset[str],
) -> LicensedComponent:
    pin, claims = record.pin, record.claims
    seen |= {pin.repo}
    return LicensedComponent(
        repo=pin.repo,
        role=pin.role,
        revision=pin.revision,
        pinned=bool(pin.files) and all(file.sha256 for file in pin.files),
        claims=claims,
        licence_texts=_licence_texts(claims, text_ids),
        edges=tuple(
            Edge(
                kind=_relation(claims, pin.role),
                to=base,
                parent=None
                if base in seen or base not in by_repo
                else _component(by_repo[base], by_repo, text_ids, seen),
            )
            for base in (claim.value for claim in claims if claim.kind is ClaimKind.BASE_MODEL)
        ),
        unsafe_files=unsafe_among(file.path for file in pin.files),
        conclusions=record.conclusions,
        gated=record.gated,
        gate_accepted=bool(record.gate_passed_by),
        same_bytes_on_main=False if record.moved else None,
    )


def _relation(claims: Sequence[Claim], role: Role) -> EdgeKind:
    """As the card says, else by what the component is; a relation nobody knows counts as the widest one."""
    stated = next((claim.value for claim in claims if claim.kind is ClaimKind.BASE_MODEL_RELATION), None)
    if stated is None:
        return EdgeKind.ADAPTER_OF if role in ADAPTERS else EdgeKind.FINETUNED_FROM
    return RELATIONS.get(stated.lower(), EdgeKind.FINETUNED_FROM)
