"""The dataset on the command line, and its figures compared with those of the API."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.dataset as ds
import pytest

from backfill.service.commands import BackfillService
from tests.integration.checked_client import CheckedClient
from tests.integration.conftest import ClientFor
from tests.integration.test_command_line import error_of
from tests.integration.test_export import run_export
from tests.unit.analytics.builders import AClub, some_clubs
from tests.unit.fakes import DAY
from tests.unit.stored_results import store
from tests.unit.stored_snapshots import a_district, a_summary

GOALS = {"Level 1s": "4", "New Members": "4"}
CLUBS = [
    AClub(number="00000309", members="22", goals="2", code="S", goal_cells=GOALS, charter="Charter 09/30/23"),
    AClub(number="00000310", members="11", base="15", paid={"New": "3", "Total to Date": "14"}),
    AClub(number="00000311", status="Suspended", members="7", paid={"Total to Date": "1"}, charter="Susp 10/01/23"),
    AClub(number="00000312", status="Low", goals="x"),
]
JUNE = date(2026, 6, 30)


@pytest.fixture
def stored(served: BackfillService) -> BackfillService:
    """Return a service with results of two program years, one of them with Club Success Plans."""
    summary = a_summary(DAY, {"Paid Clubs": "3", "% Club Growth": "-25.00%"}, {"DISTRICT": "F", "REGION": ""})
    store(served.storage, summary, a_district(clubs=CLUBS), a_district(district="F"))
    with_plans = [AClub(plan="Y", goals="6"), *some_clubs(3, plan="N")]
    store(served.storage, a_district(JUNE, clubs=with_plans, as_of=date(2026, 7, 20)))
    return served


@pytest.fixture
def folder(stored: BackfillService, tmp_path: Path) -> Path:
    code, out, err = run_export("--dataset", str(tmp_path / "dataset"))
    assert (code, err) == (0, "")
    assert "2023-2024: 6 tables written" in out
    return tmp_path / "dataset"


def read_with_duckdb(folder: Path, table: str) -> list[dict[str, Any]]:
    relation = duckdb.sql(f"SELECT * FROM read_parquet('{folder}/{table}/*/*.parquet', hive_partitioning = true)")  # noqa: S608
    assert relation is not None
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def read_with_pandas(folder: Path, table: str) -> list[dict[str, Any]]:
    frame = pd.read_parquet(folder / table).astype(object)
    records = frame.where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in record.items()} for record in records]


def read_with_pyarrow(folder: Path, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ds.dataset(folder / table, partitioning="hive").to_table().to_pylist()
    return rows


@pytest.fixture(params=[read_with_duckdb, read_with_pandas, read_with_pyarrow])
def read(request: pytest.FixtureRequest) -> Any:
    return request.param


def number(cell: str) -> int | None:
    return int(cell) if cell.isdigit() else None


def report_rows(api: CheckedClient, day: date, district: str, report: str, key: str) -> dict[str, dict[str, str]]:
    text = b"".join(api.get(f"/api/snapshots/{day}/{district}/{report}.csv")).decode()
    rows = csv.DictReader(io.StringIO(text.rsplit("Month of", 1)[0]))
    return {row[key].lstrip("0"): row for row in rows}


@pytest.mark.parametrize(("day", "district"), [(DAY, "91"), (DAY, "F"), (JUNE, "91")])
def test_the_figures_of_each_club_equal_those_of_the_api(
    api: CheckedClient, folder: Path, read: Any, day: date, district: str
) -> None:
    result = api.get(f"/api/analytics/{day}/{district}").json()
    members = report_rows(api, day, district, "clubperformance", "Club Number")
    payments = report_rows(api, day, district, "districtperformance", "Club")
    found = {
        row["club_number"]: row
        for row in read(folder, "clubs")
        if (str(row["date"])[:10], row["district_id"]) == (str(day), district)
    }
    assert found.keys() == members.keys() == payments.keys()
    for club, row in found.items():
        cells, paid = members[club], payments[club]
        assert (row["status"], row["members"], row["base"], row["goals"]) == (
            cells["Club Status"],
            *(number(cells[name]) for name in ("Active Members", "Mem. Base", "Goals Met")),
        )
        assert (row["payments_new"], row["payments_total"]) == (number(paid["New"]), number(paid["Total to Date"]))
        level = {"S": "select", "": None}[cells["Club Distinguished Status"]]
        assert row["reported_level"] == level
    for club in result["health"]["clubs"]:
        row = found[club["clubNumber"]]
        assert [row[name] for name in ("members", "base", "net_growth", "goals", "health", "division", "area")] == [
            club[name] for name in ("members", "base", "netGrowth", "goals", "category", "division", "area")
        ]
    for club in result["distinguished"]["toGo"]:
        row = found[club["clubNumber"]]
        assert [row[f"{what}next_level"] for what in ("", "goals_to_", "members_to_")] == [
            club[name] for name in ("level", "goals", "members")
        ]
        assert row["plan_missing"] == club.get("planMissing")
    is_open = [row for row in found.values() if row["health"] or row["status"] == "Low"]
    assert len(is_open) == result["clubs"]["open"]
    for goal in result["goals"]:
        assert sum(row[f"goal_{goal['goal']}"] for row in is_open) == goal["achieved"]


def test_the_figures_of_districts_equal_those_of_the_api(api: CheckedClient, folder: Path, read: Any) -> None:
    for row in read(folder, "districts"):
        result = api.get(f"/api/analytics/{str(row['date'])[:10]}/{row['district_id']}").json()
        assert [row[name] for name in ("program_year", "data_month", "is_final", "schema_version")] == [
            result[name] for name in ("programYear", "dataMonth", "isFinal", "schemaVersion")
        ]
        assert [row[name] for name in ("clubs_paid", "membership_total", "payments_total", "quality_notes")] == [
            result["clubs"]["paid"],
            result["membership"]["total"],
            result["payments"]["total"],
            len(result["quality"]),
        ]
        assert row["membership_average_per_club"] == result["membership"]["averagePerClub"]
        rankings = result["rankings"] or {}
        assert row["rankings_club_growth_percent"] == rankings.get("clubGrowthPercent")
        assert row["targets_level"] == result["targets"]["level"]


def test_the_figures_of_other_tables_equal_those_of_the_api(api: CheckedClient, folder: Path, read: Any) -> None:
    result = api.get(f"/api/analytics/{DAY}/91").json()

    def rows(table: str) -> list[dict[str, Any]]:
        return [
            row
            for row in read(folder, table)
            if str(row["date"])[:10] == str(DAY) and row.get("district_id", "91") == "91"
        ]

    for table in ("divisions", "areas"):
        assert [
            (row["members"], row["goals"], row["gap_paid_clubs"], row["qualifying_level"]) for row in rows(table)
        ] == [
            (line["members"], line["goals"], (line["gap"] or {}).get("paidClubs"), line["qualifying"])
            for line in result[table]
        ]
    assert [(row["code"], row["message"], row["found"]) for row in rows("quality")] == [
        (note["code"], note["message"], None if note["found"] is None else str(note["found"]))
        for note in result["quality"]
    ]
    (world,) = rows("world")
    totals = api.get(f"/api/analytics/{DAY}/world").json()["totals"]
    assert (world["districts"], world["paid_clubs"], world["club_growth_percent"]) == (
        totals["districts"],
        totals["paidClubs"],
        totals["clubGrowthPercent"],
    )


# The command.


def test_a_second_export_writes_nothing(folder: Path) -> None:
    code, out, _ = run_export("--dataset", str(folder))
    assert code == 0
    assert out.splitlines() == ["2023-2024: 6 tables unchanged", "2025-2026: 6 tables unchanged"]


def test_snapshots_without_analytics_are_named_with_the_command(stored: BackfillService, tmp_path: Path) -> None:
    stored.storage.snapshots.put(a_district(date(2024, 2, 29)))
    code, out, err = run_export("--dataset", str(tmp_path / "dataset"))
    assert code == 2
    assert "1 snapshot without analytics of the present content left out." in err
    assert "manage.py backfill start --type analytics-generation" in err
    assert "2023-2024: 6 tables written" in out


def test_csv_for_spreadsheets_is_written_on_request(stored: BackfillService, tmp_path: Path) -> None:
    code, *_ = run_export("--dataset", str(tmp_path / "dataset"), "--for-spreadsheets")
    assert code == 0
    file = tmp_path / "dataset" / "clubs" / "program_year=2023-2024" / "clubs.csv"
    assert file.read_bytes().startswith(b"\xef\xbb\xbfdate,district_id,")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "2024-01-01"), "--dataset writes the whole history. Leave out --from."),
        (("--what", "snapshots", "--district", "91"), "Leave out --what, --district."),
        (("--format", "jsonl"), "--format of a dataset must be parquet or csv; it was 'jsonl'."),
        (("--format", "parquet", "--for-spreadsheets"), "--for-spreadsheets applies to --format csv, not to parquet."),
    ],
)
def test_an_option_that_does_not_apply_is_refused(
    stored: BackfillService, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in error_of("export", "--dataset", str(tmp_path / "dataset"), *arguments)
    assert not (tmp_path / "dataset").exists()


def test_a_folder_that_cannot_be_used_is_reported_in_one_line(stored: BackfillService, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert error_of("export", "--dataset", str(tmp_path / "file")) == f"{tmp_path}/file is a file. Name a folder."
    assert "cannot be written: Not a directory" in error_of("export", "--dataset", str(tmp_path / "file" / "below"))
    assert error_of("export", "--dataset", " ") == "--dataset is empty. Name a folder."


# The dictionary.


def test_the_dictionary_is_sent_with_an_etag(api: CheckedClient) -> None:
    response = api.get("/api/dictionary")
    body = response.json()
    members = next(entry for entry in body["columns"] if (entry["table"], entry["name"]) == ("clubs", "members"))
    assert members == {
        "name": "members",
        "type": "integer",
        "unit": "members",
        "meaning": "Active members.",
        "source": "clubperformance: Active Members",
        "firstProgramYear": "2008-2009",
        "table": "clubs",
        "resultField": "health.clubs[].members",
    }
    assert {entry["result"] for entry in body["resultFields"]} == {"district", "world", "series"}
    assert api.get("/api/dictionary", HTTP_IF_NONE_MATCH=response["ETag"]).status_code == 304


def test_the_dictionary_needs_the_permission_to_view(client_for: ClientFor) -> None:
    assert client_for().get("/api/dictionary").status_code == 403
    assert client_for("view_backfilljob").get("/api/dictionary").status_code == 200
    assert client_for("view_backfilljob").get("/api/dictionary?table=clubs").status_code == 400
