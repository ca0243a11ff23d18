import pytest

from policy.batching import compose, even_sizes
from policy.costs import RowCost
from tests.factories import (
    make_cost_profile,
    make_execution_plan,
    make_fleet,
    make_manifest,
    make_plan_of,
    make_shot,
    make_shots,
)


def sizes(plan):
    return [len(batch.shots) for batch in plan.batches]


def planned(count, *, workers=2, max_rows=48):
    manifest = make_manifest(shots=make_shots(count))
    fleet = make_fleet(workers=workers)
    return make_execution_plan(manifest=manifest, fleet=fleet, costs=(make_cost_profile(max_rows=max_rows),))


def test_twenty_four_pictures_on_two_workers_are_two_batches_of_twelve():
    assert sizes(planned(24)) == [12, 12]


def test_a_batch_holds_no_more_rows_than_its_profile_allows():
    plan = planned(100, max_rows=16)
    assert max(sizes(plan)) * plan.decisions[0].rows_per_picture <= 16


def test_a_profile_that_holds_less_than_one_guided_picture_still_makes_batches_of_one():
    assert set(sizes(planned(5, max_rows=1))) == {1}


def test_fewer_pictures_than_workers_go_one_by_one():
    assert sizes(planned(3, workers=8)) == [1, 1, 1]


def test_batches_come_in_whole_rounds_over_the_workers():
    assert len(sizes(planned(101, workers=4))) % 4 == 0


def test_shots_of_different_needs_never_share_a_batch():
    shots = tuple(make_shot(f"s{n}", width=64 if n % 2 else 128, seed=n) for n in range(12))
    plan = make_execution_plan(manifest=make_manifest(shots=shots))
    for batch in plan.batches:
        assert len({plan.shots[index].shot.width for index in batch.shots}) == 1


def test_urgent_shots_come_first_within_and_between_needs():
    shots = tuple(make_shot(f"s{n}", width=64 if n % 2 else 128, priority=n % 3, seed=n) for n in range(30))
    plan = make_execution_plan(manifest=make_manifest(shots=shots))
    leaders = [plan.shots[batch.shots[0]].shot.priority for batch in plan.batches]
    assert leaders == sorted(leaders, reverse=True)


def test_the_composition_is_the_same_every_time():
    assert make_plan_of(50).batches == make_plan_of(50).batches


def test_work_that_costs_nothing_is_still_shared_out():
    free = make_cost_profile(fixed_p50=0.0, fixed_p95=0.0, rows=(RowCost(rows=1, p50=0.0, p95=0.0),))
    assert sizes(make_execution_plan(manifest=make_manifest(shots=make_shots(4)), costs=(free,))) == [2, 2]


@pytest.mark.parametrize(("pictures", "batches"), [(1, 1), (7, 3), (24, 2), (10, 10)])
def test_sizes_are_even_and_add_up(pictures, batches):
    found = even_sizes(pictures, batches)
    assert sum(found) == pictures
    assert max(found) - min(found) <= 1
    assert [len(batch) for batch in compose(range(pictures), found)] == list(found)
