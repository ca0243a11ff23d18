"""Every image method that ships, from pinned files to pictures, equals the code of its card bit for bit."""

from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from policy.errors import RenderFault
from policy.methods import CacheSpec
from policy.plan import PlanRefusal
from registry.verification import hashed_files, verify_files
from tests.integration.workers.families import (
    DEV,
    EULER,
    FAMILIES,
    HYPER,
    LIGHTNING,
    MADE_FOR,
    SCHNELL,
    STANDS_FOR,
    TRAILING,
    XL,
    called,
    loaded,
    with_unet,
    write_additions,
    write_bases,
)
from tests.tiny_hub.planning import SIZE, catalogue_of, plan_on, put_papers, task_on
from tests.tiny_hub.transformers import write_flux
from tests.unit.registry.licensing import catalogue
from workers.renderer import RenderOptions, RenderSetAside, Snapshot, Step, make_renderer
from workers.snapshots import RESUMABLE
from workers.workbench import BenchOptions, make_workbench

BY_NAME = {family.name: family for family in FAMILIES}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hub")
    write_bases(root)
    write_additions(root)
    put_papers(root, MADE_FOR)
    return root


@pytest.fixture(scope="module")
def plain(shelf):
    """Pictures of the cards' own code, each made once."""
    made: dict[str, np.ndarray] = {}

    def pictures(name: str) -> np.ndarray:
        if name not in made:
            made[name] = BY_NAME[name].plain(shelf)
        return made[name]

    return pictures


def task_of(shelf: Path, name: str, **changes):
    family = BY_NAME[name]
    preset = replace(family.preset, **changes)
    return task_on(shelf, catalogue_of(preset), preset.base[0], family.steps, name)


def rendered(task):
    renderer = make_renderer(RenderOptions(threads=1))
    renderer.load(task.load)
    return renderer.render(task, lambda _step: None)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_method_equals_the_code_of_its_card_bit_for_bit(shelf, plain, name):
    task = task_of(shelf, name)
    expected = plain(name)
    result = rendered(task)
    assert np.isfinite(expected).all()
    assert expected.std() > 0
    assert np.array_equal(result.pictures, expected)


# A cache remembers passes that no snapshot holds, and of one step there is nothing to go on with.
MAY_GO_ON = [
    one for one in FAMILIES if one.preset.pipeline in RESUMABLE and one.preset.cache is None and one.steps > 1
]


@pytest.mark.parametrize("name", [one.name for one in MAY_GO_ON])
def test_a_batch_that_is_set_aside_goes_on_to_the_same_bits(shelf, plain, name):
    task = task_of(shelf, name)
    kept: list[Snapshot] = []

    def at_first(step: Step) -> None:
        taken = step.snapshot()
        assert taken is not None
        kept.append(taken)
        raise RenderSetAside(taken)

    renderer = make_renderer(RenderOptions(threads=1))
    renderer.load(task.load)
    with pytest.raises(RenderSetAside):
        renderer.render(task, at_first)
    result = renderer.render(task, lambda _step: None, kept[0])
    assert np.array_equal(result.pictures, plain(name))


def test_every_pipeline_that_may_go_on_is_held_here():
    assert set(RESUMABLE) == {one.preset.pipeline for one in MAY_GO_ON}


def test_every_image_method_is_proved_or_differs_by_names_and_steps_alone():
    proved = {
        **{name: name for name in BY_NAME},
        **{of: by for by, names in STANDS_FOR.items() for of in names},
    }
    ours = {preset.name for preset in catalogue().presets if preset.modality == "image"}
    assert {name for name in ours if not name.startswith("emoji-64")} == set(proved)
    for name, by in proved.items():
        assert likeness(catalogue().preset(name)) == likeness(catalogue().preset(by)), name


def likeness(preset) -> list[object]:
    """What a recipe is, without names, files, step counts, licences and priors."""
    apart = {"name", "base", "steps", "recommended_steps", "schedules", "parts", "guidance", "licence", "quality",
             "facts", "dtypes"}  # fmt: skip
    told: list[object] = [getattr(preset, field.name) for field in fields(preset) if field.name not in apart]
    told += [(part.repo.partition("/")[0], part.role, part.component, part.scale) for part in preset.parts]
    told += [(knob.name, knob.minimum, knob.maximum, knob.doubles_batch_above) for knob in preset.guidance]
    return [*told, {(one.explicit_timesteps, one.sigmas, one.size) for one in preset.schedules}]


def test_methods_run_in_the_precision_they_ship_with(shelf):
    """In half precision the SDXL pipeline decodes in float32 by itself, as its VAE asks."""
    name, file = "sdxl-lightning-4step", "sdxl_lightning_4step_unet.safetensors"
    shipped = catalogue().preset(name)
    task = task_of(shelf, name, dtypes=shipped.dtypes)
    assert (task.load.stack.dtype, task.load.stack.component_dtypes) == ("float16", ())
    card = with_unet(LIGHTNING, file, 4, EULER, TRAILING, torch.float16, guidance_scale=0.0)
    assert np.array_equal(rendered(task).pictures, card(shelf))
    task = task_of(shelf, "flux1-schnell", dtypes=catalogue().preset("flux1-schnell").dtypes)
    assert task.load.stack.dtype == "bfloat16"
    card = called(
        loaded(shelf, SCHNELL, torch.bfloat16),
        num_inference_steps=4,
        guidance_scale=0.0,
        max_sequence_length=256,
    )
    assert np.array_equal(rendered(task).pictures, card)


ON_RAY = ("sd-turbo", "hyper-sdxl-1step-unet", "flux1-schnell", "qwen-image-lightning-4steps-v2.0")


def test_a_ray_worker_keeps_the_pixels_of_the_cards(shelf, plain, make_pool, tmp_path):
    """Verified, loaded, rendered, checked and stored by another process: four families one after another."""
    options = BenchOptions(
        store=tmp_path / "store", verify=verify_files, digests=hashed_files, render=RenderOptions(threads=1)
    )
    pool = make_pool(workers=1, make_bench=partial(make_workbench, options))
    for name in ON_RAY:
        (result,) = pool.run_chunk([task_of(shelf, name)])
        assert [take.fault for take in result.takes] == [None, None], result.takes[0].detail
        for take, expected in zip(result.takes, plain(name), strict=True):
            with Image.open(take.artefact.path) as picture:
                assert np.array_equal(np.asarray(picture), np.round(expected * 255).astype(np.uint8))


# --- what is refused ---------------------------------------------------------------------------


def changed(shelf: Path, repo: str, file: str, folder: Path, change) -> str:
    """A copy of a weight file with its tensors changed, in a folder that stands for its repository."""
    tensors = load_file(shelf / repo / file)
    change(tensors)
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return str(folder)


def with_file_at(task, repo: str, root: str):
    """The task with one repository found elsewhere."""
    pins = {pin.pin_id for pin in task.load.stack.pins if pin.repo == repo}
    parts = tuple(replace(part, root=root) if part.pin_id in pins else part for part in task.load.parts)
    return replace(task, load=replace(task.load, parts=parts))


def stray(tensors) -> None:
    key = next(iter(tensors))
    tensors[f"lora_unet_nowhere_{key.rpartition('.')[2]}.lora_down.weight"] = tensors[key].clone()


@pytest.mark.parametrize(
    ("name", "repo", "file", "change", "told"),
    [
        pytest.param(
            "sdxl-lightning-4step", LIGHTNING, "sdxl_lightning_4step_unet.safetensors",
            lambda tensors: tensors.pop("conv_in.weight"), "1 missing .conv_in.weight", id="a-tensor-is-missing",
        ),
        pytest.param(
            "sdxl-lightning-4step", LIGHTNING, "sdxl_lightning_4step_unet.safetensors",
            lambda tensors: tensors.update(stray=tensors["conv_in.bias"].clone()), "1 unexpected .stray",
            id="a-tensor-too-many",
        ),
    ],
)  # fmt: skip
def test_a_unet_that_does_not_fit_to_the_last_tensor_is_refused(
    shelf, tmp_path, name, repo, file, change, told
):
    task = with_file_at(task_of(shelf, name), repo, changed(shelf, repo, file, tmp_path, change))
    with pytest.raises(RenderFault, match=told):
        rendered(task)


def test_a_lora_of_another_base_is_refused(shelf):
    """SD 1.5's LoRA on SDXL: some tensors find a place, the others would be dropped without a word."""
    task = task_of(shelf, "lcm-lora-sdxl")
    root = str(shelf / "latent-consistency" / "lcm-lora-sdv1-5")
    with pytest.raises(RenderFault):
        rendered(with_file_at(task, "latent-consistency/lcm-lora-sdxl", root))


def test_a_lora_with_a_tensor_that_has_no_place_is_refused(shelf, tmp_path):
    repo, file = HYPER, "Hyper-SDXL-4steps-lora.safetensors"
    task = with_file_at(
        task_of(shelf, "hyper-sdxl-4steps"), repo, changed(shelf, repo, file, tmp_path, stray)
    )
    with pytest.raises(RenderFault):
        rendered(task)


def test_a_schedule_that_is_not_the_published_one_is_refused(shelf):
    """Stock SDXL spaces its steps another way; on them a distilled model washes out."""
    task = task_of(shelf, "hyper-sdxl-4steps")
    config = tuple((dict(task.scheduler.config) | {"timestep_spacing": "leading"}).items())
    with pytest.raises(RenderFault, match="published for 999, 749, 499, 249"):
        rendered(replace(task, scheduler=replace(task.scheduler, config=config)))


def test_a_flow_schedule_that_is_not_the_published_one_is_refused_before_the_first_pass(shelf):
    """Qwen-Image's own scheduler ends at 0.02 and shifts by the size; the LoRA was made for neither."""
    task = task_of(shelf, "qwen-image-lightning-4steps-v2.0")
    stock = catalogue().preset("qwen-image-full").scheduler
    with pytest.raises(RenderFault, match="published for 1000, 900, 750, 500"):
        rendered(replace(task, scheduler=stock))


@pytest.mark.parametrize(("size", "refused"), [((SIZE, SIZE), True), ((1024, 1024), False)])
def test_figures_hold_at_the_size_they_were_published_for(shelf, size, refused):
    """At their size they have to run; at another the pipeline's own computation does."""
    task = task_of(shelf, "flux2-klein-4b")
    task = replace(task, schedule=replace(task.schedule, timesteps=(1000.0, 750.0, 500.0, 250.0), size=size))
    if refused:
        with pytest.raises(RenderFault, match="published for 1000, 750, 500, 250"):
            rendered(task)
    else:
        assert rendered(task).timesteps != task.schedule.timesteps


def test_a_pipeline_that_sets_another_schedule_than_computed_is_refused(shelf, tmp_path):
    """An autoencoder by 4 makes four times the tokens: only the running pipeline can tell."""
    write_flux(tmp_path, distilled=False, depth=3)
    with pytest.raises(RenderFault, match="FlowMatchEulerDiscreteScheduler would run timesteps"):
        rendered(with_file_at(task_of(shelf, "flux1-dev-full"), DEV, str(tmp_path)))


def test_a_step_count_outside_the_set_is_refused_by_the_plan(shelf):
    family = BY_NAME["hyper-sdxl-4steps"]
    refusal, _ = plan_on(shelf, catalogue_of(family.preset), XL, 5, family.name)
    assert isinstance(refusal, PlanRefusal)
    assert {reason.code for reason in refusal.reasons} == {"steps_not_in_set"}


# --- caches ----------------------------------------------------------------------------------------

FIRST_BLOCK = CacheSpec(
    class_name="FirstBlockCacheConfig", config=(("threshold", 0.9),), component="transformer"
)
BROADCAST = CacheSpec(
    class_name="PyramidAttentionBroadcastConfig",
    config=(("cross_attention_block_skip_range", 2), ("spatial_attention_block_skip_range", 2)),
    ranges=(
        ("cross_attention_timestep_skip_range", (0, 1000)), ("spatial_attention_timestep_skip_range", (0, 1000)),
    ),
    component="unet",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "cache"), [("hyper-flux1-dev-8steps", FIRST_BLOCK), ("hyper-sd15-8steps-cfg", BROADCAST)]
)
def test_a_cache_draws_other_pixels_and_leaves_nothing_behind(shelf, plain, name, cache):
    task = task_of(shelf, name)
    renderer = make_renderer(RenderOptions(threads=1))
    renderer.load(task.load)
    approximate = renderer.render(replace(task, cache=cache), lambda _step: None).pictures
    assert np.isfinite(approximate).all()
    assert not np.array_equal(approximate, plain(name))
    assert np.array_equal(renderer.render(task, lambda _step: None).pictures, plain(name))


def test_a_cache_that_does_not_fit_the_model_is_refused(shelf):
    task = task_of(shelf, "hyper-sd15-8steps-cfg")
    with pytest.raises(RenderFault, match="does not fit a UNet2DConditionModel"):
        rendered(replace(task, cache=replace(FIRST_BLOCK, component="unet")))
