import pytest

from policy.wording import counts, duration, names, number, plural, rounded


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.045, "45 ms"),
        (3.24, "3.2 s"),
        (99.94, "99.9 s"),
        (720, "12 min"),
        (19_200, "5 h 20 min"),
        (36_000, "10 h"),
    ],
)
def test_a_duration_is_said_in_the_unit_that_fits(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((), "none"),
        ((4,), "4"),
        ((1, 2, 4, 8), "1, 2, 4, 8"),
        ((4, 10, 11, 12), "4, 10-12"),
        (tuple(range(10, 51)), "10-50"),
    ],
)
def test_a_set_of_counts_is_said_with_its_runs_closed_up(steps, said):
    assert counts(steps) == said


def test_numbers_and_nouns_are_said_plainly():
    assert number(3) == "3"
    assert rounded(0.97349) == "0.973"
    assert [plural(1, "step"), plural(4, "step"), plural(2, "forward pass"), plural(12_000, "shot")] == [
        "1 step",
        "4 steps",
        "2 forward passes",
        "12,000 shots",
    ]


def test_many_names_are_cut_short():
    assert names(["fox"]) == '"fox"'
    assert names(["a", "b", "c", "d", "e"]) == '"a", "b", "c" and 2 more'
