"""A clip from its order to whoever it is shipped to, on the real renderer: one way for all of it."""

import base64
import hashlib
import io
import json
import wave
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from flows.auditing import audit_check
from flows.bootstrap import House, open_house
from flows.exporting import export_job, make_view
from flows.judging import judgements_of
from flows.pinning import pin_model
from flows.recalling import affected
from flows.reports.contact_sheet import make_groups
from flows.settings import Settings
from flows.shipment import ship_job
from policy.clips import VideoKind
from policy.errors import Refused, WrongUse
from registry.evidence.credentials import read_credentials
from registry.evidence.disclosure import says_machine_made
from registry.records import JobRecord, JobState, ShotRecord
from registry.shipment_records import ShipmentRecord
from registry.unit_of_work import unit_of_work
from tests.integration.flows.near import render_near
from tests.integration.workers.clip_families import LIGHTNING, LTX2, MADE_FOR, SD, lightning_file
from tests.tiny_hub import clip_models, ltx2, unets
from tests.tiny_hub.planning import put_papers
from workers.clip_files import decoded_frames, middle_frame
from workers.marking import read_marking

FRAMES, FPS = 16, 8
ORDER = """name = "clips"
tier = "interactive"
territories = ["WORLD"]
recipients = ["editor@studio.example"]
{head}

[defaults]
model = "stable-diffusion-v1-5/stable-diffusion-v1-5"
method = "animatediff-lightning-1step"
frames = 16
{shared}

[[shots]]
name = "fox"
prompt = "a fox runs"
seed = 1

[[shots]]
name = "boat"
prompt = "a boat leaves"
seed = 2
"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Stable Diffusion 1.5 whose frames differ a little, and its motion adapters."""
    root = tmp_path_factory.mktemp("hub")
    write_models(root, "decoder.conv_out.weight", 0.3)
    return root


def write_models(root: Path, tensor: str, scale: float) -> None:
    """The shelf, with one tensor of the autoencoder scaled."""
    unets.write_sd(root / SD)
    weights = root / SD / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors[tensor] *= scale
    save_file(tensors, weights, metadata={"format": "pt"})
    clip_models.write_motion_files(root / LIGHTNING, lightning_file(1))
    put_papers(root, MADE_FOR)


@pytest.fixture
def house(shelf: Path, tmp_path: Path) -> House:
    return house_on(shelf, tmp_path)


def house_on(shelf: Path, folder: Path) -> House:
    settings = Settings(
        home=folder / "home", model_folders=(shelf,), renderer="diffusers", workers=1, actor="tester"
    )
    house = open_house(settings)
    for repo in (SD, LIGHTNING):
        pin_model(house, repo)
    return house


def rendered(house: House, folder: Path, head: str = "", shared: str = "") -> JobRecord:
    path = folder / "clips.toml"
    path.write_text(ORDER.format(head=head, shared=shared))
    return render_near(house, path)


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def shots_of(house: House, job: JobRecord) -> tuple[ShotRecord, ...]:
    with unit_of_work(house.engine, read_only=True) as work:
        return work.ledger.shots(job.job_id)


def test_a_clip_goes_from_its_order_to_a_shipped_and_recallable_file(house: House, tmp_path: Path):
    job = rendered(house, tmp_path)
    assert job.state is JobState.FINISHED
    fox, _ = shots_of(house, job)
    assert fox.artefact is not None
    assert (fox.frames, fox.artefact.media_type) == (FRAMES, "image/webp")
    kept = house.store.path_of(fox.artefact.sha256)
    assert kept.suffix == ".webp"
    frames, times = decoded_frames(kept.read_bytes())
    assert frames.shape == (FRAMES, 64, 64, 3)
    assert times == [1000 // FPS] * FRAMES
    assert read_marking(kept).shot_key == fox.shot_key
    assert fox.artefact.provenance_sha256 is not None
    statement = json.loads(house.store.path_of(fox.artefact.provenance_sha256).read_bytes())
    assert statement["subject"][0]["name"] == kept.name
    external = statement["predicate"]["buildDefinition"]["externalParameters"]
    assert (external["frames"], float(external["fps"])) == (FRAMES, FPS)

    exported = export_job(house, job.job_id, tmp_path / "out")
    assert exported.pictures == 2
    assert (tmp_path / "out" / "fox.webp").read_bytes() == kept.read_bytes()
    poster = tmp_path / "out" / "fox.png"
    with Image.open(poster) as picture:
        assert np.array_equal(np.asarray(picture), middle_frame(kept.read_bytes()))
    assert read_marking(poster).shot_key == fox.shot_key

    shipment = ship_job(house, job.job_id)
    (item,) = [item for item in shipment.items if item.shot == "fox"]
    shipped = house.settings.shipments / shipment.shipment_id / "files" / "fox.webp"
    assert item.media_type == "image/webp"
    assert np.array_equal(decoded_frames(shipped.read_bytes())[0], frames), "signing leaves the frames alone"
    assert [file.shot for file in affected(house, fox.artefact.sha256).files] == ["fox"]


def test_the_pages_show_a_clip_that_moves(house: House, tmp_path: Path):
    job = rendered(house, tmp_path, shared="width = 192\nheight = 192")
    view, _ = make_view(house, job.job_id)
    cards = [card for group in make_groups(view, 10) for card in group.cards]
    assert [card.file for card in cards] == ["fox.webp", "boat.webp"]
    for card in cards:
        assert card.thumbnail is not None
        head, _, body = card.thumbnail.uri.partition(",")
        assert head == "data:image/webp;base64"
        with Image.open(io.BytesIO(base64.b64decode(body))) as shown:
            assert (shown.n_frames, shown.size) == (FRAMES, (192, 192))


def test_the_same_frames_at_another_rate_are_another_file_and_a_picture_has_no_rate(
    house: House, tmp_path: Path
):
    slow, _ = shots_of(house, rendered(house, tmp_path))
    same, _ = shots_of(house, rendered(house, tmp_path, shared="fps = 8"))
    fast, _ = shots_of(house, rendered(house, tmp_path, shared="fps = 24"))
    assert same.shot_key == slow.shot_key != fast.shot_key
    assert slow.artefact is not None
    assert fast.artefact is not None
    frames, times = decoded_frames(house.store.path_of(fast.artefact.sha256).read_bytes())
    assert (times[:3], sum(times)) == ([42, 41, 42], 667)
    assert np.array_equal(frames, decoded_frames(house.store.path_of(slow.artefact.sha256).read_bytes())[0])


@pytest.mark.parametrize(
    ("tensor", "scale", "code"),
    [
        ("post_quant_conv.weight", 0.0, "frozen"),  # whatever was drawn, the same is decoded
        ("decoder.conv_out.weight", 1.0, "flicker"),  # random weights draw noise
    ],
)
def test_a_clip_that_stands_still_or_jumps_is_held_for_a_look(
    tmp_path: Path, tensor: str, scale: float, code: str
):
    write_models(tmp_path / "hub", tensor, scale)
    house = house_on(tmp_path / "hub", tmp_path)
    job = rendered(house, tmp_path)
    with unit_of_work(house.engine, read_only=True) as work:
        holds = work.ledger.holds(job.job_id)
    assert {hold.code for hold in holds} == {code}
    assert {hold.shot for hold in holds} == {"fox", "boat"}
    with pytest.raises(Refused, match="2 of 2 clips"):
        ship_job(house, job.job_id)


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> tuple[House, JobRecord]:
    """LTX-2 in the precision it ships with: two stages, and what is heard beside what is seen."""
    tmp_path = tmp_path_factory.mktemp("heard")
    ltx2.write_ltx2(tmp_path / "hub" / LTX2)
    put_papers(tmp_path / "hub", {})
    house = open_house(
        Settings(home=tmp_path / "home", model_folders=(tmp_path / "hub",), workers=1, actor="tester")
    )
    pin_model(house, LTX2)
    order = tmp_path / "heard.toml"
    order.write_text(
        'territories = ["WORLD"]\nwaive_output_checks = true\n[[shots]]\nname = "bell"\nprompt = "a bell rings"\n'
        f'model = "{LTX2}"\nmethod = "ltx-2-distilled"\nframes = 9\n'
    )
    job = render_near(house, order)
    assert job.state is JobState.FINISHED, [shot.detail for shot in shots_of(house, job)]
    return house, job


def shipped_files(house: House, shipment: ShipmentRecord) -> dict[str, bytes]:
    folder = house.settings.shipments / shipment.shipment_id / "files"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_clip_with_sound_is_handed_out_with_it(heard: tuple[House, JobRecord], tmp_path: Path):
    house, job = heard
    export_job(house, job.job_id, tmp_path / "out", videos=tuple(VideoKind))
    for kind in VideoKind:
        with av.open(str(tmp_path / "out" / f"bell{kind.suffix}")) as played:
            assert {stream.type for stream in played.streams} == {"video", "audio"}
            assert (played.streams.video[0].average_rate, len(list(played.decode(video=0)))) == (24, 9)
    assert sum(decoded_frames((tmp_path / "out" / "bell.webp").read_bytes())[1]) == 375
    with wave.open(str(tmp_path / "out" / "bell.wav")) as sound:
        assert (sound.getnchannels(), sound.getframerate()) == (2, 24000)
        assert sound.getnframes() / sound.getframerate() == pytest.approx(0.375, abs=0.05)


def test_sound_and_videos_leave_on_record_signed_and_found_by_a_recall(heard: tuple[House, JobRecord]):
    house, job = heard
    (bell,) = shots_of(house, job)
    assert bell.artefact is not None
    clip, sound = bell.artefact.sha256, bell.artefact.sound_sha256
    shipment = ship_job(house, job.job_id, videos=tuple(VideoKind))
    assert [(item.shot, item.media_type, item.artefact_sha256) for item in shipment.items] == [
        ("bell", "image/webp", clip),
        ("bell", "audio/wav", sound),
        ("bell", "video/mp4", clip),
        ("bell", "video/webm", clip),
    ]
    files = shipped_files(house, shipment)
    left = {item.media_type: item.shipped_sha256 for item in shipment.items}
    assert {name: sha256(body) for name, body in files.items()} == {
        "bell.webp": left["image/webp"],
        "bell.wav": left["audio/wav"],
        "bell.mp4": left["video/mp4"],
        "bell.webm": left["video/webm"],
    }
    anchor = (house.settings.keys / "credentials-root.pem").read_bytes()
    for name, kind, made_of in (("bell.mp4", "video/mp4", clip), ("bell.wav", "audio/wav", sound)):
        found = read_credentials(files[name], kind, anchor)
        assert found is not None
        assert (found.state, found.made_with["artefact_sha256"]) == ("Trusted", made_of)
    with av.open(io.BytesIO(files["bell.mp4"])) as played:
        assert len(list(played.decode(video=0))) == 9, "signing leaves the frames where they are"
    assert all(says_machine_made(body) for body in files.values())
    for needle in left.values():
        assert [one.shipped_sha256 for one in affected(house, needle).files] == [needle]
    assert len(affected(house, clip).files) == 3, "a copy is found by what it was made from"
    assert len(affected(house, bell.artefact.stack_id).files) == 4
    assert audit_check(house).ok


@pytest.mark.parametrize(
    ("loudness", "clipping", "kinds"),
    [(0.1, 0.0, set()), (0.0, 0.0, {"silent"}), (0.9, 0.5, {"clipped"})],
)
def test_a_clip_in_which_nothing_is_heard_is_held_for_a_look(
    heard: tuple[House, JobRecord], loudness: float, clipping: float, kinds: set[str]
):
    """Whatever it looks like, which is told apart from how it sounds."""
    house, job = heard
    with unit_of_work(house.engine, read_only=True) as work:
        decisions = work.ledger.decisions(job.job_id)
        (made,) = work.ledger.figures(job.job_id)
    (measured,) = made.pictures
    assert measured.figures.loudness is not None
    assert measured.figures.sound_clipping is not None
    figures = replace(measured.figures, motion=0.05, loudness=loudness, sound_clipping=clipping)
    told = replace(made, pictures=(replace(measured, figures=figures),))
    found = {judgement.sample.kind for judgement in judgements_of(house, decisions, [told])}
    assert found == (kinds or {"unjudged"})
    still = replace(made, pictures=(replace(measured, figures=replace(figures, motion=0.0)),))
    found = {judgement.sample.kind for judgement in judgements_of(house, decisions, [still])}
    assert found == {"frozen", *kinds}


def test_a_sound_that_was_changed_or_lost_ships_no_more(heard: tuple[House, JobRecord]):
    house, job = heard
    (bell,) = shots_of(house, job)
    assert bell.artefact is not None
    assert bell.artefact.sound_sha256 is not None
    path = house.store.path_of(bell.artefact.sound_sha256)
    body = path.read_bytes()
    try:
        path.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
        with pytest.raises(Refused, match=r"\"bell \(sound\)\" changed since the render"):
            ship_job(house, job.job_id, videos=(VideoKind.MP4,))
        path.unlink()
        with pytest.raises(Refused, match=r"\"bell \(sound\)\" missing from the artefact store"):
            ship_job(house, job.job_id)
    finally:
        path.write_bytes(body)


def test_a_video_that_cannot_be_signed_is_refused_where_credentials_are_required(
    heard: tuple[House, JobRecord],
):
    house, job = heard
    strict = replace(house, settings=house.settings.model_copy(update={"credentials": "required"}))
    with pytest.raises(WrongUse, match=r"bell\.webm cannot carry content credentials"):
        ship_job(strict, job.job_id, videos=(VideoKind.WEBM,))
    assert len(ship_job(strict, job.job_id, videos=(VideoKind.MP4,)).items) == 3
