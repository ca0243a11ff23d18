"""``rightstep method``: the ways to sample that are known, and how each would really run."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from policy.clips import Recache
from policy.errors import WrongUse
from policy.methods import CacheSpec, MethodPreset, PresetPart
from policy.wording import counts, number, plural, thing
from rightstep.cli.door import enter_house, read_settings
from rightstep.cli.options import AsJson
from rightstep.cli.output import print_json, print_pairs, print_table
from rightstep.cli.shapes import MethodShown, MethodSummary

if TYPE_CHECKING:
    from flows.stocktaking import MethodRun

app = typer.Typer(no_args_is_help=True, help="The ways to sample that are known, and how each really runs.")


@app.command("list")
def list_methods(
    *,
    family: Annotated[
        str | None, typer.Option("--family", help="Only one family, such as hyper-sd.", show_default=False)
    ] = None,
    modality: Annotated[
        str | None, typer.Option("--modality", help="Only image, video or live.", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--base", help="Only methods for bases whose name holds this, such as FLUX.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the method presets by family: the steps each allows, what it adds, its licence."""
    from registry.catalogue import load_catalogue

    every = load_catalogue(read_settings().catalogue).presets
    _require_known("family", family, {preset.family for preset in every})
    _require_known("modality", modality, {preset.modality for preset in every})
    presets = [
        preset
        for preset in every
        if family in {None, preset.family}
        and modality in {None, preset.modality}
        and (model is None or any(model.lower() in base.lower() for base in preset.base))
    ]
    if as_json:
        print_json([summary_of(preset) for preset in presets])
        return
    print_table(
        ("method", "steps", "adds", "licence", "unverified"),
        by_family(presets),
        right=(4,),
        empty="No method is like that. All of them: rightstep method list",
    )


def by_family(presets: Iterable[MethodPreset]) -> Iterator[tuple[str, ...]]:
    """Rows of a table: a line for each family and modality, then its presets, fewest steps first."""
    shelves: dict[tuple[str, str], list[MethodPreset]] = {}
    for preset in presets:
        shelves.setdefault((preset.family, preset.modality), []).append(preset)
    for (family, modality), found in sorted(shelves.items()):
        yield f"{family} ({modality})", "", "", "", ""
        for preset in sorted(found, key=lambda one: (one.steps, one.name)):
            open_facts = sum(not fact.verified for fact in preset.facts)
            yield (
                f"  {preset.name}",
                counts(preset.steps),
                adds(preset),
                preset.licence,
                f"{open_facts} of {len(preset.facts)} facts" if open_facts else "",
            )


def _require_known(what: str, told: str | None, known: set[str]) -> None:
    if told is not None and told not in known:
        raise WrongUse(f"There is no {what} {told}.", f"There are: {', '.join(sorted(known))}.")


def adds(preset: MethodPreset) -> str:
    """The repositories that a method adds to its base."""
    return ", ".join(preset.repos) or "nothing"


def described(part: PresetPart) -> str:
    """One file that a method adds, where it goes, and how strongly."""
    scale = "" if part.scale is None else f" at {number(part.scale)}"
    origin = ", published as a pickle: import it first" if part.is_pickle else ""
    return f"{part.file} ({part.role.value} of {part.component}{scale}{origin})"


def cached(cache: CacheSpec) -> str:
    """The hook that a method runs under, and its settings."""
    settings = ", ".join(f"{name} = {value}" for name, value in cache.config)
    return f"{cache.class_name} on {cache.component}" + (f" ({settings})" if settings else "")


def passes(run: "MethodRun") -> str:
    """What one picture, clip or chunk takes."""
    preset = run.preset
    if preset.rollout is None:
        return f"{run.forward_passes} a {thing(preset.frames)}"
    return f"{run.forward_passes} a chunk, {run.clip_passes} for a clip of {preset.frames} frames"


READ_ANEW = {
    Recache.NEVER: "",
    Recache.ON_SWITCH: "; read anew when the prompt changes",
    Recache.EVERY_CHUNK: "; read anew before every chunk",
}


def streamed(preset: MethodPreset) -> list[tuple[str, str]]:
    """How a causal method streams, and whether another keeps up without."""
    rollout = preset.rollout
    if rollout is None:
        return [("live", "real-time native: keeps up without streaming")] * preset.is_real_time_native
    window = (
        "all before it" if rollout.window is None else f"{plural(rollout.window, 'latent frame')} at most"
    )
    sink = f", the first {rollout.sink} always" if rollout.sink else ""
    sink += ", older ones in larger patches" * rollout.older_are_coarse
    filled = f"; {plural(rollout.cache_passes, 'pass')} a chunk to fill the cache" * (
        rollout.cache_passes > 0
    )
    latents = plural(rollout.latent_frames, "latent frame")
    first = f"the first {rollout.first_chunk_frames}, trained at {rollout.frame_rate} a second"
    found = [
        ("chunk", f"{plural(rollout.chunk_frames, 'frame')} ({latents}), {first}"),
        ("looks back", f"{window}{sink}{filled}{READ_ANEW[rollout.recache]}"),
    ]
    if rollout.cache_bytes is not None:
        found.append(("cache", f"{rollout.cache_bytes / 1e9:.1f} GB of keys and values when full"))
    return found


def clips(preset: MethodPreset) -> list[tuple[str, str]]:
    """Which lengths and sizes it makes; nothing for pictures."""
    if preset.clip is None:
        return []
    return [("makes", f"{preset.clip.lengths()}, {preset.clip.sizes()}")]


def summary_of(preset: MethodPreset) -> MethodSummary:
    """A preset as a list has it."""
    return MethodSummary(
        name=preset.name,
        family=preset.family,
        modality=preset.modality,
        repo=next(iter(preset.repos), None),
        files=tuple(part.file for part in preset.parts),
        steps=preset.steps,
        base=preset.base,
        licence=preset.licence,
    )


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="METHOD", help="A name from `rightstep method list`.")],
    *,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=1, help="A step count that the method allows; its own default otherwise."
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="WxH",
            help="A size such as 1024x768, for schedules that follow it; the published one otherwise.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a method as it will really run: timesteps read from the live scheduler, guidance, passes."""
    from flows.steps import method_as_run

    run = method_as_run(enter_house(), name, steps, size_of(size))
    preset = run.preset
    if as_json:
        print_json(shown(run))
        return
    print_pairs(
        [
            ("method", f"{preset.name}, version {preset.version}"),
            ("family", f"{preset.family}, {preset.rung.value}, {preset.modality}"),
            ("adds", adds(preset)),
            *(("file", described(part)) for part in preset.parts),
            ("for", ", ".join(preset.base)),
            ("steps", f"{run.steps} of {counts(preset.steps)}"),
            ("scheduler", preset.scheduler.class_name),
            *([] if run.at_size is None else [("at size", "{} x {}".format(*run.at_size))]),
            ("timesteps", figures(run.timesteps)),
            ("sigmas", figures(run.sigmas) or "none"),
            *([("second stage", figures(run.second_sigmas))] if run.second_sigmas else []),
            *(("argument", f"{name} = {value}") for name, value in (*preset.settings, *run.call)),
            *([] if preset.cache is None else [("cache", cached(preset.cache))]),
            ("guidance", ", ".join(f"{knob} {number(value)}" for knob, value in run.guidance) or "none"),
            ("passes", passes(run)),
            *streamed(preset),
            *clips(preset),
            ("licence", preset.licence),
            *(
                ("fact" if fact.verified else "UNVERIFIED", f"{fact.claim} ({fact.source})")
                for fact in sorted(preset.facts, key=lambda fact: not fact.verified)
            ),
        ]
    )


def figures(values: Iterable[float]) -> str:
    """Timesteps or noise levels, to the fourth decimal."""
    return ", ".join(number(round(value, 4)) for value in values)


def size_of(told: str | None) -> tuple[int, int] | None:
    """Width and height of "1024x768"; WrongUse for anything else."""
    if told is None:
        return None
    width, cross, height = told.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise WrongUse(f"{told} is not a size.", "Give width and height in pixels, such as 1024x768.")
    return int(width), int(height)


def shown(run: "MethodRun") -> MethodShown:
    """A preset as it runs, as data."""
    preset = run.preset
    return MethodShown(
        name=preset.name,
        version=preset.version,
        family=preset.family,
        rung=preset.rung.value,
        modality=preset.modality,
        pipeline=preset.pipeline,
        engine=preset.engine.value,
        parts=preset.parts,
        base=preset.base,
        variant=preset.variant,
        settings=dict(preset.settings),
        call=dict(run.call),
        size=preset.size,
        frames=preset.frames,
        dtypes=preset.dtypes,
        component_dtypes=dict(preset.component_dtypes),
        licence=preset.licence,
        allowed_steps=preset.steps,
        steps=run.steps,
        at_size=run.at_size,
        scheduler=preset.scheduler.class_name,
        scheduler_config=dict(preset.scheduler.config),
        timesteps=run.timesteps,
        sigmas=run.sigmas,
        second_sigmas=run.second_sigmas,
        guidance=dict(run.guidance),
        rows_per_picture=run.rows_per_picture,
        forward_passes=run.forward_passes,
        clip_passes=run.clip_passes,
        clip=preset.clip,
        rollout=preset.rollout,
        real_time_native=preset.is_real_time_native,
        fuse=preset.fuse,
        cache=preset.cache,
        negative_prompt_is_inert=preset.negative_prompt_is_inert,
        quality=preset.quality,
        facts=preset.facts,
    )
