"""Laws of a night over several devices: whoever joins it, and however slow, does no harm."""

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from policy.finish import Run, Work
from policy.spans import Team, ending_of, ends_within, least_end, whole_seconds

ROUNDING = 1e-6
SLOWNESS = st.floats(0.2, 20.0)


@st.composite
def nights(draw, most=6):
    """Runs of batches, as one device takes them: (stack, batches, p50, spread)."""
    runs = st.tuples(
        st.sampled_from("ab"), st.integers(1, 30), st.floats(0.05, 5.0), st.floats(1.0, 2.0), SLOWNESS
    )
    return draw(st.lists(runs, min_size=1, max_size=most))


@st.composite
def crews(draw):
    """Groups of workers: (workers, seconds to load, how slow, how unsure, what it cannot take)."""
    groups = st.tuples(
        st.integers(1, 4), st.floats(0.0, 3.0), SLOWNESS, st.floats(0.0, 0.25), st.sampled_from(["", "", "a"])
    )
    return draw(st.lists(groups, min_size=1, max_size=3))


def teams_of(night, crews):
    """Each device has its own factor for each run, so that one may be quick where another is slow."""
    teams = []
    for number, (workers, load, slow, error, barred) in enumerate(crews):
        works = []
        for stack, batches, p50, spread, skew in night:
            seconds = math.inf if stack == barred and number else p50 * slow * (skew if number % 2 else 1.0)
            run = Run(batches=batches, p50=seconds, p95=seconds * spread)
            works.append(Work(stack_id=stack, family=(stack, str(number)), error=error, runs=(run,)))
        teams.append(Team(device=f"device-{number}", workers=workers, load_seconds=load, works=tuple(works)))
    return teams


def end(teams):
    return ending_of(teams).finish.p95


@settings(deadline=None, max_examples=60)
@given(night=nights(), crews=crews(), data=st.data())
def test_another_worker_however_slow_never_ends_a_night_later(night, crews, data) -> None:
    teams = teams_of(night, crews)
    place = data.draw(st.integers(0, len(teams) - 1))
    more = [
        replace(team, workers=team.workers + 1) if number == place else team
        for number, team in enumerate(teams)
    ]
    assert end(more) <= end(teams) * (1 + ROUNDING)


@settings(deadline=None, max_examples=60)
@given(night=nights(), crews=crews(), data=st.data())
def test_another_device_never_ends_a_night_later_wherever_it_is_named(night, crews, data) -> None:
    teams = teams_of(night, crews)
    if len(teams) > 1:
        gone = data.draw(st.integers(1, len(teams) - 1))
        fewer = [team for number, team in enumerate(teams) if number != gone]
        assert end(teams) <= end(fewer) * (1 + ROUNDING)


@settings(deadline=None, max_examples=60)
@given(night=nights(), crews=crews(), data=st.data(), longer=st.floats(1.0, 2.0))
def test_costlier_batches_never_end_a_night_earlier(night, crews, data, longer) -> None:
    place = data.draw(st.integers(0, len(night) - 1))
    stack, batches, p50, spread, skew = night[place]
    dearer = [*night[:place], (stack, batches, p50 * longer, spread, skew), *night[place + 1 :]]
    assert end(teams_of(dearer, crews)) >= end(teams_of(night, crews)) * (1 - ROUNDING)


@settings(deadline=None, max_examples=60)
@given(night=nights(), crews=crews(), share=st.floats(0.3, 2.0))
def test_a_night_is_kept_exactly_where_its_end_is_in_time(night, crews, share) -> None:
    teams = teams_of(night, crews)
    finish = ending_of(teams).finish
    assert finish.p50 <= finish.p95
    assert least_end(teams) <= finish.p95
    assert ends_within(teams, finish.p95 * (1 + ROUNDING))
    if share < 1 - ROUNDING:
        assert not ends_within(teams, finish.p95 * share)
    elif share > 1 + ROUNDING:
        assert ending_of(teams, finish.p95 * share).finish.p95 <= finish.p95 * share


@settings(deadline=None, max_examples=60)
@given(night=nights(), crews=crews())
def test_every_batch_is_taken_once_by_somebody_who_can(night, crews) -> None:
    teams = teams_of(night, crews)
    ending = ending_of(teams)
    taken = [run for share in ending.shares for work in share for run in work.runs]
    assert sum(run.batches for run in taken) == sum(batches for _, batches, *_ in night)
    assert all(math.isfinite(run.p50) for run in taken)
    workers = sum(team.workers for team in teams)
    assert whole_seconds(ending).p50 <= workers * ending.finish.p50 * (1 + ROUNDING)


@settings(deadline=None, max_examples=60)
@given(batches=st.integers(1, 60), crews=crews(), p50=st.floats(0.05, 5.0))
def test_equal_batches_end_when_no_assignment_could_end_earlier(batches, crews, p50) -> None:
    certain = [(workers, 0.0, slow, 0.0, "") for workers, _, slow, _, _ in crews]
    teams = teams_of([("b", batches, p50, 1.0, 1.0)], certain)
    seconds = [team.works[0].runs[0].p50 for team in teams]

    def done_by(limit):
        return sum(
            team.workers * math.floor(limit / each + 1e-9) for team, each in zip(teams, seconds, strict=True)
        )

    ends = {each * count for each in seconds for count in range(1, batches + 1)}
    best = min(limit for limit in ends if done_by(limit) >= batches)
    finish = ending_of(teams).finish
    assert math.isclose(finish.p50, best, rel_tol=ROUNDING)
    assert math.isclose(finish.p95, best, rel_tol=ROUNDING)
