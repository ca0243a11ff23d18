"""Every clip method that renders, from pinned files to frames, equals the code of its card bit for bit."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from policy.errors import RenderFault
from policy.methods import MethodPreset, SchedulerSpec
from policy.plan import PlanRefusal
from tests.integration.workers.clip_families import (
    A14B,
    BUILT_IN_MOTION,
    FAMILIES,
    HIGH,
    LIGHTNING,
    LOW,
    MADE_FOR,
    SEKO,
    STANDS_FOR,
    WAN_FRAMES,
    ltx_distilled,
    shipped,
    wan_lightning,
    write_shelf,
)
from tests.integration.workers.test_image_families import changed, likeness, with_file_at
from tests.tiny_hub.planning import SIZE, catalogue_of, plan_on, put_papers, task_on
from tests.unit.registry.licensing import catalogue
from workers.renderer import Rendered, RenderOptions, make_renderer

BY_NAME = {family.name: family for family in FAMILIES}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hub")
    write_shelf(root)
    put_papers(root, MADE_FOR)
    return root


@pytest.fixture(scope="module")
def made(shelf):
    """What our renderer makes of each method, once."""
    found: dict[str, Rendered] = {}

    def result(name: str) -> Rendered:
        if name not in found:
            found[name] = rendered(task_of(shelf, name))
        return found[name]

    return result


def task_of(shelf: Path, name: str, **changes):
    family = BY_NAME[name]
    preset = replace(family.preset, **changes)
    return task_on(shelf, catalogue_of(preset), preset.base[0], family.steps, name, frames=family.frames)


def rendered(task, on_step=lambda _step: None):
    renderer = make_renderer(RenderOptions(threads=1))
    renderer.load(task.load)
    return renderer.render(task, on_step)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_clip_method_equals_the_code_of_its_card_bit_for_bit(shelf, made, name):
    family = BY_NAME[name]
    expected = family.plain(shelf)
    result = made(name)
    assert expected.shape == (2, family.frames, SIZE, SIZE, 3)
    assert np.isfinite(expected).all()
    assert np.abs(np.diff(expected, axis=1)).mean() > 0
    assert np.array_equal(result.pictures, expected)
    assert len(result.timesteps) == family.preset.steps_run(family.steps)


# --- two experts -------------------------------------------------------------------------------

TWO = "wan2.2-lightning-t2v-v1.1"


def test_each_expert_takes_its_own_lora_and_both_are_fused(shelf, made):
    """By itself diffusers fuses the first expert alone, and swapped files load without a word."""
    ours = made(TWO).pictures
    first_alone = wan_lightning(shelf, fused=("transformer",))
    swapped = wan_lightning(shelf, high=LOW, low=HIGH)
    for other in (first_alone, swapped):
        assert not np.array_equal(ours, other)


def test_a_lora_for_one_expert_alone_is_refused_by_the_plan(shelf, tmp_path):
    root = tmp_path / "hub"
    shutil.copytree(shelf / A14B, root / A14B)
    (root / SEKO / HIGH).parent.mkdir(parents=True)
    shutil.copyfile(shelf / SEKO / HIGH, root / SEKO / HIGH)
    put_papers(root, MADE_FOR)
    refusal, _ = plan_on(root, catalogue_of(shipped(TWO)), A14B, 4, TWO, frames=WAN_FRAMES)
    assert isinstance(refusal, PlanRefusal)
    assert any(LOW in reason.detail for reason in refusal.reasons), refusal.reasons


def test_guidance_doubles_the_rows_and_distilled_methods_run_without_it(made):
    """AnimateDiff doubles its batch and Wan runs twice; both count as two rows a clip."""
    rows = {name: made(name).rows for name in BY_NAME}
    guided = {name for name in BY_NAME if name.endswith("-full")}
    assert rows == {name: 4 if name in guided else 2 for name in BY_NAME}


def test_a_clip_stops_at_the_step_boundary_at_which_it_is_told_to(shelf):
    class Stop(Exception):
        pass

    told: list[int] = []

    def stop(step) -> None:
        told.append(step.done)
        assert step.preview() is None
        if step.done == 2:
            raise Stop

    with pytest.raises(Stop):
        rendered(task_of(shelf, TWO), stop)
    assert told == [1, 2]


def test_the_stock_grid_is_refused_before_the_first_pass(shelf):
    """Its last of four steps would stand at t = 24, where nothing is left to do."""
    task = task_of(shelf, TWO)
    stock = SchedulerSpec(class_name="FlowMatchEulerDiscreteScheduler", config=(("shift", 5.0),))
    with pytest.raises(RenderFault, match=r"909\.7.*published for 1000, 937\.5"):
        rendered(replace(task, scheduler=stock))


# --- motion adapters ---------------------------------------------------------------------------


def test_a_motion_adapter_that_does_not_fit_to_the_last_tensor_is_refused(shelf, tmp_path):
    file = "animatediff_lightning_4step_diffusers.safetensors"
    key = "mid_block.motion_modules.0.proj_in.weight"
    task = task_of(shelf, "animatediff-lightning-4step")
    for change, told in (
        (lambda tensors: tensors.pop(key), f"1 missing .{key}"),
        (lambda tensors: tensors.update(stray=tensors[key].clone()), "1 unexpected .stray"),
    ):
        root = changed(shelf, LIGHTNING, file, tmp_path, change)
        with pytest.raises(RenderFault, match=told):
            rendered(with_file_at(task, LIGHTNING, root))


def test_a_picture_pipeline_makes_no_clip(shelf):
    task = task_of(shelf, "animatediff-lightning-1step")
    stack = replace(task.load.stack, pipeline="StableDiffusionPipeline", adapters=())
    task = replace(task, load=replace(task.load, stack=stack, parts=task.load.parts[:1]))
    with pytest.raises(RenderFault, match="makes pictures, not clips of 16 frames"):
        rendered(task)


# --- LTX-2 -------------------------------------------------------------------------------------

LTX = "ltx-2-distilled"


def test_sound_is_carried_through_both_stages_and_kept(shelf, made):
    _, expected = ltx_distilled(shelf)
    sound = made(LTX).sound
    assert sound is not None
    assert np.array_equal(sound.samples, expected.numpy())
    assert (sound.samples.shape[:2], sound.rate) == ((2, 2), 24000)
    assert made(LTX).timesteps == pytest.approx(
        (1000, 993.75, 987.5, 981.25, 975, 909.375, 725, 421.875, 909.375, 725, 421.875)
    )


def test_steps_of_both_stages_are_told_in_a_row_and_each_can_be_the_last(shelf):
    class Stop(Exception):
        pass

    told: list[int] = []

    def stop(step) -> None:
        told.append(step.done)
        if step.done == 9:
            raise Stop

    with pytest.raises(Stop):
        rendered(task_of(shelf, LTX), stop)
    assert told == list(range(1, 10))


def test_one_knob_left_at_its_default_draws_other_frames_at_more_rows(shelf, made):
    """The guidance of the sound stands at 7 where nobody says otherwise; that alone doubles every pass."""
    task = task_of(shelf, LTX)
    guidance = tuple(
        (name, 7.0 if name == "audio_guidance_scale" else value) for name, value in task.guidance
    )
    left = rendered(replace(task, guidance=guidance))
    assert left.rows == 2 * made(LTX).rows
    assert not np.array_equal(left.pictures, made(LTX).pictures)


def test_a_stack_without_the_upscaler_of_its_method_is_refused(shelf):
    task = task_of(shelf, LTX)
    adapters = tuple(pin for pin in task.load.stack.adapters if pin.component != "latent_upsampler")
    stack = replace(task.load.stack, adapters=adapters)
    parts = tuple(part for part, pin in zip(task.load.parts, task.load.stack.pins, strict=True)
                  if getattr(pin, "component", "") != "latent_upsampler")  # fmt: skip
    with pytest.raises(RenderFault, match="has nothing to do it"):
        rendered(replace(task, load=replace(task.load, stack=stack, parts=parts)))


def test_the_distilled_checkpoint_lands_to_the_last_tensor_or_is_refused(shelf, tmp_path):
    """Other parts that the file holds are none of the transformer's; one of its own may not be missing."""
    file, repo = "ltx-2-19b-distilled.safetensors", "Lightricks/LTX-2"
    root = tmp_path / "ltx"
    shutil.copytree(shelf / repo, root)
    changed(
        shelf, repo, file, root, lambda tensors: tensors.pop("model.diffusion_model.patchify_proj.weight")
    )
    with pytest.raises(RenderFault, match=r"1 missing .proj_in\.weight"):
        rendered(with_file_at(task_of(shelf, LTX), repo, str(root)))


# --- the whole list ----------------------------------------------------------------------------

STILL_PLANNED_ALONE = (
    "wan2.2-i2v-a14b-full", "wan2.2-lightning-i2v-v1",  # no order carries a picture to a worker
    "ltx-2.3-distilled", "ltx-2.5-distilled",  # other transformers, whose layout nobody here has seen
)  # fmt: skip


def test_every_clip_method_of_these_families_is_proved_or_differs_by_names_steps_size_and_shift():
    proved = {name: name for name in BY_NAME} | {of: by for by, names in STANDS_FOR.items() for of in names}
    ours = {
        preset.name
        for preset in catalogue().presets
        if preset.family in {"animatediff", "animatediff-lightning", "wan", "wan2.2-lightning", "ltx-2"}
    }
    assert ours == set(proved) | set(STILL_PLANNED_ALONE) | set(BUILT_IN_MOTION)
    for name, by in proved.items():
        assert likeness(unshifted(name)) == likeness(unshifted(by)), name


def unshifted(name: str) -> MethodPreset:
    """A preset without its size, and without the shift that goes with it: published schedules are held elsewhere."""
    preset = catalogue().preset(name)
    config = tuple(pair for pair in preset.scheduler.config if pair[0] != "flow_shift")
    return replace(preset, size=None, scheduler=replace(preset.scheduler, config=config))
