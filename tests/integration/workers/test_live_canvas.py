"""The live canvas against the plain image-to-image call of diffusers, on tiny weights."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import LCMScheduler, StableDiffusionImg2ImgPipeline
from PIL import Image

from policy.canvas import CanvasControls, CanvasLoad
from policy.errors import RenderFault, WrongUse
from policy.methods import StepSchedule
from policy.stacks import Role
from registry.evidence.disclosure import says_machine_made
from tests.integration.workers.tiny_models import LCM
from tests.unit.workers.batches import no_faults, pinned_digests
from workers.live_bench import LiveBench, make_canvas
from workers.marking import DigitalSourceType, read_marking
from workers.renderer import RenderOptions
from workers.workbench import BenchOptions

SIDE = 16
SCHEDULES = (
    StepSchedule(steps=1, timesteps=(999.0,)),
    StepSchedule(steps=2, timesteps=(999.0, 499.0)),
    StepSchedule(steps=4, timesteps=(999.0, 759.0, 499.0, 259.0)),
)
SKETCH = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
CONTROLS = CanvasControls(prompt="a red heart", seed=7, strength=0.75, steps=4, sketch=SKETCH.tobytes())


@pytest.fixture(scope="module")
def load(tiny) -> CanvasLoad:
    return CanvasLoad(
        load=tiny.load((tiny.lcm, Role.DISTILL_LORA, 1.0)),
        preset="tiny-lcm",
        preset_version=1,
        scheduler=LCM,
        schedules=SCHEDULES,
        steps=(1, 2, 4),
        default_steps=4,
        guidance=(("guidance_scale", 1.0),),
        call=(),
        width=SIDE,
        height=SIDE,
        fps=10.0,
        media_type="image/png",
        runtime=(("renderer", "diffusers"),),
    )


@pytest.fixture(scope="module")
def bench(load) -> LiveBench:
    options = BenchOptions(store=None, verify=no_faults, digests=pinned_digests, render=RenderOptions())
    made = LiveBench(options)
    made.open(load)
    return made


@pytest.fixture(scope="module")
def bare(tiny) -> StableDiffusionImg2ImgPipeline:
    torch.set_num_threads(1)
    made = StableDiffusionImg2ImgPipeline.from_pretrained(
        tiny.base, dtype=torch.float32, use_safetensors=True, safety_checker=None
    )
    made.load_lora_weights(tiny.lcm)
    made.fuse_lora()
    made.unload_lora_weights()
    made.set_progress_bar_config(disable=True)
    return made


def plain(pipeline, controls: CanvasControls) -> np.ndarray:
    """The call as a model card would give it."""
    pipeline.scheduler = LCMScheduler(**dict(LCM.config))
    paper = Image.frombytes("RGB", (SIDE, SIDE), controls.sketch) if controls.sketch else None
    (made,) = pipeline(
        prompt=controls.prompt,
        image=paper or Image.new("RGB", (SIDE, SIDE), "white"),
        strength=controls.strength,
        num_inference_steps=controls.steps,
        guidance_scale=1.0,
        generator=torch.Generator().manual_seed(controls.seed),
    ).images
    return np.asarray(made)


def pixels(body: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"steps": 1, "strength": 1.0},
        {"steps": 2, "strength": 0.5},
        {"strength": 1.0},
        {"prompt": "a robot on a blue background"},
        {"seed": 2**40},
        {"sketch": b""},
    ],
    ids=str,
)
def test_a_frame_is_the_plain_image_to_image_call_bit_for_bit(bench, bare, change):
    controls = replace(CONTROLS, **change)
    assert np.array_equal(pixels(bench.frame(controls).body), plain(bare, controls))


def test_a_frame_does_not_depend_on_those_before_it(bench):
    first = bench.frame(CONTROLS).body
    bench.frame(replace(CONTROLS, prompt="a fox", seed=1, steps=2))
    assert bench.frame(CONTROLS).body == first
    assert bench.frame(None).body == first


def test_a_frame_says_inside_that_a_machine_drew_it_from_a_sketch(bench, load, tmp_path):
    path = tmp_path / "frame.png"
    path.write_bytes(bench.frame(CONTROLS).body)
    found = read_marking(path)
    assert found.source is DigitalSourceType.COMPOSITE
    assert found.stack_id == load.load.stack.stack_id
    assert says_machine_made(path.read_bytes())


def test_the_next_session_on_the_same_stack_loads_nothing(bench, load):
    opened = bench.open(replace(load, width=32, height=32))
    assert opened.load_seconds == 0.0
    assert {path.partition("/")[0] for path, _ in opened.loaded} == {"tiny"}
    assert pixels(bench.frame(replace(CONTROLS, sketch=b"")).body).shape == (32, 32, 3)
    bench.open(load)


def test_controls_that_make_no_frame_are_refused(bench):
    with pytest.raises(WrongUse, match="no step"):
        bench.frame(replace(CONTROLS, strength=0.1))


def test_a_schedule_that_is_not_the_published_one_opens_no_session(bench, load):
    other = (StepSchedule(steps=4, timesteps=(999.0, 749.0, 499.0, 249.0)), *SCHEDULES[:2])
    with pytest.raises(RenderFault, match="published"):
        bench.open(replace(load, schedules=other))
    bench.open(load)


def test_nothing_is_drawn_before_a_session_is_open(load):
    with pytest.raises(RenderFault):
        make_canvas(RenderOptions()).draw(CONTROLS)
