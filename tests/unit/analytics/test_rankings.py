"""The world result and its rankings."""

from __future__ import annotations

import pytest

from backfill.analytics import UnreadableSnapshot
from backfill.analytics.rankings import borda, ranks
from tests.unit.analytics.builders import a_world


def row(
    district: str, clubs: str, payments: str = "0.00%", distinguished: str = "0.00%", region: str = "01"
) -> dict[str, str]:
    return {
        "DISTRICT": district,
        "REGION": region,
        "% Club Growth": clubs,
        "% Payment Growth": payments,
        "% Distinguished Clubs": distinguished,
    }


def test_ties_share_a_rank_and_the_next_rank_is_skipped() -> None:
    assert ranks({"a": 5, "b": 7, "c": 5, "d": 1}) == {"b": 1, "a": 2, "c": 2, "d": 4}


def test_borda_points_are_zero_if_all_districts_tie() -> None:
    assert borda({"a": 1, "b": 2, "c": 2}, 3) == {"a": 3, "b": 2, "c": 2}
    assert borda({"a": 1, "b": 1}, 2) == {"a": 0, "b": 0}


def test_districts_are_ranked_by_their_three_percentages() -> None:
    """Calculated by hand: four districts with a tie in club growth and a tie of all in distinguished clubs."""
    world = a_world(
        row("01", "2.00%", "-3.50%"),
        row("02", "2.00%", "5.00%", region="02"),
        row("91", "-13.79%", "5.01%", region="02"),
        row("F", "0.00%", "-98.00%"),
    )
    lines = world["districts"]
    assert list(lines) == ["01", "02", "91", "F"]
    assert [line["clubGrowthRank"] for line in lines.values()] == [1, 1, 4, 3]
    assert [line["clubGrowthPoints"] for line in lines.values()] == [4, 4, 1, 2]
    assert [line["paymentGrowthRank"] for line in lines.values()] == [3, 2, 1, 4]
    assert [line["paymentGrowthPoints"] for line in lines.values()] == [2, 3, 4, 1]
    assert [line["distinguishedRank"] for line in lines.values()] == [1, 1, 1, 1]
    assert [line["distinguishedPoints"] for line in lines.values()] == [0, 0, 0, 0]
    assert [line["score"] for line in lines.values()] == [6, 7, 5, 3]
    assert [line["overallRank"] for line in lines.values()] == [2, 1, 3, 4]
    assert [line["regionRank"] for line in lines.values()] == [1, 1, 2, 2]
    assert [line["percentile"] for line in lines.values()] == [50.0, 75.0, 25.0, 0.0]
    assert lines["91"]["clubGrowthPercent"] == -13.79


def test_a_tie_of_scores_shares_the_overall_rank() -> None:
    lines = a_world(row("01", "2%", "1%"), row("02", "1%", "2%"), row("03", "0%", "0%"))["districts"]
    assert [lines[district]["overallRank"] for district in ("01", "02", "03")] == [1, 1, 3]
    assert [lines[district]["percentile"] for district in ("01", "02", "03")] == [66.7, 66.7, 0.0]


@pytest.mark.parametrize("cell", ["N/A", "", "much"])
def test_an_unknown_percentage_has_no_rank_and_no_points(cell: str) -> None:
    lines = a_world(row("01", cell), row("02", "1.00%"), row("03", "-1.00%"))["districts"]
    assert (lines["01"]["clubGrowthPercent"], lines["01"]["clubGrowthRank"], lines["01"]["clubGrowthPoints"]) == (
        None,
        None,
        0,
    )
    assert lines["02"]["clubGrowthRank"] == 1


def test_a_single_district_is_first_without_points() -> None:
    (line,) = a_world(row("91", "5.00%"))["districts"].values()
    assert (line["score"], line["overallRank"], line["regionRank"], line["percentile"]) == (0, 1, 1, 0.0)


def test_totals_are_sums_over_all_districts() -> None:
    totals = a_world(
        {"DISTRICT": "01", "Paid Clubs": "1,100", "Paid Club Base": "1,000", "Payment Base": "N/A"},
        {
            "DISTRICT": "02",
            "Paid Clubs": "20",
            "Paid Club Base": "100",
            "Payment Base": "300",
            "Total YTD Payments": "200",
            "Total Distinguished Clubs": "11",
        },
    )["totals"]
    assert totals["districts"] == 2
    assert (totals["paidClubs"], totals["paidClubBase"], totals["clubGrowthPercent"]) == (1120, 1100, 1.82)
    assert (totals["payments"], totals["paymentBase"], totals["paymentGrowthPercent"]) == (200, 300, -33.33)
    assert (totals["distinguished"]["total"], totals["distinguishedPercent"]) == (11, 1.0)
    assert totals["distinguished"]["smedley"] is None


def test_a_total_with_an_unreadable_part_is_null() -> None:
    totals = a_world({"DISTRICT": "01", "Paid Clubs": "lots"}, {"DISTRICT": "02", "Paid Clubs": "20"})["totals"]
    assert totals["paidClubs"] is None
    assert totals["clubGrowthPercent"] is None


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (({"DISTRICT": "01"}, {"DISTRICT": "1", "Paid Clubs": "7"}), "two different rows for district 01"),
        (({"DISTRICT": "Total"},), "no district"),
    ],
)
def test_contradictory_rows_and_invalid_districts_fail_the_item(rows: tuple[dict[str, str], ...], match: str) -> None:
    with pytest.raises(UnreadableSnapshot, match=match):
        a_world(*rows)


def test_a_district_with_two_equal_rows_counts_once() -> None:
    once = a_world({"DISTRICT": "01", "Paid Clubs": "7"}, {"DISTRICT": "02"})
    twice = ({"DISTRICT": "1", "REGION": " 10 ", "Paid Clubs": "7"}, {"DISTRICT": "01", "Paid Clubs": "7"})
    assert a_world(*twice, {"DISTRICT": "02"}) == once == a_world({"DISTRICT": "02"}, *twice[::-1])
    assert once["totals"]["districts"] == 2


def test_a_summary_without_rows_fails_the_item() -> None:
    with pytest.raises(UnreadableSnapshot, match="no rows"):
        a_world()
