"""What a supposition would break, and what the planner would run in its place."""

import re

import pytest

from flows.pinning import pin_model
from flows.planning import plan_manifest
from flows.whatif import Supposition, what_if
from policy.plan import ExecutionPlan
from policy.tiers import ServiceTier
from policy.uses import Act
from policy.wording import duration, plural, rounded
from tests.factories import make_manifest, make_service, make_shot
from tests.unit.registry.shelf import EMPTY_WEIGHTS, put_repository

TURBO, BASE, LIGHTNING = (
    "stabilityai/sdxl-turbo",
    "stabilityai/stable-diffusion-xl-base-1.0",
    "ByteDance/SDXL-Lightning",
)


@pytest.fixture
def house(make_house, tmp_path):
    """SDXL-Turbo under the terms of its later revision, beside SDXL with two students of Lightning."""
    shelf, freely = tmp_path / "shelf", "openrailpp-sdxl-2023-07-26"
    students = {f"sdxl_lightning_{steps}step_lora.safetensors": EMPTY_WEIGHTS for steps in (4, 8)}
    put_repository(shelf, TURBO, card="license: other", licence="sai-community-2024-07-05")
    put_repository(shelf, BASE, card="license: openrail++", licence=freely)
    put_repository(
        shelf, LIGHTNING, card=f"license: openrail++\nbase_model: {BASE}", licence=freely, files=students
    )
    house = make_house(model_folders=(shelf,), annual_revenue_usd=250_000, group_revenue_usd=250_000)
    for repo in (TURBO, BASE, LIGHTNING):
        pin_model(house, repo)
    return house


def test_what_would_be_denied_is_answered_with_the_nearest_method_at_the_planners_price(house):
    supposed = Supposition(annual_revenue_usd=2_000_000, acts=(Act.SHIP_OUTPUT_COMMERCIAL,))
    (change,) = what_if(house, supposed).changes
    assert (change.effect, change.method, change.after) == ("stricter", "sdxl-turbo", "deny")
    assert re.fullmatch(
        f"Use {BASE} with method sdxl-lightning-8step-lora at 1024 x 1024: permitted, 8 steps, "
        r"quality [\d.]+, about [\d.]+ \w+ a picture; "
        r"against sdxl-turbo at 4 steps: quality \+[\d.]+, [\d.]+ times the seconds\.",
        change.substitute,
    )


def test_the_price_is_that_of_a_plan(house):
    """The order that the advice amounts to is planned with the same steps, quality and seconds."""
    supposed = Supposition(annual_revenue_usd=2_000_000, acts=(Act.SHIP_OUTPUT_COMMERCIAL,))
    (change,) = what_if(house, supposed).changes
    shot = make_shot(model=BASE, method="sdxl-lightning-8step-lora", width=1024, height=1024)
    order = make_manifest(shots=(shot,), service=make_service(tier=ServiceTier.INTERACTIVE))
    plan = plan_manifest(house, order)
    assert isinstance(plan, ExecutionPlan)
    (decision,) = plan.decisions
    told = f"{plural(decision.steps, 'step')}, quality {rounded(decision.quality)}, about "
    assert told + duration(decision.seconds_p50) in change.substitute
