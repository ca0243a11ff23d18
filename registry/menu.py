"""The menu: every way to make what a manifest asks for, from what is pinned, each with its verdict.

Denied offers stay on it, so that a refusal can say what was denied and which clause did it.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import PurePosixPath

from policy.manifest import LoraRequest, RenderManifest
from policy.menu import Absence, Menu, Offer
from policy.methods import MethodPreset, PresetPart
from policy.quarantine import Revocation, quarantined
from policy.stacks import AdapterPin, ModelPin, Role, Stack
from policy.tiers import TIER_TABLE, ServiceTier
from policy.uses import IntendedUse
from policy.verdicts import Verdict
from registry.catalogue import Catalogue
from registry.licences.circumstances import ORDINARY, Circumstances, as_stated
from registry.licences.claims import LicensedComponent

Wish = tuple[str, tuple[LoraRequest, ...]]
Parts = tuple[tuple[str, str], ...]  # repository, and file of it where a method names one
Judge = Callable[[Parts, str], Verdict]  # parts and the id of their stack


@dataclass(frozen=True, kw_only=True)
class PinnedModel:
    """A pinned repository: its files, what its licence rests on, where it lies, and the words it knows."""

    pin: ModelPin
    component: LicensedComponent
    root: str
    vocabulary: tuple[str, ...] | None = None
    native_size: tuple[int, int] | None = None  # width and height in pixels, where its files say


def build_menu(
    *,
    manifest: RenderManifest,
    catalogue: Catalogue,
    pinned: Mapping[str, PinnedModel],
    use: IntendedUse,
    revocations: tuple[Revocation, ...] = (),
    bought: Mapping[str, Circumstances] | None = None,
) -> Menu:
    """Offers and absences for every model and set of LoRAs that is named; what is revoked is denied.

    ``bought`` are paid licences by stack.
    """
    asked = dict.fromkeys((shot.model, shot.loras) for shot in manifest.shots)
    # The bare model stands beside its styles, so that a refused style has a permitted neighbour to name.
    wishes = tuple(dict.fromkeys([*asked, *((model, ()) for model, _ in asked if model in pinned)]))
    judge = _judge_of(catalogue, pinned, use, revocations, bought)
    tier = manifest.service.tier
    found = [item for wish in wishes for item in _answers(wish, catalogue, pinned, tier, judge)]
    if _some_are_denied(asked, found):
        # What is denied is refused, and a refusal names permitted neighbours: any other base may be one.
        others = [(model, ()) for model in _bases(catalogue, pinned) if (model, ()) not in wishes]
        found += [item for wish in others for item in _answers(wish, catalogue, pinned, tier, judge)]
    return Menu(
        offers=tuple(item for item in found if isinstance(item, Offer)),
        absences=tuple(item for item in found if isinstance(item, Absence)),
        words=tuple(_words(wishes, pinned)),
        sizes=tuple(_sizes(wishes, pinned)),
    )


def _judge_of(
    catalogue: Catalogue,
    pinned: Mapping[str, PinnedModel],
    use: IntendedUse,
    revocations: tuple[Revocation, ...] = (),
    bought: Mapping[str, Circumstances] | None = None,
) -> Judge:
    """The verdict on parts of a stack for a use, asked once for each set; what is revoked is denied."""

    @cache
    def verdict_on(parts: Parts, circumstances: Circumstances) -> Verdict:
        components = [pinned[repo].component.at_path(file) for repo, file in parts]
        verdict = catalogue.verdicts.judge(components, use, circumstances)
        return quarantined(verdict, [pinned[repo].pin for repo, _ in parts], revocations)

    return lambda parts, stack_id: verdict_on(parts, as_stated((bought or {}).get(stack_id, ORDINARY), use))


def _some_are_denied(asked: Iterable[Wish], found: Iterable[Offer | Absence]) -> bool:
    """Whether a wish has offers and none of them is permitted."""
    offers = [item for item in found if isinstance(item, Offer)]
    served = {(offer.model, offer.loras) for offer in offers if offer.verdict.is_permit}
    return bool({(offer.model, offer.loras) for offer in offers}.intersection(asked) - served)


def _bases(catalogue: Catalogue, pinned: Mapping[str, PinnedModel]) -> list[str]:
    """Pinned models that a method is published for."""
    return sorted({base for preset in catalogue.presets for base in preset.base} & pinned.keys())


def _answers(
    wish: Wish,
    catalogue: Catalogue,
    pinned: Mapping[str, PinnedModel],
    tier: ServiceTier,
    judge: Judge,
) -> Iterator[Offer | Absence]:
    model, loras = wish
    missing = [repo for repo in dict.fromkeys((model, *(lora.repo for lora in loras))) if repo not in pinned]
    presets = [preset for preset in catalogue.presets if model in preset.base]
    if missing:
        for repo in missing:
            absence = _absent(wish, repo, pinned)
            added = _added_for(presets, tier, pinned) if repo == model else ""
            yield replace(absence, next_step=absence.next_step + added)
        return
    if not presets:
        served = ", ".join(sorted({base for preset in catalogue.presets for base in preset.base}))
        yield Absence(
            model=model,
            loras=loras,
            detail=f"No method is known for {model}.",
            next_step=f"Methods are known for {served}; add one as a method file in the catalogue folder.",
        )
    elif (none_serves := _none_serves(wish, catalogue, presets, tier)) is not None:
        yield none_serves
    for preset in presets:
        missing_part = next((part for part in preset.parts if not _has(pinned, part)), None)
        if missing_part is not None:
            if _serves(preset, tier):  # what another tier lacks helps nobody here
                yield _incomplete(wish, preset, missing_part, pinned)
            continue
        # A method may take files from the base's own repository, which is one component all the same.
        named = tuple(dict.fromkeys((model, *(lora.repo for lora in loras))))
        files = ((part.repo, part.file) for part in preset.parts if part.repo not in named)
        parts = (*((repo, "") for repo in named), *dict.fromkeys(files))
        stack = _stack(pinned, loras, preset, model)
        yield Offer(
            model=model, loras=loras, preset=preset, stack=stack, verdict=judge(parts, stack.stack_id)
        )


def _none_serves(
    wish: Wish, catalogue: Catalogue, presets: Iterable[MethodPreset], tier: ServiceTier
) -> Absence | None:
    """Which models have a method for the tier, said where this one has none, whatever is pinned."""
    if any(_serves(preset, tier) for preset in presets):
        return None
    serving = sorted({base for preset in catalogue.presets if _serves(preset, tier) for base in preset.base})
    return Absence(
        model=wish[0],
        loras=wish[1],
        detail=f"No method of {wish[0]} is for tier {tier}.",
        next_step=f"Methods for tier {tier} are known for {', '.join(serving)}.",
    )


def _added_for(presets: Iterable[MethodPreset], tier: ServiceTier, pinned: Mapping[str, PinnedModel]) -> str:
    """What methods of a tier would add to a model that is yet to be pinned, and under which licences."""
    serving = [preset for preset in presets if _serves(preset, tier)]
    if any(not preset.repos for preset in serving):
        return ""
    added = {repo: preset.licence for preset in serving for repo in preset.repos if repo not in pinned}
    if not added:
        return ""
    told = " or ".join(f"{repo} ({licence})" for repo, licence in sorted(added.items()))
    return f" A method for tier {tier} also takes {told}."


def _serves(preset: MethodPreset, tier: ServiceTier) -> bool:
    rule = TIER_TABLE[tier]
    return rule.place(preset.rung, is_real_time_native=preset.is_real_time_native) is not None


def _has(pinned: Mapping[str, PinnedModel], part: PresetPart) -> bool:
    """Whether the very file of a part is pinned: one expert of two would draw without a word.

    What was published as a pickle is pinned as the safetensors file that it was imported to.
    """
    model = pinned.get(part.repo)
    return model is not None and any(pin.path == _pinned_as(part) for pin in model.pin.files)


def _pinned_as(part: PresetPart) -> str:
    """The path under which a part is pinned."""
    return str(PurePosixPath(part.file).with_suffix(".safetensors")) if part.is_pickle else part.file


def _incomplete(
    wish: Wish, preset: MethodPreset, part: PresetPart, pinned: Mapping[str, PinnedModel]
) -> Absence:
    if part.repo in pinned:
        detail = f"{preset.name} needs {_pinned_as(part)} of {part.repo}, which is pinned without it."
    else:
        detail = f"{preset.name} needs {part.repo}, which is not pinned."
    pin_it = f"in it with: rightstep model pin {part.repo}"
    pickled = f"{part.file} is a pickle: import it to {_pinned_as(part)}, then p{pin_it}"
    return Absence(
        model=wish[0],
        loras=wish[1],
        detail=detail,
        next_step=pickled if part.is_pickle else f"P{pin_it}",
        preset=preset.name,
    )


def _stack(
    pinned: Mapping[str, PinnedModel], loras: tuple[LoraRequest, ...], preset: MethodPreset, model: str
) -> Stack:
    """Base, then styles as asked, then what the method adds."""
    styles = [_style(pinned[lora.repo].pin, lora.scale) for lora in loras]
    added = [_added(pinned[part.repo].pin, part) for part in preset.parts]
    repos = (model, *(lora.repo for lora in loras), *preset.repos)
    return Stack(
        name=" + ".join(dict.fromkeys(map(_short, repos))),
        pipeline=preset.pipeline,
        base=pinned[model].pin,
        adapters=(*styles, *added),
        dtype=preset.dtypes[0],
        variant=preset.variant,
        component_dtypes=preset.component_dtypes,
        settings=preset.settings,
    )


def _style(pin: ModelPin, scale: float) -> AdapterPin:
    return AdapterPin(repo=pin.repo, revision=pin.revision, role=Role.LORA, files=pin.files, scale=scale)


def _added(pin: ModelPin, part: PresetPart) -> AdapterPin:
    return AdapterPin(
        repo=pin.repo,
        revision=pin.revision,
        role=part.role,
        files=pin.files,
        file=part.file,
        component=part.component,
        scale=1.0 if part.scale is None else part.scale,
        expected_tensors=part.tensors,
    )


def _absent(wish: Wish, repo: str, pinned: Mapping[str, PinnedModel]) -> Absence:
    near = difflib.get_close_matches(repo, sorted(pinned), n=3, cutoff=0.5)
    if near:
        hint = f"Did you mean {' or '.join(near)}? Otherwise pin it with: rightstep model pin {repo}"
    else:
        hint = f"Pin it with: rightstep model pin {repo}. Pinned are: {', '.join(sorted(pinned)) or 'none'}."
    return Absence(model=wish[0], loras=wish[1], detail=f"{repo} is not pinned.", next_step=hint)


def _words(
    wishes: tuple[Wish, ...], pinned: Mapping[str, PinnedModel]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A model's closed word list, with the words that its LoRAs bring along."""
    for model in dict.fromkeys(model for model, _ in wishes):
        own = pinned[model].vocabulary if model in pinned else None
        if own is None:
            continue
        asked = {
            lora.repo for wish, loras in wishes if wish == model for lora in loras if lora.repo in pinned
        }
        brought = [
            word
            for repo in sorted(asked)
            for word in (pinned[repo].vocabulary or (_short(repo).replace("-", " "),))
        ]
        yield model, tuple(dict.fromkeys((*own, *brought)))


def _sizes(
    wishes: tuple[Wish, ...], pinned: Mapping[str, PinnedModel]
) -> Iterator[tuple[str, tuple[int, int]]]:
    """What each model was trained at, where its files say."""
    for model in dict.fromkeys(model for model, _ in wishes):
        if model in pinned and (size := pinned[model].native_size) is not None:
            yield model, size


def _short(repo: str) -> str:
    return repo.rpartition("/")[2]


def standing_offers(
    catalogue: Catalogue,
    pinned: Mapping[str, PinnedModel],
    use: IntendedUse,
    bought: Mapping[str, Circumstances] | None = None,
) -> tuple[Offer, ...]:
    """Everything that what is pinned could render: each base, bare and with each LoRA made for it."""
    judge = _judge_of(catalogue, pinned, use, bought=bought)
    bases = _bases(catalogue, pinned)
    styles = [repo for repo, model in sorted(pinned.items()) if model.pin.role is Role.LORA]
    wishes: list[Wish] = [(base, ()) for base in bases]
    wishes += [
        (base, (LoraRequest(repo=repo),))
        for base in bases
        for repo in styles
        if any(edge.to == base for edge in pinned[repo].component.edges)
    ]
    return tuple(
        item
        for wish in wishes
        for item in _answers(wish, catalogue, pinned, ServiceTier.BATCH, judge)
        if isinstance(item, Offer)
    )
