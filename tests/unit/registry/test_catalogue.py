"""The catalogue: what comes with the house, and what may be added to it."""

import json
import shutil
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from policy.errors import FormatFault, UnknownName
from policy.stacks import Role
from policy.step_counts import step_options
from policy.tiers import TIER_TABLE
from registry.catalogue import BUILTIN, load_catalogue
from registry.cost_parsing import parse_costs
from registry.licences.texts import normalised_sha256
from registry.licences.unseen import UNSEEN
from registry.preset_parsing import parse_method
from tests.unit.registry.licensing import catalogue

PRESETS = catalogue().presets
CLIP = {"every": 4, "first": 1, "shortest": 1, "sides": 16}
STREAM = {"latent_frames": 3, "cache_passes": 1, "frame_rate": 16}


LEFT_ATTACHED = {"qwen-image-lightning"}  # as its published script has it; every other LoRA is fused


def method(**changes: Any) -> dict[str, Any]:
    table = tomllib.loads((BUILTIN / "methods" / "lcm-lora.toml").read_text())
    return {"family": "test", "preset": [table["preset"][0] | changes]}


def test_the_methods_are_there_by_family():
    families = Counter(preset.family for preset in PRESETS)
    assert families == {
        "full": 9,
        "cached": 5,
        "lcm-lora": 4,
        "lcm-unet": 3,
        "sdxl-turbo": 2,
        "sdxl-lightning": 7,
        "hyper-sd": 18,
        "animatediff": 3,
        "animatediff-lightning": 4,
        "dmd2": 3,
        "flux1-schnell": 1,
        "flux2-klein": 3,
        "krea-2-turbo": 1,
        "qwen-image-lightning": 9,
        "sana-sprint": 2,
        "z-image-turbo": 1,
        "wan": 4,
        "wan2.2-lightning": 5,
        "self-forcing": 2,
        "causvid": 5,
        "krea-realtime": 1,
        "longlive": 2,
        "anyflow": 4,
        "helios": 1,
        "rcm": 2,
        "fastwan": 2,
        "ltx-2": 3,
    }
    assert len({preset.name for preset in PRESETS}) == len(PRESETS)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_every_preset_is_whole(preset):
    assert preset.licence in {*catalogue().terms, *(unseen.id for unseen in UNSEEN)}
    assert [schedule.steps for schedule in preset.schedules] == list(preset.steps)
    assert preset.facts
    assert preset.quality
    assert preset.negative_prompt_is_inert is (preset.rows_per_picture({}) == 1)  # no guidance, no negative
    assert all(fact.source for fact in preset.facts)
    has_lora = any(part.role is Role.DISTILL_LORA for part in preset.parts)
    assert preset.fuse is (has_lora and preset.family not in LEFT_ATTACHED)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_every_preset_can_serve_its_tier(preset):
    assert any(step_options(preset, rule) for rule in TIER_TABLE.values() if preset.rung in rule.rungs)


def test_the_student_runs_with_guidance_off_and_nothing_else():
    student = catalogue().preset("emoji-64-lcm")
    (knob,) = student.guidance
    assert (knob.minimum, knob.default, knob.maximum, knob.off) == (1.0, 1.0, 1.0, 1.0)
    assert (student.steps, student.recommended_steps, student.parts[0].tensors) == ((1, 2, 4, 8), 4, 266)


def test_the_teacher_recommends_forty_guided_steps():
    teacher = catalogue().preset("emoji-64-full")
    assert (teacher.recommended_steps, teacher.guidance[0].default, teacher.guidance[0].maximum) == (
        40,
        3.0,
        7.5,
    )
    assert dict(teacher.scheduler.config)["prediction_type"] == "v_prediction"


def test_what_was_only_recalled_is_marked():
    for name in ("sd15-full", "sdxl-full", "lcm-lora-sdv1-5", "lcm-lora-sdxl"):
        facts = catalogue().preset(name).facts
        assert any(not fact.verified for fact in facts)
        assert all("recalled" in fact.source for fact in facts if not fact.verified)


def test_names_that_are_not_there_are_answered_with_near_ones():
    with pytest.raises(UnknownName, match="emoji-64-lcm"):
        catalogue().preset("emoji-64-lmc")
    with pytest.raises(UnknownName, match=r"cc-by-nc-4\.0"):
        catalogue().terms_of("cc-by-nc-4")
    with pytest.raises(UnknownName, match="rightstep licence list"):
        catalogue().terms_of("zzz")


def test_a_licence_comes_with_its_full_text():
    assert catalogue().text_of("apache-2.0").startswith(b"                                 Apache License")


def test_costs_are_priors_for_two_cores():
    (profile,) = catalogue().costs
    assert (profile.samples, profile.key.device, profile.key.stack_id) == (0, "cpu-2", "")
    guided, _ = profile.batch_seconds(pictures=1, rows_per_picture=2, steps=40)
    distilled, _ = profile.batch_seconds(pictures=1, rows_per_picture=1, steps=4)
    assert 8 < guided / distilled < 16


def test_the_catalogue_cannot_be_changed():
    with pytest.raises(TypeError):
        catalogue().terms["mit"] = catalogue().terms["apache-2.0"]  # type: ignore[index]


# --- a folder of one's own --------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path) -> Path:
    for kind in ("licences/texts", "methods", "costs", "quality"):
        (tmp_path / kind).mkdir(parents=True)
    return tmp_path


def put_licence(
    own: Path, licence: str = "house-1.0", text: str = "House Licence. You may.", **changes: str
) -> None:
    body = (BUILTIN / "licences" / "mit.toml").read_text()
    old = catalogue().terms["mit"].source.text_sha256
    body = body.replace('id = "mit"', f'id = "{licence}"').replace(
        old, changes.get("sha256", normalised_sha256(text))
    )
    (own / "licences" / f"{licence}.toml").write_text(body)
    (own / "licences" / "texts" / f"{licence}.txt").write_text(text)


def test_an_own_licence_is_added(own):
    put_licence(own)
    found = load_catalogue(own)
    assert found.terms_of("house-1.0").id == "house-1.0"
    assert set(found.terms) == {*catalogue().terms, "house-1.0"}


def test_a_built_in_licence_is_never_replaced(own):
    shutil.copy(BUILTIN / "licences" / "cc-by-nc-4.0.toml", own / "licences")
    shutil.copy(BUILTIN / "licences" / "texts" / "cc-by-nc-4.0.txt", own / "licences" / "texts")
    with pytest.raises(FormatFault, match="already known"):
        load_catalogue(own)


def test_a_second_reading_of_the_same_text_is_refused(own):
    put_licence(own, text=catalogue().texts["cc-by-nc-4.0"].decode())
    with pytest.raises(FormatFault, match="same text"):
        load_catalogue(own)


def test_a_text_that_does_not_match_its_terms_is_refused(own):
    put_licence(own, sha256="0" * 64)
    with pytest.raises(FormatFault, match="is not the text"):
        load_catalogue(own)


def test_terms_without_their_text_are_refused(own):
    put_licence(own)
    (own / "licences" / "texts" / "house-1.0.txt").unlink()
    with pytest.raises(FormatFault, match="is missing"):
        load_catalogue(own)


def test_a_term_file_is_named_after_its_id(own):
    put_licence(own)
    (own / "licences" / "house-1.0.toml").rename(own / "licences" / "other.toml")
    with pytest.raises(FormatFault, match=r'the id is "house-1\.0"'):
        load_catalogue(own)


def test_a_method_name_is_given_once(own):
    shutil.copy(BUILTIN / "methods" / "full.toml", own / "methods" / "mine.toml")
    with pytest.raises(FormatFault, match="given twice"):
        load_catalogue(own)


def test_a_file_that_is_no_toml_is_named(own):
    (own / "methods" / "broken.toml").write_text("= 1")
    with pytest.raises(FormatFault, match=r"broken\.toml"):
        load_catalogue(own)


# --- malformed methods and costs --------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": [4, 2, 8]}, "sorted list"),
        ({"steps": []}, "sorted list"),
        ({"steps": [0, 4]}, "sorted list"),
        ({"recommended_steps": 3}, "not among"),
        ({"base": []}, "at least one"),
        ({"parts": [{"repo": "a/b", "file": "c.safetensors"}]}, 'a LoRA has a "scale"'),
        ({"parts": [{"repo": "a/b", "file": "c", "role": "unet", "scale": 1.0}]}, 'a LoRA has a "scale"'),
        ({"modality": "smell"}, '"modality" is one of'),
        ({"size": [64]}, "[width, height]"),
        ({"rung": "causal"}, 'a preset on the causal rung has a "rollout"'),
        ({"rollout": STREAM}, 'a preset on the causal rung has a "rollout"'),
        ({"rollout": STREAM | {"latent_frames": 0}}, '"latent_frames" is at least 1'),
        ({"modality": "video"}, 'a preset for clips has a "clip"'),
        ({"modality": "video", "frames": 80, "clip": CLIP}, '"frames" is not a length'),
        ({"clip": CLIP | {"sides": 0}}, '"sides" are at least 1'),
        ({"clip": CLIP | {"only_size": [64]}}, '"only_size" is [width, height]'),
        ({"call": {"eta": [1]}}, "plain value"),
        ({"rung": "warp"}, '"rung" cannot be "warp"'),
        ({"version": True}, '"version" must be int'),
        ({"schedules": [{"steps": 3, "timesteps": [1]}]}, "3 steps, which is not allowed"),
        ({"scheduler": {"class": "X", "config": {"a": [1]}}}, "plain value"),
        ({"surprise": 1}, "surprise is not understood"),
        (
            {"guidance": [{"name": "g", "default": 9, "minimum": 1, "maximum": 2, "off": 1, "why": "x"}]},
            "outside its own range",
        ),
        (
            {
                "guidance": [
                    {
                        "name": "g",
                        "default": 0,
                        "minimum": 0,
                        "maximum": 0,
                        "off": 0,
                        "why": "x",
                        "adds_pass": "y",
                    }
                ]
            },
            "the value above which it does",
        ),
    ],
)
def test_a_slip_in_a_method_is_named(change, said):
    with pytest.raises(FormatFault, match=r"test\.toml: preset\[1\]") as fault:
        parse_method(method(**change), "test.toml")
    assert said in str(fault.value)


@pytest.mark.parametrize("rows", [[], [{"rows": 2, "p50": 1, "p95": 1}, {"rows": 1, "p50": 1, "p95": 1}]])
def test_costs_need_sorted_rows(rows):
    profile = {
        "pipeline": "P",
        "width": 1,
        "height": 1,
        "fixed_p50": 0,
        "fixed_p95": 0,
        "max_rows": 1,
        "rows": rows,
    }
    with pytest.raises(FormatFault, match="rows"):
        parse_costs({"device": "cpu", "source": "x", "profile": [profile]}, "c.toml")


# --- measured quality -------------------------------------------------------------------


def measure(own: Path, **changes: Any) -> None:
    document = {
        "model": "rightstep/emoji-64",
        "quality_is": "share of subjects named",
        "rows": [{"anything": 1}],
        "quality": [
            {"preset": "lcm-lora", "steps": 4, "quality": 0.5, "n": 300},
            {"preset": "lcm-lora", "steps": 1, "quality": 0.25, "n": 300},
        ],
    }
    (own / "quality" / "measured.json").write_text(json.dumps(document | changes))


def test_measured_quality_replaces_the_prior_of_the_model_it_was_measured_on(own):
    measure(own)
    found = load_catalogue(own)
    student = found.preset("emoji-64-lcm")
    assert [(prior.steps, prior.quality, prior.samples) for prior in student.quality[:1]] == [(1, 0.25, 300)]
    assert student.quality_at(4) == 0.5
    assert all(prior.source.startswith("measured: ") for prior in student.quality)
    assert found.preset("lcm-lora-sdxl") == catalogue().preset("lcm-lora-sdxl")


@pytest.mark.parametrize(
    "text", ["[", "[]", '{"model": "rightstep/emoji-64", "quality": [{"preset": "full"}]}']
)
def test_measurements_of_another_shape_are_refused(own, text):
    (own / "quality" / "measured.json").write_text(text)
    with pytest.raises(FormatFault, match=r"measured\.json"):
        load_catalogue(own)


def test_reference_statistics_are_read(own):
    band = "{ mean = 0.5, std = 0.1, slack = 0.02 }"
    bands = "\n".join(f"{name} = {band}" for name in ("saturation", "clipping", "contrast", "luminance"))
    (own / "quality" / "own.toml").write_text(
        f'base = "org/base"\n[[reference]]\nloras = ["org/style"]\nn = 64\n{bands}\n'
    )
    reference = load_catalogue(own).references[-1]
    assert (reference.base, reference.loras, reference.n) == ("org/base", ("org/style",), 64)
    assert reference.clipping.slack == 0.02
