"""What is in the house: models and pins, methods as they really run, licences together, what was shipped."""

from dataclasses import dataclass, replace

from flows.bootstrap import House
from flows.planning import components_of, in_context, pin_records, pinned_models, root_of
from flows.settings import Settings
from policy.errors import WrongUse
from policy.methods import MethodPreset, Plain
from policy.stacks import Role
from policy.uses import Act
from policy.verdicts import Verdict
from policy.wording import counts
from registry.database import upgrade_database
from registry.licences.case import make_case
from registry.licences.circumstances import ORDINARY, as_stated
from registry.licences.claims import LicensedComponent
from registry.licences.evaluation import findings_of, verdict_of
from registry.licences.proof import ProofNode, prove
from registry.model_registry import PinRecord
from registry.sources import ModelSource
from registry.unit_of_work import unit_of_work
from registry.verification import FileFault, verify_files


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSummary:
    """A repository in reach."""

    repo: str
    role: str
    revision: str  # 40 hex; "" where it is not pinned
    pinned: bool
    files: int
    bytes: int
    licences: tuple[str, ...]  # ids of the licence texts it carries
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCheck:
    """A pinned repository, hashed again."""

    repo: str
    revision: str
    files: int
    faults: tuple[FileFault, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodRun:
    """A preset as it will really run at a step count, read from the instantiated scheduler."""

    preset: MethodPreset
    steps: int
    at_size: tuple[int, int] | None  # width and height that the schedule holds for; None: at any
    timesteps: tuple[float, ...]
    sigmas: tuple[float, ...]
    second_sigmas: tuple[float, ...]  # of the second stage, where the method has one
    call: tuple[tuple[str, Plain], ...]  # further pipeline arguments
    guidance: tuple[tuple[str, float], ...]
    rows_per_picture: int
    forward_passes: int  # for one picture or clip; of a stream for one chunk
    clip_passes: int  # for a whole clip of the preset's own length; of a picture the same


def list_models(house: House) -> tuple[ModelSummary, ...]:
    """Every repository of every source, pinned or not."""
    pinned = pinned_models(house)
    records = pin_records(house)
    found = [
        ModelSummary(
            repo=repo,
            role=model.pin.role.value,
            revision=model.pin.revision,
            pinned=True,
            files=len(model.pin.files),
            bytes=sum(file.size for file in model.pin.files),
            licences=model.component.licence_texts,
            source=records[repo].source,
        )
        for repo, model in pinned.items()
    ]
    for source in house.sources:
        found += [_unpinned(house, source, repo) for repo in source.repositories() if repo not in pinned]
    return tuple(sorted(found, key=lambda one: one.repo))


def _unpinned(house: House, source: ModelSource, repo: str) -> ModelSummary:
    root = source.locate(repo)
    sizes = [path.stat().st_size for path in root.rglob("*") if path.is_file()]
    known = {repo for preset in house.catalogue.presets for repo in preset.repos}
    return ModelSummary(
        repo=repo,
        role=Role.DISTILL_LORA.value if repo in known else "unknown",
        revision="",
        pinned=False,
        files=len(sizes),
        bytes=sum(sizes),
        licences=(),
        source=source.name,
    )


def show_model(house: House, repo: str) -> PinRecord:
    """The newest pin of a repository with its claims and conclusions."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.models.pin_of(repo)


def verify_models(house: House, repo: str | None = None) -> tuple[ModelCheck, ...]:
    """Hash every pinned file again; of one repository, or of all."""
    records = pin_records(house)
    if repo is not None:
        records = {repo: show_model(house, repo)}
    return tuple(
        ModelCheck(
            repo=name,
            revision=record.pin.revision,
            files=len(record.pin.files),
            faults=verify_files(str(root_of(house, record)), record.pin.files),
        )
        for name, record in sorted(records.items())
    )


def method_as_run(
    house: House, name: str, steps: int | None = None, size: tuple[int, int] | None = None
) -> MethodRun:
    """Instantiate the preset's scheduler and read what it will do; a count outside the set is WrongUse.

    ``size`` is width and height, for schedules that follow it; without it they are those of the
    size that the figures were published for.
    """
    from workers.schedules import live_schedule
    from workers.shifts import Caller

    preset = house.catalogue.preset(name)
    chosen = preset.recommended_steps if steps is None else steps
    if chosen not in preset.steps:
        raise WrongUse(f"{name} does not run {chosen} steps.", f"It runs {counts(preset.steps)}.")
    published, call = preset.schedule_for(chosen), preset.call_at(chosen)
    follows = published.size if published else None
    caller = Caller(
        pipeline=preset.pipeline, settings=preset.settings, call=call, size=size or follows or preset.size
    )
    live = live_schedule(preset.scheduler, chosen, published, caller)
    second = (
        live_schedule(
            preset.scheduler,
            len(published.second_sigmas),
            replace(published, sigmas=published.second_sigmas),
            caller,
        )
        if published and published.second_sigmas
        else None
    )
    guidance = tuple((knob.name, knob.default) for knob in preset.guidance)
    knobs = dict(guidance)
    return MethodRun(
        preset=preset,
        steps=chosen,
        at_size=caller.size if follows else None,
        timesteps=live.timesteps,
        sigmas=live.sigmas,
        second_sigmas=() if second is None else second.sigmas,
        call=call,
        guidance=guidance,
        rows_per_picture=preset.rows_per_picture(knobs),
        forward_passes=preset.chunk_passes(chosen, knobs),
        clip_passes=preset.forward_passes(chosen, knobs, preset.frames),
    )


def explain_licences(
    house: House, names: tuple[str, ...], act: Act | None = None, context: str = ""
) -> tuple[Verdict, ProofNode]:
    """What parts permit together: pinned models as they are, licences as if each were all of one part's."""
    use = in_context(house, context, act or Act.SHIP_OUTPUT_COMMERCIAL)
    parts = [_part(house, name, number) for number, name in enumerate(names, 1)]
    case = make_case(parts, use, house.catalogue.terms, as_stated(ORDINARY, use))
    findings = findings_of(case)
    verdict = verdict_of(case, findings)
    return verdict, prove(case, findings, verdict)


def _part(house: House, name: str, number: int) -> LicensedComponent:
    """A licence id has no slash, a repository has one."""
    if "/" in name:
        show_model(house, name)  # UnknownName where it is not pinned
        return components_of(house, pin_records(house))[name]
    house.catalogue.terms_of(name)
    return LicensedComponent(
        repo=f"part-{number}/{name}",
        role=Role.BASE,
        revision="0" * 40,
        pinned=True,
        licence_texts=(name,),
    )


def upgrade_ledger(settings: Settings) -> str:
    """Bring the ledger to the newest schema; returns its version."""
    settings.home.mkdir(parents=True, exist_ok=True)
    return upgrade_database(settings.owner_url, settings.app_url)
