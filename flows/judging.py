"""After the last chunk: judge the pictures by their stack's own full-step figures, then close the job."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from flows.bootstrap import House
from flows.news import telling
from policy.plan import Decision
from policy.wording import plural
from registry.quality_parsing import QualityReference, StatisticBand
from registry.records import DecisionFigures, JobRecord, JobState, ShotFigures, ShotRecord
from registry.unit_of_work import UnitOfWork, unit_of_work
from workers.clip_checks import ClipSuspicion, clip_suspicion
from workers.output_checks import Band, PictureStatistics, ReferenceStatistics, SampleJudgement, judge_sample
from workers.sound_checks import SoundStatistics, SoundSuspicion, sound_suspicion

STATISTICS = ("saturation", "clipping", "contrast", "luminance")
CLIP_WORDS: dict[ClipSuspicion | SoundSuspicion, str] = {
    "black": "nothing but black",
    "flat": "one even colour",
    "frozen": "nothing moves from frame to frame",
    "flicker": "frames change as much as if they were single pictures",
    "silent": "nothing is heard",
    "clipped": "the sound is cut off where it is loud",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What the output checks say of one decision's pictures, with what they were held against."""

    decision: int
    stack: str
    pictures: int
    sample: SampleJudgement
    means: tuple[tuple[str, float], ...]
    reference: QualityReference | None
    shots: tuple[str, ...]


def judge_job(house: House, job_id: str) -> JobState:
    """Hold suspicious pictures for review, and close the job if no shot is open; returns where it stands."""
    judgements = judge_pictures(house, job_id)
    with unit_of_work(house.engine) as work:
        waived = work.ledger.header(job_id).manifest.waive_output_checks
        with telling(house, work, job_id):
            job = hold_and_close(work, job_id, () if waived else judgements, house.clock())
        work.commit()
    return job.state


def hold_and_close(
    work: UnitOfWork, job_id: str, judgements: Iterable[Judgement], now: datetime
) -> JobRecord:
    """Hold what is suspicious, and close the job if no shot is open; the job as it stands then."""
    for judgement in judgements:
        if judgement.sample.kind not in {"good", "unjudged"}:
            detail = f"{judgement.stack}: " + "; ".join(judgement.sample.reasons)
            work.ledger.hold_shots(
                job_id, judgement.shots, code=judgement.sample.kind, detail=detail, now=now
            )
    return work.ledger.close(job_id, now)


def judge_pictures(house: House, job_id: str) -> tuple[Judgement, ...]:
    """Judge the made pictures of every decision; changes nothing."""
    with unit_of_work(house.engine, read_only=True) as work:
        decisions = work.ledger.decisions(job_id)
        figures = work.ledger.figures(job_id)
    return judgements_of(house, decisions, figures)


def judgements_of(
    house: House, decisions: Sequence[Decision], figures: Iterable[DecisionFigures]
) -> tuple[Judgement, ...]:
    """The same of figures in hand."""
    return tuple(
        judgement
        for made in figures
        for judgement in (
            (_judgement(house, decisions[made.decision], made),)
            if decisions[made.decision].frames == 1
            else _clip_judgements(house, decisions[made.decision], made)
        )
    )


def figures_of(shots: Iterable[ShotRecord]) -> tuple[DecisionFigures, ...]:
    """Figures of every made shot that was measured, grouped by decision, in the order of the plan."""
    grouped: dict[tuple[int, str], list[ShotFigures]] = {}
    for shot in shots:
        if shot.artefact is not None and shot.artefact.figures is not None:
            measured = ShotFigures(ordinal=shot.ordinal, shot=shot.name, figures=shot.artefact.figures)
            grouped.setdefault((shot.decision, shot.artefact.stack_id), []).append(measured)
    return tuple(
        DecisionFigures(decision=decision, stack_id=stack_id, pictures=tuple(pictures))
        for (decision, stack_id), pictures in sorted(grouped.items(), key=lambda group: group[0][0])
    )


def _judgement(house: House, decision: Decision, made: DecisionFigures) -> Judgement:
    reference = _reference_of(house.catalogue.references, decision)
    statistics = [_statistics(shot) for shot in made.pictures]
    if reference is None or house.settings.renderer == "synthetic":
        sample = SampleJudgement(kind="unjudged", reasons=("No full-step figures are known for this stack",))
    else:
        sample = judge_sample(statistics, _statistics_of(reference))
    return _told(decision, made, made.pictures, sample, reference)


def _clip_judgements(house: House, decision: Decision, made: DecisionFigures) -> Iterator[Judgement]:
    """One judgement for each way in which clips of a decision look or sound wrong, and one for the rest."""
    found: dict[ClipSuspicion | SoundSuspicion | None, list[ShotFigures]] = defaultdict(list)
    for shot in made.pictures:
        is_drawn = house.settings.renderer == "synthetic"
        look, sound = (None, None) if is_drawn else (_look_of(shot), _sound_of(shot))
        if sound is not None:
            found[sound].append(shot)
        if look is not None or sound is None:
            found[look].append(shot)
    for kind, shots in found.items():
        if kind is None:
            sample = SampleJudgement(kind="unjudged", reasons=("No full-step figures of clips are known",))
        else:
            told = f"{len(shots)} of {plural(len(made.pictures), 'clip')}: {CLIP_WORDS[kind]}"
            sample = SampleJudgement(kind=kind, reasons=(told,))
        yield _told(decision, made, shots, sample, None)


def _look_of(shot: ShotFigures) -> ClipSuspicion | None:
    motion = shot.figures.motion
    return None if motion is None else clip_suspicion(_statistics(shot), motion)


def _sound_of(shot: ShotFigures) -> SoundSuspicion | None:
    loudness, clipping = shot.figures.loudness, shot.figures.sound_clipping
    if loudness is None or clipping is None:
        return None
    return sound_suspicion(SoundStatistics(loudness=loudness, clipping=clipping))


def _told(
    decision: Decision,
    made: DecisionFigures,
    shots: Sequence[ShotFigures],
    sample: SampleJudgement,
    reference: QualityReference | None,
) -> Judgement:
    statistics = [_statistics(shot) for shot in shots]
    return Judgement(
        decision=made.decision,
        stack=decision.offer.stack.name,
        pictures=len(statistics),
        sample=sample,
        means=tuple((name, _mean([getattr(one, name) for one in statistics])) for name in STATISTICS),
        reference=reference,
        shots=tuple(shot.shot for shot in shots),
    )


def _statistics(shot: ShotFigures) -> PictureStatistics:
    return PictureStatistics(
        saturation=shot.figures.saturation,
        clipping=shot.figures.clipping,
        contrast=shot.figures.contrast,
        luminance=shot.figures.luminance,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _reference_of(references: Sequence[QualityReference], decision: Decision) -> QualityReference | None:
    """The figures of the same base and styles; the method's own LoRA must not look different: not counted."""
    styles = tuple(sorted(lora.repo for lora in decision.offer.loras))
    for reference in references:
        if reference.base == decision.offer.model and tuple(sorted(reference.loras)) == styles:
            return reference
    return None


def _statistics_of(reference: QualityReference) -> ReferenceStatistics:
    def band(known: StatisticBand) -> Band:
        return Band(mean=known.mean, std=known.std, slack=known.slack)

    return ReferenceStatistics(
        saturation=band(reference.saturation),
        clipping=band(reference.clipping),
        contrast=band(reference.contrast),
        luminance=band(reference.luminance),
        n=reference.n,
    )
