"""A job for people: its pictures under their own names, a contact sheet, a morning report, the notices."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from flows.bootstrap import House
from flows.file_names import distinct_names
from flows.films import film_of, kept_bytes
from flows.judging import Judgement, figures_of, judgements_of
from flows.reports.contact_sheet import write_contact_sheet
from flows.reports.job_view import Figure, JobView, LookJudgement, ShipmentView
from flows.reports.morning_report import write_morning_report
from flows.reports.predictions import Prediction, make_prediction
from flows.shipping import Goods, gather, stack_verdict
from policy.clips import VideoKind
from policy.errors import StorageFault, UnknownName
from policy.plan import Decision
from policy.tasks import TakeState
from policy.verdicts import all_of
from registry.quality_parsing import QualityReference
from registry.records import ShotRecord
from registry.unit_of_work import unit_of_work
from workers.clip_files import middle_frame
from workers.marking import marked_png
from workers.video_files import write_video

FRAME_ROOM = 3.0  # standard errors that the mean of a sample may lie off, as the output checks have it


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What was written for people."""

    out: Path
    pictures: int
    contact_sheet: Path
    report: Path
    notices: Path | None
    prediction: Prediction


def export_job(house: House, job_id: str, out: Path, *, videos: Sequence[VideoKind] = ()) -> Exported:
    """Write ``SHOT.png``, contact sheet, report and, once shipped, ``NOTICES.txt`` into a folder.

    Of a clip it is ``SHOT.webp``, the picture its middle frame, and ``SHOT.wav`` its sound if it has one.
    Of each of ``videos`` there is a copy of both, ``SHOT.mp4`` or ``SHOT.webm``, which needs the extra video.
    What was removed from the store on purpose is left out, and the sheet says why; bytes that were lost are
    UnknownName.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        view, notices = make_view(house, job_id)
        for shot in view.shots:
            if shot.artefact is not None and shot.name in view.files and shot.name not in view.unkept:
                target = out / view.files[shot.name]
                _copy(kept_bytes(house, shot.name, shot.artefact.sha256), target)
                if shot.frames > 1:
                    _write_beside(house, shot, view.plan.decisions[shot.decision], target, videos)
        if notices:
            _write(out / "NOTICES.txt", notices)
        return Exported(
            out=out,
            pictures=len(view.files.keys() - view.unkept.keys()),
            contact_sheet=write_contact_sheet(view, out / "contact-sheet.html"),
            report=write_morning_report(view, out / "report.html"),
            notices=out / "NOTICES.txt" if notices else None,
            prediction=make_prediction(view),
        )
    except OSError as error:
        raise StorageFault(
            f"The job cannot be written to {out}: {error.strerror or error}.",
            "Choose another --out, or make room.",
        ) from error


def make_view(house: House, job_id: str) -> tuple[JobView, str]:
    """A job as its pages show it, and the notices of its latest shipment ("" before the first)."""
    goods = gather(house, job_id)
    job = goods.job
    with unit_of_work(house.engine, read_only=True) as work:
        failed, finished = work.ledger.failed_takes(job.job_id), work.ledger.finish_times(job.job_id)
        shipments = work.shipments.shipments_of(job.job_id)
        notices = work.shipments.notices(shipments[-1].notices_sha256) if shipments else ""
        loads = work.ledger.load_seconds(job.job_id)
        devices = work.ledger.device_work(job.job_id)
        rounds = work.ledger.rounds(job.job_id)
        batches = work.ledger.settled_batches(job.job_id)
    judged = judgements_of(house, goods.header.decisions, figures_of(goods.shots))
    fleet = house.settings.fleet
    view = JobView(
        job=job,
        plan=goods.header,
        shots=goods.shots,
        verdict=all_of(stack_verdict(house, goods, stack) for stack, _ in goods.stacks.values()),
        made_at=house.clock(),
        read_picture=_reader(house),
        failed_takes=failed,
        loaded=goods.attested,
        looks=_looks(judged, waived=goods.header.manifest.waive_output_checks),
        holds=goods.holds,
        shipments=tuple(
            ShipmentView(
                shipment_id=one.shipment_id,
                shipped_at=one.shipped_at,
                actor=one.actor,
                recipients=one.recipients,
                items=len(one.items),
                notices_sha256=one.notices_sha256,
            )
            for one in shipments
        ),
        files=distinct_names(goods.shots),
        unkept=_unkept(house, goods),
        settled_at=finished,
        rounds=rounds,
        batches=batches,
        device_seconds=sum(shot.seconds or 0.0 for shot in goods.shots if shot.state is TakeState.DONE),
        load_seconds=loads,
        workers=fleet.workers,
        devices=devices,
        prices={group.device: group.price_per_device_hour for group in fleet.groups}
        if len(fleet.groups) > 1
        else {},
        price_per_device_hour=house.settings.price_per_device_hour,
        currency=house.settings.currency,
        version=version("rightstep"),
    )
    return view, notices


def _unkept(house: House, goods: Goods) -> dict[str, str]:
    """Why the bytes of a shot are not in the store, by its name, where somebody removed them on purpose."""
    return {
        shot.name: goods.unkept[shot.artefact.sha256].told
        for shot in goods.shots
        if shot.artefact is not None
        and shot.artefact.sha256 in goods.unkept
        and not house.store.has(shot.artefact.sha256)
    }


def _reader(house: House) -> Callable[[str], bytes | None]:
    def read(sha256: str) -> bytes | None:
        try:
            return house.store.path_of(sha256).read_bytes()
        except (OSError, UnknownName):  # gone since, or taken out on purpose
            return None

    return read


def _looks(judgements: tuple[Judgement, ...], *, waived: bool) -> tuple[LookJudgement, ...]:
    return tuple(
        LookJudgement(
            decision=one.decision,
            kind=one.sample.kind,
            pictures=one.pictures,
            reasons=one.sample.reasons,
            figures=_figures(one.means, one.reference, one.pictures) if one.reference else (),
            waived=waived and one.sample.kind not in {"good", "unjudged"},
        )
        for one in judgements
    )


def _figures(
    means: tuple[tuple[str, float], ...], reference: QualityReference, pictures: int
) -> tuple[Figure, ...]:
    found = []
    for name, measured in means:
        band = getattr(reference, name)
        room = band.slack + FRAME_ROOM * band.std / max(pictures, 1) ** 0.5
        low, high = max(0.0, band.mean - room), min(1.0, band.mean + room)
        found.append(Figure(name=name, measured=measured, low=low, high=high))
    return tuple(found)


def _copy(source: Path, target: Path) -> None:
    """Copy in one step: whoever looks into the folder never finds half a picture."""
    fresh = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, fresh)
    fresh.replace(target)


def _write_beside(
    house: House, shot: ShotRecord, decision: Decision, clip: Path, videos: Sequence[VideoKind]
) -> None:
    """What goes with a clip: its middle frame for whatever shows no clips, its sound, copies for players."""
    film = film_of(house, shot, decision, clip)
    _write_bytes(clip.with_suffix(".png"), marked_png(middle_frame(film.clip), film.marking))
    if film.sound is not None:
        _write_bytes(clip.with_suffix(".wav"), film.sound)
    for kind in videos:
        write_video(clip.with_suffix(kind.suffix), kind, film)


def _write_bytes(target: Path, content: bytes) -> None:
    fresh = target.with_name(f".{target.name}.part")
    fresh.write_bytes(content)
    fresh.replace(target)


def _write(target: Path, text: str) -> None:
    _write_bytes(target, text.encode())
