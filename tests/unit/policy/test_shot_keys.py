import json
from dataclasses import fields, replace

import pytest

from policy.canonical import canonical_value
from policy.clips import ClipRule
from policy.limits import Limits
from policy.manifest import RenderManifest, Shot
from policy.plan_digests import manifest_digest, shot_text
from tests.factories import (
    RUNTIME,
    STYLE,
    make_adapter_pin,
    make_execution_plan,
    make_input,
    make_lora,
    make_manifest,
    make_menu,
    make_offer,
    make_preset,
    make_service,
    make_shot,
    make_stack,
)


def key_of(shot=None, **changes):
    return (
        make_execution_plan(manifest=make_manifest(shots=(shot or make_shot(),)), **changes).shots[0].shot_key
    )


SEEN = {
    "prompt": make_shot(prompt="an owl"),
    "negative": make_shot(negative="blurry"),
    "seed": make_shot(seed=7),
    "width": make_shot(width=128),
    "height": make_shot(height=128),
    "steps": make_shot(steps=30),
    "guidance": make_shot(guidance=5.0),
    "method": make_shot(method="emoji-64-lcm"),
    "inputs": make_shot(inputs=(make_input(),)),
    "input role": make_shot(inputs=(make_input(role="control"),)),
    "input bytes": make_shot(inputs=(make_input(sha256="0" * 64),)),
}


def test_everything_that_determines_pixels_makes_another_key():
    keys = {key_of(), *(key_of(shot) for shot in SEEN.values())}
    assert len(keys) == len(SEEN) + 1


def test_so_do_the_weights_the_recipe_and_the_versions():
    keys = {
        key_of(),
        key_of(menu=make_menu(offers=(make_offer(preset=make_preset(version=2)),))),
        key_of(menu=make_menu(offers=(make_offer(preset=make_preset(name="other")),))),
        key_of(menu=make_menu(offers=(make_offer(stack=make_stack(adapters=(make_adapter_pin(STYLE),))),))),
        key_of(runtime=(*RUNTIME[:-1], ("torch", "2.14.0"))),
    }
    assert len(keys) == 5


def test_what_nobody_sees_in_the_picture_keeps_the_key():
    same = {
        key_of(),
        key_of(make_shot("owl", prompt="a fox")),
        key_of(make_shot(priority=9, where="elsewhere.toml")),
        key_of(make_shot(steps=40)),
        key_of(make_shot(guidance=3)),
        key_of(runtime=RUNTIME[::-1]),
    }
    assert len(same) == 1
    shown = make_input()
    moved = replace(shown, path="elsewhere.png", rights="licensed")
    assert key_of(make_shot(inputs=(shown,))) == key_of(make_shot(inputs=(moved,)))


def test_the_same_words_spelled_otherwise_are_the_same_prompt():
    assert key_of(make_shot(prompt="é")) == key_of(make_shot(prompt="e\u0301"))


FULL = make_shot(
    prompt='a "fox"\n',
    negative="süß e\u0301",
    steps=4,
    guidance=1.5,
    method="m",
    loras=(make_lora(), make_lora(scale=1)),
    inputs=(make_input(), make_input(role="control")),
    frames=16,
    fps=8,
    where="night.toml",
)


@pytest.mark.parametrize("shot", [make_shot(), FULL], ids=["plain", "full"])
def test_the_quick_text_of_a_shot_is_its_canonical_form(shot):
    exact = replace(shot, loras=tuple(replace(lora, scale=float(lora.scale)) for lora in shot.loras))
    if shot.fps is not None:
        exact = replace(exact, fps=float(shot.fps))
    general = canonical_value(exact)
    del general["where"]
    if shot.fps is None:
        del general["fps"]  # an order without one is the order it was before there were any
    assert json.loads(shot_text(shot)) == general
    assert shot_text(shot) == json.dumps(general, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def test_a_manifest_is_the_same_order_wherever_it_was_read_from():
    manifest = make_manifest()
    moved = replace(
        manifest, source="b.toml", shots=tuple(replace(s, where="b.toml: 1") for s in manifest.shots)
    )
    assert manifest_digest(manifest) == manifest_digest(moved)


def test_whole_numbers_count_by_value():
    one = make_manifest(service=make_service(quality_floor=1, latency_target_s=2))
    same = make_manifest(service=make_service(quality_floor=1.0, latency_target_s=2.0))
    assert manifest_digest(one) == manifest_digest(same)


CHANGED = {
    "name": "other",
    "shots": (make_shot("fox"),),
    "service": make_service(may_degrade=True),
    "use": replace(make_manifest().use, territories=("DE",)),
    "owner": "ada",
    "labels": (("show", "fox"),),
    "recipients": ("client",),
    "timezone": "Europe/Berlin",
    "max_failed_shots": 3,
    "waive_output_checks": True,
    "limits": Limits(probes=True),
}


def test_every_field_of_a_manifest_counts():
    assert set(CHANGED) == {field.name for field in fields(RenderManifest)} - {"source"}
    digests = {manifest_digest(make_manifest(**{name: value})) for name, value in CHANGED.items()}
    assert len(digests | {manifest_digest(make_manifest())}) == len(CHANGED) + 1


def test_every_field_of_a_shot_is_in_its_text():
    assert set(json.loads(shot_text(FULL))) == {field.name for field in fields(Shot)} - {"where"}


def keys_of(**changes: object) -> set[str]:
    offer = make_offer(preset=make_preset(modality="video", clip=CLIP))
    plan = make_execution_plan(
        manifest=make_manifest(shots=(make_shot("fox", **changes),)), menu=make_menu(offers=(offer,))
    )
    return {shot.shot_key for shot in plan.shots}


CLIP = ClipRule(every=1, first=0, shortest=1, longest=16, sides=8, frame_rate=8)


def test_a_frame_rate_is_of_a_clip_and_no_part_of_a_picture():
    """The file of a clip says how long a frame stands; what was trained at 8 and is asked at 8 is the same."""
    assert keys_of(frames=16) == keys_of(frames=16, fps=8) != keys_of(frames=16, fps=24)
    assert keys_of() == keys_of(fps=24)


def test_pictures_with_different_frame_rates_still_share_a_decision():
    shots = (make_shot("fox", fps=8, seed=1), make_shot("owl", fps=24, seed=2), make_shot("cat", seed=3))
    assert len(make_execution_plan(manifest=make_manifest(shots=shots)).decisions) == 1
