"""Parsing of cells, and rounding."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backfill.analytics.cells import club_number, is_blank, number, percent, percentage, points, rounded, share_ceiling


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("0", 0),
        ("42", 42),
        (" 42 ", 42),
        ("-3", -3),
        ("+3", 3),
        ("1,234", 1234),
        ("-1,234,567", -1234567),
        ("007", 7),
    ],
)
def test_an_integer_is_parsed_with_commas_signs_and_spaces(cell: str, value: int) -> None:
    assert number(cell) == value


@pytest.mark.parametrize(
    "cell", ["", " ", "N/A", "n/a", "12.5", "1,23", "1_000", "\u0664", "--1", "1e3", "nan", "9" * 5000]
)
def test_an_invalid_integer_is_none_and_not_zero(cell: str) -> None:
    assert number(cell) is None


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("28.97%", "28.97"),
        ("-13.79%", "-13.79"),
        ("1,234.50 %", "1234.50"),
        ("7", "7"),
        ("0.00%", "0"),
    ],
)
def test_a_percentage_is_parsed_in_percent(cell: str, value: str) -> None:
    assert percent(cell) == Decimal(value)


@pytest.mark.parametrize("cell", ["", "N/A", "%", "Infinity", "NaN", "1.2.3%", "12%%"])
def test_an_invalid_percentage_is_none(cell: str) -> None:
    assert percent(cell) is None


def test_a_percentage_of_minus_zero_is_written_without_a_sign() -> None:
    assert str(points(percent("-0.00%"))) == "0.0"


@pytest.mark.parametrize(
    ("cell", "blank"), [("", True), ("  ", True), ("N/A", True), (" n/a", True), ("0", False), ("-", False)]
)
def test_only_empty_cells_and_n_a_are_blank(cell: str, blank: bool) -> None:
    assert is_blank(cell) is blank


@pytest.mark.parametrize(
    ("part", "whole", "digits", "value"),
    [
        (5, 2, 0, 3.0),
        (-5, 2, 0, -3.0),
        (7, 2, 0, 4.0),
        (-7, 2, 0, -4.0),
        (1, 3, 2, 0.33),
        (2, 3, 1, 0.7),
        (5, -2, 0, -3.0),
        (1, 8, 2, 0.13),
        (-1, 8, 2, -0.13),
        (2675, 1000, 2, 2.68),
        (0, 7, 1, 0.0),
    ],
)
def test_values_are_rounded_half_away_from_zero(part: int, whole: int, digits: int, value: float) -> None:
    assert rounded(part, whole, digits) == value


def test_a_negative_value_that_rounds_to_zero_has_no_sign() -> None:
    assert str(rounded(-1, 1000, 1)) == "0.0"


def test_a_division_by_zero_is_none() -> None:
    assert rounded(1, 0, 2) is None
    assert percentage(1, 0, 2) is None
    assert percentage(None, 5, 2) is None


def test_percentages_are_rounded_to_the_given_digits() -> None:
    assert percentage(1, 3, 1) == 33.3
    assert percentage(1, 3, 2) == 33.33
    assert percentage(-4919, 9211, 2) == -53.4
    assert percentage(1, 800, 2) == 0.13


@pytest.mark.parametrize(
    ("base", "percentage_of_base", "least"),
    [
        (100, 55, 55),
        (100, 45, 45),
        (101, 55, 56),
        (20, 55, 11),
        (175, 101, 177),
        (0, 60, 0),
        (1, 1, 1),
        (200, 1.5, 3),
        (201, 1.5, 4),
    ],
)
def test_a_share_is_rounded_up_exactly(base: int, percentage_of_base: float, least: int) -> None:
    assert share_ceiling(base, round(10 * percentage_of_base)) == least


@pytest.mark.parametrize(("cell", "text"), [("00000309", "309"), (" 309 ", "309"), ("28677767", "28677767"), ("0", "")])
def test_club_numbers_are_normalised_without_leading_zeros(cell: str, text: str) -> None:
    assert club_number(cell) == text
