import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

import pytest

from policy.codec import decode, encode
from policy.costs import CostProfile
from policy.errors import FormatFault
from policy.manifest import RenderManifest, Shot
from policy.methods import GuidanceKnob, SchedulerSpec
from policy.plan import ExecutionPlan, PlanTotals
from policy.stacks import FilePin
from policy.tiers import ServiceLevel, ServiceTier
from policy.uses import IntendedUse
from tests.factories import (
    NOW,
    make_batch_result,
    make_cost_profile,
    make_file_pin,
    make_input,
    make_knob,
    make_lora,
    make_manifest,
    make_plan_of,
    make_scheduler,
    make_service,
    make_shot,
    make_use,
)


def through_json(value):
    return decode(type(value), json.loads(json.dumps(encode(value))))


def test_a_whole_plan_comes_back_equal():
    service = make_service(deadline=NOW + timedelta(hours=12), latency_target_s=30.0)
    plan = make_plan_of(20, service=service, recipients=("ads@client",), labels=(("show", "fox"),))
    again = through_json(plan)
    assert again == plan
    assert again.decisions[0].offer.stack.stack_id == plan.decisions[0].offer.stack.stack_id


@pytest.mark.parametrize(
    "value",
    [
        make_shot(loras=(make_lora(),), inputs=(make_input(),), steps=4, guidance=1.5, method="m"),
        make_use(),
        make_cost_profile(),
        make_batch_result(),
        make_service(deadline=datetime(2026, 7, 1, 8, tzinfo=timezone(timedelta(hours=2)))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_every_kind_come_back_equal(value):
    assert through_json(value) == value


def test_what_is_written_is_plain_json_for_its_readers():
    written = encode(make_plan_of(2))
    assert isinstance(written["totals"]["seconds_p50"], float)
    assert written["made_at"] == "2026-01-31T19:00:00+00:00"
    assert written["manifest"]["service"]["tier"] == "batch"


def test_scheduler_settings_keep_their_kinds():
    again = through_json(make_scheduler())
    assert [type(value) for _, value in again.config] == [float, str, float, bool, int, int]
    assert again == make_scheduler()


def test_a_float_is_also_read_from_its_canonical_text_and_from_a_whole_number():
    written = encode(make_knob()) | {"maximum": "7.5", "minimum": 1}
    knob = decode(GuidanceKnob, written)
    assert (knob.maximum, knob.minimum) == (7.5, 1.0)


def test_a_text_from_before_a_field_existed_takes_its_default():
    assert decode(Shot, {"name": "fox", "prompt": "a fox", "model": "org/base"}).frames == 1


@pytest.mark.parametrize(
    ("cls", "written", "said"),
    [
        (FilePin, {"path": "a", "sha256": "0"}, "size missing"),
        (
            FilePin,
            {"path": "a", "sha256": "0", "size": 1, "colour": "red"},
            "'colour' is not a field of FilePin",
        ),
        (FilePin, {"path": "a", "sha256": "0", "size": True}, "size: True is not a whole number"),
        (FilePin, {"path": 3, "sha256": "0", "size": 1}, "path: 3 is not a text"),
        (FilePin, "a.txt", "the whole value: 'a.txt' is not an object"),
        (ServiceLevel, {"tier": "overnight"}, "tier: 'overnight' is none of batch, interactive, live"),
        (ServiceLevel, {"tier": []}, "tier: [] is none of"),
        (ServiceLevel, {"deadline": "tomorrow"}, "deadline: 'tomorrow' is not a datetime in ISO 8601"),
        (ServiceLevel, {"deadline": 8}, "deadline: 8 is not"),
        (ServiceLevel, {"quality_floor": "good"}, "quality_floor: 'good' is not a number"),
        (ServiceLevel, {"quality_floor": True}, "quality_floor: True is not a number"),
        (ServiceLevel, {"quality_floor": "nan"}, "quality_floor: 'nan' is not a finite number"),
        (ServiceLevel, {"may_degrade": 1}, "may_degrade: 1 is not true or false"),
        (SchedulerSpec, {"class_name": "DDIM", "config": [["a", [1]]]}, "config[0][1]: [1] is not"),
        (SchedulerSpec, {"class_name": "DDIM", "config": [["a"]]}, "config[0]: 1 items where 2 belong"),
        (SchedulerSpec, {"class_name": "DDIM", "config": "a"}, "config: 'a' is not a list"),
        (IntendedUse, {"organisation": {"mau": "many"}}, "organisation.mau: 'many' is not a whole number"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(cls, written, said):
    with pytest.raises(FormatFault) as caught:
        decode(cls, written)
    assert said in caught.value.message
    assert caught.value.next_step


def test_a_fault_deep_in_a_plan_names_the_way_to_it():
    written = encode(make_plan_of(3))
    written["shots"][2]["shot"]["seed"] = "seven"
    with pytest.raises(FormatFault, match=r"shots\[2\]\.shot\.seed: 'seven' is not a whole number"):
        decode(ExecutionPlan, written)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_cannot_hold_is_not_written(number):
    with pytest.raises(FormatFault, match="cannot be written"):
        encode(replace(make_plan_of(1).totals, seconds_p50=number))
    with pytest.raises(FormatFault, match="cannot be written"):
        encode(SchedulerSpec(class_name="DDIM", config=(("beta", number),)))


@pytest.mark.parametrize("value", [3, "text", [1], make_shot])
def test_only_dataclasses_are_written(value):
    with pytest.raises(FormatFault, match="not a value that can be written"):
        encode(value)


@dataclass(frozen=True)
class Ambiguous:
    part: FilePin | PlanTotals


@dataclass(frozen=True)
class Unwritable:
    parts: dict[str, int]


@dataclass(frozen=True)
class Lone:
    tier: ServiceTier


@dataclass(frozen=True)
class Whole:
    size: int | None


@pytest.mark.parametrize(("cls", "said"), [(Ambiguous, "no tag"), (Unwritable, "dict")])
def test_a_field_whose_type_has_no_one_form_is_a_mistake_of_ours(cls, said):
    with pytest.raises(TypeError, match=said):
        encode(cls(make_file_pin()))
    with pytest.raises(TypeError, match=said):
        decode(cls, {})


def test_a_dataclass_of_one_field_and_an_optional_number_come_back():
    assert through_json(Lone(ServiceTier.LIVE)) == Lone(ServiceTier.LIVE)
    assert through_json(Whole(None)) == Whole(None)
    with pytest.raises(FormatFault, match=r"1\.5 is not a whole number or null"):
        decode(Whole, {"size": 1.5})


def test_a_large_plan_is_decoded_into_the_same_hash():
    plan = make_plan_of(500)
    assert decode(ExecutionPlan, encode(plan)).plan_hash == plan.plan_hash
    assert decode(RenderManifest, encode(make_manifest())) == make_manifest()
    assert decode(CostProfile, encode(make_cost_profile())) == make_cost_profile()
