"""The examples of docs/datasets.md run on the dataset of a sample world, and give the figures of the service."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from backfill.analytics.changes import ChangeKind
from backfill.domain import SUMMARY, ProgramYear, district_order, month_ends
from backfill.service.queries import HistoryQueries
from backfill.transfer.dataset import DatasetFormat, write_dataset
from sample_dashboard.world import SampleWorld
from tests.memory_storage import MemoryStorage
from tests.sample_history import store_closes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"
WORLD = SampleWorld(today=date(2026, 11, 15))
JUNE, JULY = date(2026, 6, 30), date(2026, 7, 31)
MONTHS = month_ends(date(2025, 7, 1), date(2026, 9, 30))


def examples() -> dict[str, str]:
    """Return the code of each example by its heading."""
    example = r"^### ([^\n]+)\n(?:(?!^#).)*?```(?:sql|python)\n(.*?)```"
    found = re.findall(example, PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return dict(found)


@pytest.fixture(scope="module")
def history() -> HistoryQueries:
    memory = MemoryStorage()
    store_closes(memory, WORLD, MONTHS)
    return HistoryQueries(memory)


@pytest.fixture(scope="module")
def folder(history: HistoryQueries, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that contains the dataset under the name that the examples use."""
    folder = tmp_path_factory.mktemp("examples")
    write_dataset(
        history.storage,
        folder / "dataset",
        DatasetFormat.PARQUET,
        on_year=lambda _: None,
        on_problem=lambda key, _: pytest.fail(key),
    )
    return folder


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs the SQL of an example."""
    monkeypatch.chdir(folder)

    def rows(heading: str) -> list[dict[str, Any]]:
        relation = duckdb.sql(examples()[heading])
        assert relation is not None
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]

    return rows


def body(history: HistoryQueries, day: date, district: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(history.result(day, district).body)
    return result


def test_the_page_has_the_examples_that_are_tested() -> None:
    assert list(examples()) == [
        "History of a club",
        "Changes between two dates",
        "Clubs that lack one goal",
        "Growth of all districts",
        "Members of a district with pandas",
    ]


def test_the_history_of_a_club_follows_it_across_districts(run: Any, history: HistoryQueries) -> None:
    found = run("History of a club")
    assert [row["date"] for row in found] == MONTHS
    assert [row["district_id"] for row in found] == ["02"] * 12 + ["03"] * 3
    for row in found:
        clubs = body(history, row["date"], row["district_id"])["health"]["clubs"]
        club = next(club for club in clubs if club["clubNumber"] == "13995")
        assert [row[name] for name in ("members", "goals", "division", "area")] == [
            club[name] for name in ("members", "goals", "division", "area")
        ]


def test_the_changes_between_two_dates_are_those_of_the_service(run: Any, history: HistoryQueries) -> None:
    changes = history.changes.between("03", JUNE, JULY)
    lists = (ChangeKind.NEW, ChangeKind.CLOSED, ChangeKind.MOVED)
    expected = [
        (
            club.latest.figures.club_number,
            next((str(kind) for kind in lists if kind in club.kinds), None),
            club.before.district if club.before else None,
            club.after.district if club.after else None,
            club.members.change,
        )
        for club in changes.clubs
    ]
    assert [tuple(row.values()) for row in run("Changes between two dates")] == sorted(expected)
    assert changes.of_kind(ChangeKind.MOVED), "the example shows clubs that moved"


def test_the_clubs_that_lack_one_goal_are_those_of_the_results(run: Any, history: HistoryQueries) -> None:
    expected = [
        (district, line["clubNumber"], line["level"])
        for district in WORLD.districts_of(WORLD.years[1])
        for line in body(history, JUNE, district)["distinguished"]["toGo"]
        if (line["goals"], line["members"]) == (1, 0) and not line.get("planMissing")
    ]
    found = run("Clubs that lack one goal")
    assert [(row["district_id"], row["club_number"], row["next_level"]) for row in found] == sorted(expected)
    assert found


def test_the_growth_of_all_districts_is_that_of_the_results(run: Any, history: HistoryQueries) -> None:
    found = {row["district_id"]: row for row in run("Growth of all districts")}
    ranks = {name: line["overallRank"] for name, line in body(history, JUNE, SUMMARY)["districts"].items()}
    assert list(found) == sorted(ranks, key=lambda name: (ranks[name], district_order(name)))
    for district, row in found.items():
        result = body(history, JUNE, district)
        assert list(row.values()) == [
            district,
            result["clubs"]["netGrowth"],
            result["membership"]["netGrowth"],
            result["payments"]["growthPercent"],
            ranks[district],
        ]


def test_the_plot_shows_the_members_of_the_series(
    folder: Path, history: HistoryQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("MPLCONFIGDIR", str(folder / "matplotlib"))
    names: dict[str, Any] = {}
    exec(examples()["Members of a district with pandas"], names)  # noqa: S102 - the documentation is our own
    points = [point for year in (ProgramYear(2025), ProgramYear(2026)) for point in history.series("05", year).points]
    (line,) = names["axes"].get_lines()
    assert list(line.get_ydata()) == [point.figures["members"] for point in points]
    assert [pd.Timestamp(day).date() for day in names["members"].index] == [point.date for point in points]
    assert (folder / "members.png").read_bytes().startswith(b"\x89PNG")
