from dataclasses import replace

from policy.stacks import Role
from tests.factories import STYLE, make_adapter_pin, make_file_pin, make_model_pin, make_stack


def test_a_pin_is_what_its_bytes_are_whatever_the_order_of_files_or_the_role():
    pin = make_model_pin()
    turned = replace(pin, files=pin.files[::-1], role=Role.VAE)
    assert pin.pin_id == turned.pin_id
    assert pin.pin_id != replace(pin, files=(make_file_pin(sha256="0" * 64),)).pin_id
    assert pin.pin_id != replace(pin, revision="0" * 40).pin_id


def test_a_stack_is_its_parts_in_order_with_their_scales():
    one, two = make_adapter_pin(), make_adapter_pin(STYLE)
    plain, both = make_stack(), make_stack(adapters=(one, two))
    others = {
        both.stack_id,
        plain.stack_id,
        make_stack(adapters=(two, one)).stack_id,
        make_stack(adapters=(one, replace(two, scale=0.5))).stack_id,
        make_stack(dtype="bfloat16").stack_id,
        make_stack(base=make_model_pin("other/base")).stack_id,
    }
    assert len(others) == 6
    assert both.pins == (both.base, one, two)


def test_a_whole_scale_is_the_same_scale_however_it_is_written():
    one, same = make_adapter_pin(scale=1.0), make_adapter_pin(scale=1)
    assert make_stack(adapters=(one,)).stack_id == make_stack(adapters=(same,)).stack_id


def test_the_name_for_people_is_not_what_a_stack_is():
    assert make_stack(name="mine").stack_id == make_stack(name="yours").stack_id
