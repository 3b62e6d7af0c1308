"""Properties of the results of every district, regardless of its cells."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backfill.analytics import DistrictInputs, Table, UnreadableSnapshot, WorldInputs, district_result, world_result
from tests.unit.analytics.builders import GOAL_COLUMNS, PAYMENT_COLUMNS, AClub, district_inputs

COUNTS = st.integers(0, 40).map(str)
CELLS = st.one_of(COUNTS, st.sampled_from(["", "N/A", "-3", "1,234", " 7 ", "x", "12%", "\u00e9"]), st.text(max_size=8))


def clubs_with(cells: st.SearchStrategy[str], numbers: st.SearchStrategy[str]) -> st.SearchStrategy[list[AClub]]:
    """Hypothesis draws numbers and texts; a seed distributes them over the cells, since a draw per cell is slow."""
    texts = st.lists(cells, min_size=1, max_size=12)
    return st.builds(_clubs, st.lists(numbers, min_size=1, max_size=8), texts, st.integers(0, 2**32 - 1))


def _clubs(numbers: list[str], texts: list[str], seed: int) -> list[AClub]:
    one_of = Random(seed).choice

    def some(columns: tuple[str, ...]) -> dict[str, str]:
        share = one_of([0.0, 0.2, 0.5, 1.0])
        return {name: one_of(texts) for name in columns if one_of(range(100)) < 100 * share}

    return [
        AClub(
            number=number,
            name=one_of(["A", "B  b", ""]),
            division=one_of(["A", "B", "0D"]),
            area=one_of(["01", "02", "0A"]),
            status=one_of(["Active", "Low", "Ineligible", "Suspended"]),
            members=one_of(texts),
            base=one_of(texts),
            goals=one_of(texts),
            code=one_of(["", "D", "S", "P", "M"]),
            plan=one_of(["Y", "N"]),
            goal_cells=some(GOAL_COLUMNS),
            paid=some(PAYMENT_COLUMNS),
        )
        for number in numbers
    ]


VALID = clubs_with(COUNTS, st.integers(1, 10**8 - 1).map("{:08d}".format))
ARBITRARY = clubs_with(CELLS, st.one_of(st.integers(1, 3).map(str), st.sampled_from(["", "0", "x1"])))
MOMENTS = st.fixed_dictionaries({"year": st.integers(2014, 2027), "month": st.integers(1, 12)})


def as_bytes(result: dict[str, Any]) -> bytes:
    return json.dumps(result, separators=(",", ":"), allow_nan=False).encode()


@given(VALID, MOMENTS)
def test_each_open_club_has_exactly_one_health_category(clubs: list[AClub], moment: dict[str, int]) -> None:
    result = district_result(district_inputs(clubs, **moment))
    health = result["health"]
    counted = [health[name] for name in ("thriving", "vulnerable", "interventionRequired")]
    assert sum(counted) == result["clubs"]["open"] == len(health["clubs"])
    for name in ("thriving", "vulnerable", "interventionRequired"):
        assert health[name] == sum(club["category"] == name for club in health["clubs"])


@given(VALID, MOMENTS)
def test_counts_add_up_to_their_totals(clubs: list[AClub], moment: dict[str, int]) -> None:
    result = district_result(district_inputs(clubs, **moment))
    counts = result["clubs"]
    assert counts["active"] + counts["low"] + counts["ineligible"] == counts["open"]
    assert counts["open"] + counts["suspended"] == counts["total"]
    assert len(counts["suspendedClubs"]) == counts["suspended"]
    for levels in (result["distinguished"]["reported"], result["distinguished"]["qualifying"]):
        assert sum(levels[name] for name in ("distinguished", "select", "presidents", "smedley")) == levels["total"]
    for units in (result["divisions"], result["areas"]):
        assert sum(unit["clubs"] for unit in units) == counts["open"]
        assert sum(unit["members"] for unit in units) == result["membership"]["total"]
        assert sum(unit["goals"] for unit in units) == result["point"]["goals"]
    top = sum(line["level"] is None for line in result["distinguished"]["toGo"])
    assert top <= result["distinguished"]["qualifying"]["total"]


@given(ARBITRARY, MOMENTS, st.integers(0, 10**6))
def test_the_result_does_not_depend_on_the_order_of_the_rows(
    clubs: list[AClub], moment: dict[str, int], seed: int
) -> None:
    source = district_inputs(clubs, **moment)
    assert as_bytes(district_result(shuffled(source, Random(seed)))) == as_bytes(district_result(source))


@given(ARBITRARY, MOMENTS)
def test_equal_inputs_produce_identical_bytes_and_no_cell_raises(clubs: list[AClub], moment: dict[str, int]) -> None:
    once, again = (as_bytes(district_result(district_inputs(clubs, **moment))) for _ in range(2))
    assert once == again


@given(ARBITRARY, MOMENTS, st.data())
def test_arbitrary_text_in_any_cell_does_not_raise(
    clubs: list[AClub], moment: dict[str, int], data: st.DataObject
) -> None:
    source = district_inputs(clubs, **moment)
    changed_tables = {name: with_any_cells(getattr(source, name), data) for name in ("clubs", "districts", "divisions")}
    texts, one_of = data.draw(st.lists(CELLS, min_size=1, max_size=8)), Random(data.draw(st.integers(0, 10**6))).choice
    summary = {name: one_of(texts) for name in source.summary or {}}
    result = district_result(replace(source, **changed_tables, summary=summary))  # type: ignore[arg-type]
    assert json.loads(as_bytes(result)) == result


@given(
    st.lists(st.tuples(st.sampled_from(["01", "1", "2", "91", "F", "X9", ""]), CELLS, CELLS, CELLS, CELLS), max_size=6)
)
def test_arbitrary_cells_of_a_summary_produce_a_result_or_unreadable_snapshot(rows: list[tuple[str, ...]]) -> None:
    columns = ("DISTRICT", "REGION", "% Club Growth", "% Payment Growth", "Paid Clubs")
    source = district_inputs([AClub()])
    world = WorldInputs(
        date=source.date,
        data_month=source.date,
        as_of=source.date,
        is_final=False,
        source_hash="",
        summary=Table(columns, rows),
    )
    result = None
    with suppress(UnreadableSnapshot):
        result = world_result(world)
    if result is not None:
        backwards = replace(world, summary=Table(columns, rows[::-1]))
        assert as_bytes(world_result(backwards)) == as_bytes(result)
        assert all(1 <= line["overallRank"] <= len(rows) for line in result["districts"].values())


def with_any_cells(table: Table, data: st.DataObject) -> Table:
    """The table with some of its cells replaced."""
    rows = [list(row) for row in table.rows]
    for _ in range(data.draw(st.integers(0, 4))):
        row, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, len(table.columns) - 1))
        rows[row][column] = data.draw(CELLS)
    return Table(table.columns, rows)


def shuffled(source: DistrictInputs, rng: Random) -> DistrictInputs:
    tables = {name: getattr(source, name) for name in ("clubs", "districts", "divisions")}
    mixed = {name: Table(table.columns, rng.sample(table.rows, len(table.rows))) for name, table in tables.items()}
    return replace(source, **mixed)  # type: ignore[arg-type]
