"""From a preset to what the causal engine runs, or every reason why not."""

from dataclasses import replace

import pytest

from policy.clips import Recache
from policy.methods import Engine, GuidanceKnob, StepSchedule
from policy.streams import (
    Sampler,
    StreamRefusal,
    StreamSettings,
    even_list,
    stream_faults,
    stream_settings,
    warped,
)
from registry.catalogue import load_catalogue

PRESETS = {preset.name: preset for preset in load_catalogue().presets}
SELF_FORCING = PRESETS["self-forcing-dmd"]


def with_rollout(**changes):
    return replace(SELF_FORCING, rollout=replace(SELF_FORCING.rollout, **changes))


def codes(preset, steps=None) -> list[str]:
    refusal = stream_settings(preset, steps)
    assert isinstance(refusal, StreamRefusal)
    assert all(one.preset == preset.name and one.detail and one.remedy for one in refusal.objections)
    return [one.code for one in refusal.objections]


def test_self_forcing_streams_as_it_was_published():
    told = stream_settings(SELF_FORCING)
    assert isinstance(told, StreamSettings)
    assert told.timesteps == pytest.approx((1000, 937.5, 833.3333, 625))
    assert told.noise_levels == pytest.approx((1, 0.9375, 0.8333333, 0.625))
    assert (told.latent_frames, told.first_latent_frames, told.window, told.sink) == (3, 3, 21, 0)
    assert (told.context_timestep, told.recache, told.frame_rate, told.longest) == (0, "never", 16, 81)


def test_every_causal_preset_with_this_engine_streams_and_says_when_it_reads_its_past_anew():
    found = {
        name: stream_settings(preset)
        for name, preset in PRESETS.items()
        if preset.engine is Engine.CAUSAL and preset.rollout is not None
    }
    assert {name: told.recache for name, told in found.items()} == {
        "anyflow-far-1.3b": Recache.EVERY_CHUNK,
        "anyflow-far-14b": Recache.EVERY_CHUNK,
        "causvid-3step": Recache.NEVER,
        "causvid-warp-4step": Recache.NEVER,
        "krea-realtime-14b": Recache.EVERY_CHUNK,
        "longlive-1.3b": Recache.ON_SWITCH,
        "longlive-2.0-5b": Recache.NEVER,
        "self-forcing-dmd": Recache.NEVER,
        "self-forcing-sid": Recache.NEVER,
    }
    assert all(stream_faults(told) == () for told in found.values())
    flow_maps = {name for name, told in found.items() if told.sampler is Sampler.FLOW_MAP}
    assert flow_maps == {name for name, told in found.items() if told.older_are_coarse}
    assert flow_maps == {"anyflow-far-1.3b", "anyflow-far-14b"}
    assert (found["longlive-1.3b"].window, found["longlive-1.3b"].sink) == (12, 3)
    assert found["causvid-3step"].timesteps == (1000, 757, 522)


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        (PRESETS["helios-distilled"], ["another_engine", "another_sampler", "another_cache", "decoded_alone"]),
        (PRESETS["rcm-wan2.1-1.3b"], ["no_rollout"]),
        (with_rollout(window=None), ["no_window"]),
        (with_rollout(window=5, sink=3), ["unsound_rollout"]),
        (with_rollout(window=3, first_latent_frames=4), ["unsound_rollout", "unsound_rollout"]),
        (with_rollout(cache_passes=0), ["another_cache"]),
        (replace(SELF_FORCING, schedules=()), ["no_schedule"]),
        (
            replace(SELF_FORCING, scheduler=replace(SELF_FORCING.scheduler, class_name="UniPCMultistepScheduler")),
            ["another_sampler"],
        ),
        (
            replace(SELF_FORCING, schedules=(StepSchedule(steps=4, timesteps=(1000, 750, 500, 250)),)),
            ["other_warp"],
        ),
        (
            replace(SELF_FORCING, schedules=(StepSchedule(steps=4, timesteps=(1000, 250, 500, 0)),)),
            ["other_warp"],
        ),
        (
            replace(SELF_FORCING, scheduler=replace(SELF_FORCING.scheduler, config=())),
            ["other_warp"],
        ),
        (
            replace(
                SELF_FORCING,
                guidance=(
                    GuidanceKnob(name="guidance_scale", default=5.0, minimum=1.0, maximum=9.0, off=1.0,
                                 doubles_batch_above=1.0, why=""),
                ),
            ),
            ["guided"],
        ),
    ],
)  # fmt: skip
def test_a_preset_that_lacks_something_is_refused_with_all_that_it_lacks(preset, expected):
    found = codes(preset)
    assert set(expected) <= set(found)
    assert preset is PRESETS["helios-distilled"] or found == expected


def test_a_step_count_that_is_not_allowed_is_refused_with_those_that_are():
    refusal = stream_settings(SELF_FORCING, 3)
    assert [one.code for one in refusal.objections] == ["steps_not_allowed"]
    assert refusal.objections[0].remedy == "Choose one of 4."


def test_an_even_list_under_a_shift_is_the_published_one():
    assert even_list(4) == (1000, 750, 500, 250)
    assert warped(even_list(4), 5.0) == pytest.approx((1000, 937.5, 833.3333, 625))
    assert warped(even_list(4), 8.0) == pytest.approx((1000, 960, 888.8889, 727.2727))
    assert warped((1000, 280, 120), 8.0) == pytest.approx((1000, 757, 522), abs=0.8)


def test_chunks_of_a_stream_with_an_end_add_up_to_it():
    told = replace(stream_settings(SELF_FORCING), first_latent_frames=1)
    made, chunks = 0, []
    while count := told.chunk(len(chunks), made):
        chunks.append(count)
        made += count
    assert chunks == [1, 3, 3, 3, 3, 3, 3, 2]
    assert replace(told, longest=None).chunk(1000, 3000) == 3


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"timesteps": ()}, "timesteps fall"),
        ({"timesteps": (1000.0, 1000.0)}, "timesteps fall"),
        ({"timesteps": (1001.0, 500.0)}, "timesteps fall"),
        ({"timesteps": (500.0, 0.0)}, "timesteps fall"),
        ({"latent_frames": 0, "first_latent_frames": 0}, "at least one latent frame"),
        ({"sink": -1}, "not negative"),
        ({"sink": 19}, "holds the sink"),
        ({"first_latent_frames": 4}, "first chunk is no longer"),
        ({"context_timestep": 1000.0}, "context timestep"),
        ({"frame_rate": 0}, "frame rate"),
        ({"longest": 0}, "at least one frame"),
        ({"older_are_coarse": True}, "whose past is read anew before every chunk"),
    ],
)
def test_settings_put_together_by_hand_say_what_is_wrong_with_them(changes, why):
    told = replace(stream_settings(SELF_FORCING), **changes)
    assert any(why in fault for fault in stream_faults(told))
