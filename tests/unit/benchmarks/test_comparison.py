"""Figures before and after a run of the benchmarks."""

from __future__ import annotations

import pytest

from benchmarks.comparison import Change, changes, table
from benchmarks.figures import Better, Figure
from benchmarks.results import Value

RATIO = Figure("ratio", "ratio", digits=2, better=Better.HIGHER, is_compared=True)
READS = Figure("reads", "reads", better=Better.LOWER, is_compared=True)
RATE = Figure("rate", "rate", "items/s", better=Better.HIGHER)


@pytest.mark.parametrize(
    ("figure", "before", "after", "fails"),
    [
        (RATIO, 1.0, 0.86, False),
        (RATIO, 1.0, 0.84, True),
        (RATIO, 1.0, 2.0, False),
        (READS, 100, 114, False),
        (READS, 100, 116, True),
        (READS, 100, 10, False),
        (READS, 0, 0, False),
        (READS, 0, 1, True),
        (RATE, 200, 20, False),
        (RATIO, None, 0.1, False),
    ],
)
def test_only_figures_that_do_not_depend_on_the_machine_can_be_too_much_worse(
    figure: Figure, before: float | None, after: float, *, fails: bool
) -> None:
    assert Change(f"one.{figure.name}", figure, before, after).is_too_much_worse is fails


def test_a_ratio_that_rises_from_zero_is_not_worse() -> None:
    assert not Change("one.ratio", RATIO, 0, 1).is_too_much_worse


def test_a_new_figure_is_listed_without_a_value_before() -> None:
    before = {"one.ratio": Value(RATIO, 1.0)}
    after = {"one.ratio": Value(RATIO, 0.5), "one.rate": Value(RATE, 200)}
    ratio, rate = changes(before, after)
    assert (ratio.before, ratio.after) == (1.0, 0.5)
    assert (rate.before, rate.after) == (None, 200)
    lines = table([ratio, rate]).splitlines()
    assert lines[1].split() == ["=", "one.ratio", "1.00", "0.50", "-50%", "more", "than", "15%", "worse"]
    assert lines[2].split() == ["one.rate", "200", "items/s"]
    assert ratio.sentence == "one.ratio is 0.50; before it was 1.00."
