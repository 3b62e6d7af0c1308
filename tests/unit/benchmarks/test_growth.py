"""Statements about growth, and the picture of it."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from benchmarks.growth import Growth, Statement, memory_slope, time_slope
from benchmarks.plot import LinearAxis, LogAxis, svg

SIZES = (1_000, 10_000, 100_000, 1_000_000)


def problem_of(growth: Growth, seconds: list[float]) -> str:
    return Statement("The time of a claim", growth, time_slope(list(zip(SIZES, seconds, strict=True)))).problem


def test_time_in_proportion_to_the_items_is_linear() -> None:
    assert time_slope([(size, size / 1000) for size in SIZES]) == pytest.approx(1)
    assert problem_of(Growth.LINEAR, [1, 10, 100, 1000]) == ""


def test_constant_time_is_flat_with_noise_and_below_what_can_be_measured() -> None:
    assert problem_of(Growth.FLAT, [0.9, 1.2, 0.8, 1.1]) == ""
    assert problem_of(Growth.FLAT, [0.0001, 0.001, 0.004, 0.019]) == ""


@pytest.mark.parametrize(
    ("growth", "seconds"),
    [
        (Growth.FLAT, [1, 10, 100, 1000]),
        (Growth.FLAT, [0.02, 0.03, 0.1, 1]),
        (Growth.LINEAR, [0.03, 0.5, 50, 5000]),
    ],
)
def test_a_statement_that_is_not_true_has_a_problem(growth: Growth, seconds: list[float]) -> None:
    assert f"The time of a claim is stated to be {growth}, but its slope is" in problem_of(growth, seconds)


def test_a_constant_cost_of_small_sizes_does_not_hide_linear_growth() -> None:
    assert time_slope([(size, 1 + size / 1000) for size in SIZES]) > Growth.FLAT.steepest


def test_memory_is_measured_above_the_smallest_size() -> None:
    assert memory_slope([(1_000, 80), (10_000, 81), (100_000, 84), (1_000_000, 87)]) == 0
    assert memory_slope([(1_000, 80), (10_000, 90), (100_000, 180), (1_000_000, 1080)]) == pytest.approx(1)


def test_a_linear_statement_about_what_is_flat_is_too_weak() -> None:
    assert Statement("The time of a page", Growth.LINEAR, 0.1).is_too_weak
    assert not Statement("The time of a page", Growth.LINEAR, 0.9).is_too_weak
    assert not Statement("The time of a page", Growth.FLAT, 0.1).is_too_weak


def test_a_slope_needs_two_sizes() -> None:
    with pytest.raises(ValueError, match="at least two sizes"):
        time_slope([(1_000, 1), (1_000, 2)])


def test_axes_contain_all_values() -> None:
    across = LogAxis.over([1_050, 1_000_050], 0, 300)
    assert across.ticks == [1_000, 10_000, 100_000, 1_000_000]
    assert across.at(10_000) == pytest.approx(100)
    up = LinearAxis.over([76, 101], 400, 0)
    assert up.ticks == [0, 25, 50, 75, 100, 125]
    assert up.at(125) == 0


def test_the_picture_labels_each_line_once_in_each_chart() -> None:
    points = [{"items": size, "seconds": size / 1000, "peak_mb": 80} for size in SIZES]
    root = ET.fromstring(svg({"plan": {"points": points}, "claim": {"points": points}}))  # noqa: S314 - our own
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("plan") == texts.count("claim") == 2
    assert texts.count("items") == 2
    assert "1,000,000" in texts
