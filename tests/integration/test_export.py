"""Exports of snapshots and results on the command line."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import tracemalloc
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.core.management import call_command

from backfill.domain import ReportName
from backfill.domain.text import without_formula
from backfill.service.commands import BackfillService
from backfill.service.queries import Selection
from backfill.transfer.export import ExportDataset, ExportFormat, export
from backfill.transfer.export.result_columns import COLUMNS, flatten_result
from tests.integration.test_command_line import error_of, output_of
from tests.integration.test_command_line_analytics import computed, service  # noqa: F401 - fixtures
from tests.memory_storage import MemoryStorage
from tests.unit.analytics.builders import AClub, some_clubs
from tests.unit.fakes import DAY
from tests.unit.stored_snapshots import a_district, a_summary, broken

CLUBS = ("--what", "snapshots", "--format")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def run_export(*arguments: str) -> tuple[int, str, str]:
    return run_command("export", *arguments)


def run_command(*arguments: str) -> tuple[int, str, str]:
    """Run a command, and return exit code, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("backfill", *arguments, stdout=out, stderr=err)
    except SystemExit as exit_:
        return int(exit_.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


# Snapshots.


def test_the_rows_of_a_report_are_exported_with_the_keys_of_their_snapshot(service: BackfillService) -> None:  # noqa: F811
    found = rows(output_of("export", *CLUBS, "csv", "--district", "91"))
    assert [row["Club Number"] for row in found] == ["00000001", "00000002", "00000003", "00000004"]
    assert list(found[0])[:7] == [
        "date",
        "districtId",
        "programYear",
        "dataMonth",
        "asOf",
        "isFinal",
        "District",
    ]
    assert list(found[0].values())[:6] == ["2024-01-31", "91", "2023-2024", "2024-01", "2024-02-09", "true"]


def test_another_report_can_be_exported(service: BackfillService) -> None:  # noqa: F811
    found = rows(output_of("export", *CLUBS, "csv", "--report", "districtsummary"))
    assert [row["DISTRICT"] for row in found] == ["91"]
    assert "Total to Date" in rows(output_of("export", *CLUBS, "csv", "--report", "districtperformance"))[0]


def test_an_export_contains_the_columns_of_all_program_years(service: BackfillService) -> None:  # noqa: F811
    """A column that a year does not have is empty in CSV, and omitted in JSON lines."""
    later = a_district(date(2026, 1, 31), clubs=[AClub(plan="Y")])
    service.storage.snapshots.put(later)
    found = rows(output_of("export", *CLUBS, "csv", "--district", "91"))
    assert [row["CSP"] for row in found] == ["", "", "", "", "Y"]
    lines = [json.loads(line) for line in output_of("export", *CLUBS, "jsonl", "--district", "91").splitlines()]
    assert ["CSP" in line for line in lines] == [False, False, False, False, True]
    assert (lines[0]["Club Number"], lines[0]["isFinal"]) == ("00000001", True)


def test_an_export_can_be_limited_to_a_range(service: BackfillService) -> None:  # noqa: F811
    assert rows(output_of("export", *CLUBS, "csv", "--from", "2024-02-01")) == []
    assert len(rows(output_of("export", *CLUBS, "csv", "--from", "2024-01-31", "--to", "2024-01-31"))) == 8


def test_an_unreadable_snapshot_is_reported_and_the_rest_is_exported(service: BackfillService) -> None:  # noqa: F811
    """No item is omitted without a message."""
    service.storage.snapshots.put(broken(a_district(as_of=date(2024, 2, 12))))
    for kind in ("csv", "jsonl"):
        code, out, err = run_export(*CLUBS, kind)
        assert code == 2
        assert len(out.splitlines()) == 4 + (kind == "csv")
        assert err.count("Skipped 2024-01-31/91: clubperformance of snapshot 2024-01-31/91 has 1 cells") == 1
        assert "1 item could not be read" in err


# Results.


def test_results_as_json_lines_are_the_stored_bytes(computed: BackfillService) -> None:  # noqa: F811
    lines = output_of("export", "--format", "jsonl").splitlines()
    stored = [computed.storage.results.get(DAY, district) for district in ("91", "F")]
    assert [line.encode() for line in lines] == [result.body for result in stored if result]


def test_results_as_csv_have_dotted_column_names(computed: BackfillService) -> None:  # noqa: F811
    found = rows(output_of("export"))
    assert list(found[0]) == list(COLUMNS)
    row = found[0]
    assert (row["districtId"], row["membership.total"], row["isFinal"]) == ("91", "80", "true")
    assert (row["rankings.overallRank"], row["yearOverYear.members.change"]) == ("1", "")


def test_every_figure_of_a_result_has_a_column(computed: BackfillService) -> None:  # noqa: F811
    """A new figure without a column fail this test. Lists and repetitions of other columns are exempt."""
    result = computed.storage.results.get(DAY, "91")
    assert result is not None
    body = json.loads(result.body)

    def leaves(value: Any, name: str) -> set[str]:
        if isinstance(value, dict):
            return {leaf for key, inner in value.items() for leaf in leaves(inner, f"{name}.{key}".lstrip("."))}
        return set() if isinstance(value, list) else {name}

    missing = {name for name in leaves(body, "") - set(COLUMNS) if not name.startswith("point.")}
    assert missing == {"yearOverYear"}  # null without a result of the year before
    assert flatten_result(body)["qualityNotes"] == len(body["quality"])


def test_parquet_has_typed_columns(computed: BackfillService, tmp_path: Path) -> None:  # noqa: F811
    target = tmp_path / "results.parquet"
    code, out, err = run_export("--format", "parquet", "--output", str(target))
    assert (code, out) == (0, "")
    assert "2 records written to" in err
    table = pq.read_table(target)
    assert [str(table.schema.field(name).type) for name in ("date", "isFinal", "membership.total")] == [
        "date32[day]",
        "bool",
        "int64",
    ]
    assert table.column("membership.total").to_pylist() == [80, 80]
    assert table.column("rankings.overallRank").to_pylist() == [1, None]
    clubs = tmp_path / "clubs.parquet"
    run_export(*CLUBS, "parquet", "--output", str(clubs))
    assert pq.read_table(clubs).column("Club Number").to_pylist()[0] == "00000001"


def test_a_missing_package_is_named(
    computed: BackfillService,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    target = tmp_path / "results.parquet"
    assert "pip install pyarrow" in error_of("export", "--format", "parquet", "--output", str(target))
    assert list(tmp_path.iterdir()) == []


# Output files.


def test_a_failed_export_leaves_the_output_file_unchanged(
    computed: BackfillService,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "results.csv"
    target.write_text("previous content")

    def fail(_: Any) -> Any:
        raise RuntimeError("in the middle")

    monkeypatch.setattr("backfill.transfer.export.sources.flatten_result", fail)
    with pytest.raises(RuntimeError):
        run_export("--output", str(target))
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]
    assert target.read_text() == "previous content"
    monkeypatch.undo()


def test_an_output_file_that_cannot_be_written_is_reported(computed: BackfillService, tmp_path: Path) -> None:  # noqa: F811
    assert "cannot be written" in error_of("export", "--output", str(tmp_path / "nowhere" / "results.csv"))


def test_an_output_path_that_is_not_a_file_is_refused(computed: BackfillService, tmp_path: Path) -> None:  # noqa: F811
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for existing in (pipe, tmp_path):
        assert error_of("export", "--output", str(existing)).startswith(f"{existing} exists and is not a file.")


def test_an_export_through_a_symbolic_link_replaces_its_target(
    computed: BackfillService,  # noqa: F811
    tmp_path: Path,
) -> None:
    link, target = tmp_path / "newest.csv", tmp_path / "results.csv"
    target.write_text("previous content")
    link.symlink_to(target)
    assert run_export("--output", str(link))[0] == 0
    assert link.is_symlink()
    assert target.read_text().startswith("date,")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--what", "jobs"], "--what must be one of snapshots, analytics"),
        (["--format", "xls"], "--format must be one of csv, jsonl, parquet"),
        (["--report", "clubs"], "--report must be one of clubperformance"),
        (["--from", "2024-02-01", "--to", "2024-01-01"], "must not be after the last"),
        (["--district", "x1"], "'x1' is not a district"),
    ],
)
def test_an_invalid_argument_is_reported_in_one_line(
    service: BackfillService,  # noqa: F811
    arguments: list[str],
    sentence: str,
) -> None:
    assert sentence in error_of("export", *arguments)


class _CountingWriter(io.RawIOBase):
    size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.size += len(data)
        return len(data)


@pytest.mark.parametrize("kind", list(ExportFormat))
def test_the_memory_of_an_export_does_not_grow_with_its_size(kind: ExportFormat) -> None:
    storage = MemoryStorage()
    clubs = some_clubs(60)
    for number in range(1, 121):
        storage.snapshots.put(a_district(district=f"{number:02d}", clubs=clubs))
    storage.snapshots.put(a_summary())
    from backfill.service.queries import HistoryQueries

    out = _CountingWriter()
    tracemalloc.start()
    try:
        count = export(
            HistoryQueries(storage),
            ExportDataset.SNAPSHOTS,
            kind,
            Selection(),
            out,  # type: ignore[arg-type]
            report=ReportName.CLUBS,
            on_problem=lambda *_: pytest.fail("a snapshot could not be read"),
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 120 * 60
    assert out.size > 5_000
    assert peak < 6_000_000


# Texts that a spreadsheet would evaluate, and texts that control a terminal.


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd", "-1+cmd", "@SUM(A1)", "\tx", "\rx", "\nx", "\uff1d1+1", "=", "-", '=HYPERLINK("http://x","y")'],
)
def test_a_text_that_a_spreadsheet_would_evaluate_gets_an_apostrophe(text: str) -> None:
    assert without_formula(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "Club", "-1", "+3.5", "-1,234.50", "-12.5%", "a=1", "'=1", "0001", " =1"])
def test_a_number_and_any_other_text_remains(text: str) -> None:
    assert without_formula(text) == text


def test_an_export_is_raw_unless_it_is_for_spreadsheets(service: BackfillService) -> None:  # noqa: F811
    clubs = [AClub(number="00000001", name="=1+1"), AClub(number="00000002", name="-5")]
    service.storage.snapshots.put(a_district(district="92", clubs=clubs))
    raw = output_of("export", *CLUBS, "csv", "--district", "92")
    assert [row["Club Name"] for row in rows(raw)] == ["=1+1", "-5"]
    safe = output_of("export", *CLUBS, "csv", "--district", "92", "--for-spreadsheets")
    assert safe.startswith("\ufeff")
    assert [row["Club Name"] for row in rows(safe)] == ["'=1+1", "-5"]


def test_only_csv_is_written_for_spreadsheets(service: BackfillService) -> None:  # noqa: F811
    assert "applies to --format csv" in error_of("export", *CLUBS, "jsonl", "--for-spreadsheets")
