"""The real renderer against the plain diffusers calls that a model card would give."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import LCMScheduler, StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from policy.errors import RenderFault
from policy.methods import SchedulerSpec, StepSchedule
from policy.stacks import Role
from tests.integration.workers.tiny_models import DDIM, LCM
from tests.unit.workers.batches import make_bench, make_shot_task, make_task
from workers.finishing import quantised
from workers.renderer import RenderCancelled, RenderOptions, Step, make_renderer

PROMPTS = ("a fox", "a red heart", "a robot on a blue background")
SEEDS = (7, 2**40, 0)
LCM_SCHEDULE = StepSchedule(steps=4, timesteps=(999.0, 759.0, 499.0, 259.0))


def make_batch(load, **changes):
    shots = tuple(
        make_shot_task(n, prompt=p, seed=s) for n, (p, s) in enumerate(zip(PROMPTS, SEEDS, strict=True))
    )
    task = make_task(load=load, shots=3, scheduler=DDIM, steps=5, guidance=(("guidance_scale", 3.0),))
    return replace(task, **({"shots": shots} | changes))


def make_distilled_batch(load, **changes):
    facts = {"scheduler": LCM, "steps": 4, "schedule": LCM_SCHEDULE, "guidance": (("guidance_scale", 1.0),)}
    return make_batch(load, **(facts | changes))


def rendered(load, task, threads=1):
    renderer = make_renderer(RenderOptions(threads=threads))
    renderer.load(load)
    return renderer.render(task, lambda _step: None)


def bare(folder) -> StableDiffusionPipeline:
    torch.set_num_threads(1)
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generators():
    return [torch.Generator().manual_seed(seed) for seed in SEEDS]


def bytes_of(images) -> np.ndarray:
    return np.stack([np.asarray(image) for image in images])


def test_pictures_equal_a_bare_diffusers_loop_byte_for_byte(tiny):
    expected = bare(tiny.base)(
        list(PROMPTS), num_inference_steps=5, guidance_scale=3.0, width=16, height=16, generator=generators()
    ).images
    result = rendered(tiny.load(), make_batch(tiny.load()))
    assert np.array_equal(quantised(result.pictures), bytes_of(expected))
    assert result.rows == 6
    assert len(result.timesteps) == 5


def test_a_negative_prompt_reaches_the_pipeline_as_the_plain_call_does(tiny):
    expected = bare(tiny.base)(
        list(PROMPTS),
        negative_prompt=["red"] * 3,
        num_inference_steps=5,
        guidance_scale=3.0,
        width=16,
        height=16,
        generator=generators(),
    ).images
    plain = make_batch(tiny.load())
    task = replace(plain, shots=tuple(replace(shot, negative="red") for shot in plain.shots))
    assert np.array_equal(quantised(rendered(tiny.load(), task).pictures), bytes_of(expected))


def test_a_fused_distilled_stack_equals_the_published_recipe_fused(tiny):
    pipeline = bare(tiny.base)
    pipeline.load_lora_weights(tiny.style, adapter_name="style")
    pipeline.load_lora_weights(tiny.lcm, adapter_name="lcm")
    pipeline.set_adapters(["style", "lcm"], adapter_weights=[0.8, 1.0])
    pipeline.fuse_lora(adapter_names=["style", "lcm"])
    pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    expected = pipeline(
        list(PROMPTS), num_inference_steps=4, guidance_scale=1.0, width=16, height=16, generator=generators()
    ).images
    load = tiny.load((tiny.style, Role.LORA, 0.8), (tiny.lcm, Role.DISTILL_LORA, 1.0))
    result = rendered(load, make_distilled_batch(load))
    assert np.array_equal(quantised(result.pictures), bytes_of(expected))
    assert (result.rows, result.timesteps) == (3, LCM_SCHEDULE.timesteps)


def test_attached_loras_equal_the_published_recipe_attached(tiny):
    pipeline = bare(tiny.base)
    pipeline.load_lora_weights(tiny.style, adapter_name="style")
    pipeline.set_adapters(["style"], adapter_weights=[0.5])
    expected = pipeline(
        list(PROMPTS), num_inference_steps=5, guidance_scale=3.0, width=16, height=16, generator=generators()
    ).images
    load = tiny.load((tiny.style, Role.LORA, 0.5), fuse=False)
    assert np.array_equal(quantised(rendered(load, make_batch(load)).pictures), bytes_of(expected))


def test_the_scale_of_a_lora_is_visible_in_the_picture(tiny):
    loads = [tiny.load((tiny.style, Role.LORA, scale)) for scale in (0.0, 0.5, 1.0)]
    pictures = [quantised(rendered(load, make_batch(load)).pictures).tobytes() for load in loads]
    assert len(set(pictures)) == 3
    assert pictures[0] == quantised(rendered(tiny.load(), make_batch(tiny.load())).pictures).tobytes()


def test_a_stack_is_reloaded_from_its_files_and_nothing_of_the_one_before_stays(tiny):
    fused = tiny.load((tiny.lcm, Role.DISTILL_LORA, 1.0))
    renderer = make_renderer(RenderOptions())
    first = None
    for load in (tiny.load(), fused, tiny.load()):
        renderer.load(load)
        pictures = renderer.render(make_batch(load), lambda _step: None).pictures
        first = pictures if first is None else first
    assert np.array_equal(first, pictures)


def test_a_shot_alone_and_in_company_starts_from_the_same_noise(tiny):
    together = rendered(tiny.load(), make_batch(tiny.load())).pictures
    task = make_batch(tiny.load())
    alone = rendered(tiny.load(), replace(task, shots=task.shots[1:2])).pictures
    assert np.abs(quantised(alone)[0].astype(int) - quantised(together)[1].astype(int)).max() <= 1


def test_a_lora_that_lands_in_part_is_refused_by_name(tiny, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(tiny.lcm, broken)
    weights = broken / "pytorch_lora_weights.safetensors"
    tensors = load_file(weights)
    stray = {
        key.replace("unet.", "unet.elsewhere."): value.clone() for key, value in list(tensors.items())[:2]
    }
    save_file({**tensors, **stray}, weights)
    load = tiny.load((broken, Role.DISTILL_LORA, 1.0))
    with pytest.raises(
        RenderFault, match=r"2 of \d+ tensors of tiny/broken found no place.*unet\.elsewhere\."
    ):
        make_renderer(RenderOptions()).load(load)


def test_mixed_key_styles_of_which_diffusers_drops_half_without_a_word_are_refused(tiny, tmp_path):
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    tensors = load_file(tiny.lcm / "pytorch_lora_weights.safetensors")
    renamed = {
        key.replace("lora_A", "lora.down").replace("lora_B", "lora.up") if ".attn1." in key else key: value
        for key, value in tensors.items()
    }
    save_file(renamed, mixed / "pytorch_lora_weights.safetensors")
    with pytest.raises(RenderFault, match=r"found no place|cannot be loaded"):
        make_renderer(RenderOptions()).load(tiny.load((mixed, Role.DISTILL_LORA, 1.0)))


def test_a_lora_for_another_base_is_refused(tiny, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    tensors = load_file(tiny.lcm / "pytorch_lora_weights.safetensors")
    save_file(
        {key: torch.zeros(*(size + 1 for size in value.shape)) for key, value in tensors.items()},
        other / "pytorch_lora_weights.safetensors",
    )
    with pytest.raises(RenderFault, match="cannot be loaded"):
        make_renderer(RenderOptions()).load(tiny.load((other, Role.LORA, 1.0)))


def test_the_number_of_lora_tensors_is_the_recipes(tiny):
    count = len(load_file(tiny.lcm / "pytorch_lora_weights.safetensors"))
    make_renderer(RenderOptions()).load(tiny.load((tiny.lcm, Role.DISTILL_LORA, 1.0), expected=count))
    with pytest.raises(RenderFault, match=f"holds {count} LoRA tensors where its recipe names {count + 2}"):
        make_renderer(RenderOptions()).load(tiny.load((tiny.lcm, Role.DISTILL_LORA, 1.0), expected=count + 2))


def test_a_file_that_is_not_pinned_is_never_read(tiny, tmp_path):
    folder = tmp_path / "base"
    shutil.copytree(tiny.base, folder)
    unet = folder / "unet" / "diffusion_pytorch_model.safetensors"
    load = replace(tiny.load(), parts=(replace(tiny.load().parts[0], root=str(folder)),))
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text("{}")
    result = rendered(load, make_batch(load))
    assert np.array_equal(result.pictures, rendered(tiny.load(), make_batch(tiny.load())).pictures)
    unet.unlink()
    with pytest.raises(RenderFault, match="cannot be loaded"):
        make_renderer(RenderOptions()).load(load)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pipeline": "DiffusionPipeline"}, "not on the list of allowed"),
        ({"dtype": "int8"}, "dtype int8 is unknown"),
    ],
)
def test_only_listed_pipelines_and_dtypes_are_loaded(tiny, change, message):
    load = tiny.load()
    with pytest.raises(RenderFault, match=message):
        make_renderer(RenderOptions()).load(replace(load, stack=replace(load.stack, **change)))


def test_an_adapter_that_is_no_lora_is_refused(tiny):
    with pytest.raises(RenderFault, match="is no LoRA"):
        make_renderer(RenderOptions()).load(tiny.load((tiny.lcm, Role.CONTROLNET, 1.0)))


@pytest.mark.parametrize("role", [Role.MOTION_ADAPTER, Role.UPSCALER, Role.TRANSFORMER])
def test_a_part_that_the_pipeline_has_no_place_for_is_refused(tiny, role):
    """Loaded and put nowhere it would do nothing, and nobody would notice."""
    with pytest.raises(RenderFault, match="StableDiffusionPipeline has no place for a"):
        make_renderer(RenderOptions()).load(tiny.load((tiny.lcm, role, 1.0)))


def test_a_preset_whose_scheduler_was_changed_does_not_run(tiny):
    load = tiny.load((tiny.lcm, Role.DISTILL_LORA, 1.0))
    wrong = SchedulerSpec(class_name="DDIMScheduler", config=LCM.config)
    with pytest.raises(RenderFault, match="published for 999, 759, 499, 259"):
        rendered(load, make_distilled_batch(load, scheduler=wrong))


def test_explicit_timesteps_are_run_by_the_pipeline(tiny):
    load = tiny.load((tiny.lcm, Role.DISTILL_LORA, 1.0))
    given = StepSchedule(steps=4, timesteps=(999.0, 749.0, 499.0, 249.0), explicit_timesteps=True)
    assert rendered(load, make_distilled_batch(load, schedule=given)).timesteps == given.timesteps


def test_cancelling_takes_effect_at_the_next_step_boundary(tiny):
    told: list[int] = []

    def stop_at_two(step: Step) -> None:
        told.append(step.done)
        if step.done == 2:
            raise RenderCancelled

    renderer = make_renderer(RenderOptions())
    renderer.load(tiny.load())
    with pytest.raises(RenderCancelled):
        renderer.render(make_batch(tiny.load()), stop_at_two)
    assert told == [1, 2]
    again = renderer.render(make_batch(tiny.load()), lambda _step: None).pictures
    assert np.array_equal(again, rendered(tiny.load(), make_batch(tiny.load())).pictures)


def test_a_clip_is_refused_by_a_picture_pipeline(tiny):
    with pytest.raises(RenderFault, match="not clips of 8 frames"):
        rendered(tiny.load(), make_batch(tiny.load(), frames=8))


def test_running_out_of_memory_halves_the_batch_and_says_so(tiny):
    renderer = make_renderer(RenderOptions(previews=True))
    renderer.load(tiny.load())
    unet = renderer._pipeline.unet
    shown: list[object] = []
    refused: list[int] = []

    def full_above_two_rows(_module, arguments) -> None:
        if arguments[0].shape[0] > 2:
            refused.append(arguments[0].shape[0])
            raise torch.OutOfMemoryError("out of memory")

    hook = unet.register_forward_pre_hook(full_above_two_rows)
    result = renderer.render(make_batch(tiny.load()), lambda step: shown.append(step.preview()))
    hook.remove()
    assert set(shown) == {None}, "half a batch is no picture of it"
    assert refused == [6, 4]
    assert (result.parts, result.rows, len(result.pictures)) == (3, 2, 3)
    whole = renderer.render(make_batch(tiny.load()), lambda _step: None)
    assert whole.parts == 1
    assert np.abs(quantised(whole.pictures).astype(int) - quantised(result.pictures).astype(int)).max() <= 1


def test_the_whole_way_of_a_batch_ends_in_attested_files(tiny, tmp_path):
    from registry.verification import hashed_files, verify_files

    load = tiny.load((tiny.lcm, Role.DISTILL_LORA, 1.0))
    bench = make_bench(
        tmp_path, renderer=make_renderer(RenderOptions()), verify=verify_files, digests=hashed_files
    )
    (result,) = bench.run([make_distilled_batch(load)])
    assert [take.fault for take in result.takes] == [None] * 3
    assert dict(result.loaded) == {
        f"{pin.repo}/{file.path}": file.sha256 for pin in load.stack.pins for file in pin.files
    }
    assert (result.device, result.steps, result.rows) == ("cpu-1", 4, 3)
    assert 0 < result.denoise_seconds < result.total_seconds


def test_one_changed_byte_is_refused_before_anything_is_loaded(tiny, tmp_path):
    from registry.verification import hashed_files, verify_files

    folder = tmp_path / "base"
    shutil.copytree(tiny.base, folder)
    load = replace(tiny.load(), parts=(replace(tiny.load().parts[0], root=str(folder)),))
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    renderer = make_renderer(RenderOptions())
    bench = make_bench(tmp_path / "store", renderer=renderer, verify=verify_files, digests=hashed_files)
    (result,) = bench.run([make_batch(load)])
    assert "unet/diffusion_pytorch_model.safetensors" in result.takes[0].detail
    assert renderer._pipeline is None


def test_a_preview_is_what_the_scheduler_takes_the_end_to_be(tiny):
    """Not the noisy latents: with LCM, whose steps jump to the end and back, the last guess is the picture."""
    renderer = make_renderer(RenderOptions(threads=1, previews=True))
    renderer.load(tiny.load())
    shown: list[np.ndarray] = []
    made = renderer.render(
        make_distilled_batch(tiny.load()), lambda step: shown.append(step.preview())
    ).pictures
    assert np.array_equal(shown[-1], made)
    assert not np.array_equal(shown[0], made)
