"""The dataset: its files, what is written again, and what a killed or concurrent export leaves."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from backfill.analytics.dictionary import COLUMNS, Table
from backfill.errors import BackfillError, DatasetFolderRefused, ValueOutOfRange
from backfill.transfer.dataset import DatasetFormat, DatasetReport, PartitionState, YearReport, write_dataset
from backfill.transfer.dataset import writers as writers_module
from backfill.transfer.dataset.source import YearSource
from tests.memory_storage import MemoryStorage
from tests.unit.analytics.builders import AClub, some_clubs
from tests.unit.fakes import DAY
from tests.unit.stored_results import results_of, store
from tests.unit.stored_snapshots import a_district, a_summary

A_YEAR_AGO = date(2023, 1, 31)
FIRST, SECOND = "2022-2023", "2023-2024"
WRITTEN, UNCHANGED, REMOVED = PartitionState.WRITTEN, PartitionState.UNCHANGED, PartitionState.REMOVED


@pytest.fixture
def memory() -> MemoryStorage:
    """Return a storage with two program years; the second has a summary."""
    memory = MemoryStorage()
    store(memory, a_district(A_YEAR_AGO))
    store(memory, a_summary(DAY, {}, {"DISTRICT": "F", "REGION": ""}), a_district(), a_district(district="F"))
    return memory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "dataset"


def written(
    memory: MemoryStorage, folder: Path, file_format: DatasetFormat = DatasetFormat.PARQUET
) -> tuple[DatasetReport, list[str]]:
    """Write the dataset, and return the report and the keys of unreadable records."""
    problems: list[str] = []

    def note(key: str, _: BackfillError) -> None:
        problems.append(key)

    report = write_dataset(memory, folder, file_format, on_year=lambda _: None, on_problem=note)
    return report, problems


def states(report: DatasetReport) -> dict[str, set[PartitionState]]:
    return {str(year.year): set(year.states.values()) for year in report.years}


def rows(folder: Path, table: Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ds.dataset(folder / table, partitioning="hive").to_table().to_pylist()
    return sorted(found, key=repr)


def stored_files(folder: Path) -> dict[str, bytes]:
    """Return the files of the dataset by path, without the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".dataset.lock"
    }


# Content.


def test_each_table_has_a_file_for_each_program_year(memory: MemoryStorage, folder: Path) -> None:
    report, problems = written(memory, folder)
    assert states(report) == {FIRST: {WRITTEN}, SECOND: {WRITTEN}}
    assert problems == []
    assert {path for path in stored_files(folder) if path.endswith(".parquet")} == {
        f"{table}/program_year={year}/{table}.parquet" for table in Table for year in (FIRST, SECOND)
    }
    clubs = rows(folder, Table.CLUBS)
    assert len(clubs) == 12
    assert {(row["program_year"], row["date"], row["district_id"]) for row in clubs} == {
        (FIRST, A_YEAR_AGO, "91"),
        (SECOND, DAY, "91"),
        (SECOND, DAY, "F"),
    }


def test_every_file_of_a_table_has_the_columns_and_types_of_the_dictionary(memory: MemoryStorage, folder: Path) -> None:
    written(memory, folder)
    types = {"string": "string", "date": "date32[day]", "boolean": "bool", "integer": "int32", "number": "double"}
    for table in Table:
        expected = [(entry.name, types[entry.type]) for entry in COLUMNS[table]]
        for file in (folder / table).rglob("*.parquet"):
            schema = pq.read_schema(file)
            assert [(field.name, str(field.type)) for field in schema] == expected, file


def test_unknown_values_are_null(memory: MemoryStorage, folder: Path) -> None:
    written(memory, folder)
    (old,) = [row for row in rows(folder, Table.DISTRICTS) if row["program_year"] == FIRST]
    assert (old["clubs_paid"], old["rankings_score"], old["clubs_open"]) == (None, None, 4)
    (world,) = rows(folder, Table.WORLD)
    assert (world["districts"], world["distinguished_smedley"]) == (2, None)


def test_quality_notes_are_rows(memory: MemoryStorage, folder: Path) -> None:
    store(memory, a_district(clubs=[AClub(goals="x"), *some_clubs(3)]))
    written(memory, folder)
    (note,) = [row for row in rows(folder, Table.QUALITY) if row["code"] == "CELL_UNREADABLE"]
    assert (note["club_number"], note["found"], note["expected"]) == ("309", "x", None)


def test_the_figures_of_june_that_are_published_in_july_belong_to_the_old_year(
    memory: MemoryStorage, folder: Path
) -> None:
    july = date(2024, 7, 5)
    store(memory, a_district(july, data_month=date(2024, 6, 30), as_of=july, is_final=False))
    written(memory, folder)
    assert {row["program_year"] for row in rows(folder, Table.CLUBS) if row["date"] == july} == {SECOND}


def test_rows_are_written_in_groups(memory: MemoryStorage, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers_module, "ROW_GROUP", 4)
    written(memory, folder)
    metadata = pq.read_metadata(folder / "clubs" / f"program_year={SECOND}" / "clubs.parquet")
    assert [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)] == [4, 4]


@pytest.mark.parametrize("file_format", [DatasetFormat.CSV, DatasetFormat.SPREADSHEET_CSV])
def test_csv_for_spreadsheets_has_a_mark_and_no_formulas(
    memory: MemoryStorage, folder: Path, file_format: DatasetFormat
) -> None:
    store(memory, a_district(clubs=[AClub(name="=1+1 Club", members="10"), *some_clubs(3)]))
    written(memory, folder, file_format)
    content = (folder / "clubs" / f"program_year={SECOND}" / "clubs.csv").read_bytes()
    is_safe = file_format is DatasetFormat.SPREADSHEET_CSV
    assert content.startswith(b"\xef\xbb\xbf") is is_safe
    table = list(csv.DictReader(content.decode("utf-8-sig").splitlines()))
    club = next(row for row in table if row["club_number"] == "309")
    assert club["club_name"] == ("'=1+1 Club" if is_safe else "=1+1 Club")
    assert (club["net_growth"], club["is_final"], club["date"]) == ("-10", "true", "2024-01-31")


# Unchanged, changed and removed partitions.


def test_an_unchanged_partition_is_not_written_again(memory: MemoryStorage, folder: Path) -> None:
    written(memory, folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*") if path.is_file()}
    report, _ = written(memory, folder)
    assert states(report) == {FIRST: {UNCHANGED}, SECOND: {UNCHANGED}}
    files = {path: mtime for path, mtime in before.items() if path.parent != folder}
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_only_the_tables_whose_inputs_changed_are_written_again(memory: MemoryStorage, folder: Path) -> None:
    written(memory, folder)
    store(memory, a_district(clubs=some_clubs(5)))
    report, _ = written(memory, folder)
    changed = dict.fromkeys(Table, WRITTEN) | {Table.WORLD: UNCHANGED}
    assert [year.states for year in report.years] == [dict.fromkeys(Table, UNCHANGED), changed]
    assert len([row for row in rows(folder, Table.CLUBS) if row["district_id"] == "91"]) == 9


def test_a_result_that_is_computed_again_changes_its_partition(memory: MemoryStorage, folder: Path) -> None:
    written(memory, folder)
    (result,) = results_of([a_district(A_YEAR_AGO)])
    memory.results.put([replace(result, input_digest="0" * 32)])
    report, _ = written(memory, folder)
    assert states(report) == {FIRST: {WRITTEN, UNCHANGED}, SECOND: {UNCHANGED}}


@pytest.mark.parametrize("damage", ["missing", "shorter", "no digest"])
def test_a_damaged_partition_is_written_again(memory: MemoryStorage, folder: Path, damage: str) -> None:
    written(memory, folder)
    before = stored_files(folder)
    partition = folder / "clubs" / f"program_year={FIRST}"
    if damage == "missing":
        (partition / "clubs.parquet").unlink()
    elif damage == "shorter":
        (partition / "clubs.parquet").write_bytes(b"PAR1")
    else:
        (partition / "_inputs.json").write_text("{")
    report, _ = written(memory, folder)
    assert report.years[0].states == dict.fromkeys(Table, UNCHANGED) | {Table.CLUBS: WRITTEN}
    assert stored_files(folder) == before


def test_a_new_column_changes_every_partition_of_its_table(
    memory: MemoryStorage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(memory, folder)
    monkeypatch.setattr("backfill.transfer.dataset.inputs.VERSION", 2)
    report, _ = written(memory, folder)
    assert states(report) == {FIRST: {WRITTEN}, SECOND: {WRITTEN}}


def test_the_partitions_of_a_removed_year_are_removed(memory: MemoryStorage, folder: Path) -> None:
    written(memory, folder)
    (folder / "clubs" / f"program_year={FIRST}" / "notes.txt").write_text("mine")
    other = MemoryStorage()
    store(other, a_district())
    report, _ = written(other, folder)
    assert states(report) == {SECOND: {WRITTEN}, FIRST: {REMOVED}}
    assert [str(path.relative_to(folder)) for path in folder.rglob("*2022-2023/*")] == [
        f"clubs/program_year={FIRST}/notes.txt"
    ]


def test_a_store_without_analytics_changes_nothing(memory: MemoryStorage, folder: Path) -> None:
    written(memory, folder)
    before = stored_files(folder)
    with pytest.raises(DatasetFolderRefused, match="no current analytics"):
        written(MemoryStorage(), folder)
    assert stored_files(folder) == before


# Records that are left out.


def test_snapshots_without_current_analytics_are_left_out_and_counted(memory: MemoryStorage, folder: Path) -> None:
    memory.snapshots.put(a_district(date(2024, 2, 1), data_month=DAY, is_final=False))
    changed = a_district(clubs=some_clubs(9))
    memory.snapshots.put(replace(changed, fetched_at=changed.fetched_at.replace(year=2025)))
    report, problems = written(memory, folder)
    assert (report.without_result, problems) == (2, [])
    assert {row["district_id"] for row in rows(folder, Table.CLUBS) if row["program_year"] == SECOND} == {"F"}


def test_a_year_whose_analytics_are_outdated_keeps_its_partition(memory: MemoryStorage, folder: Path) -> None:
    written(memory, folder)
    before = stored_files(folder)
    changed = a_district(A_YEAR_AGO, clubs=some_clubs(9))
    memory.snapshots.put(replace(changed, fetched_at=changed.fetched_at.replace(year=2025)))
    report, _ = written(memory, folder)
    assert report.without_result == 1
    assert stored_files(folder) == before


def test_a_record_that_cannot_be_read_is_reported_each_time(memory: MemoryStorage, folder: Path) -> None:
    memory.results.damaged.add((DAY, "F"))
    for _ in range(2):
        report, problems = written(memory, folder)
        assert problems == [f"{DAY}/F"]
        assert states(report)[SECOND] >= {WRITTEN}
    assert {row["district_id"] for row in rows(folder, Table.CLUBS) if row["program_year"] == SECOND} == {"91"}


def test_a_count_that_does_not_fit_is_reported(memory: MemoryStorage, folder: Path) -> None:
    store(memory, a_district(clubs=[AClub(members="999999999999"), *some_clubs(3)]))
    found: list[BackfillError] = []
    write_dataset(
        memory,
        folder,
        DatasetFormat.PARQUET,
        on_year=lambda _: None,
        on_problem=lambda _, error: found.append(error),
    )
    (problem,) = found
    assert isinstance(problem, ValueOutOfRange)
    assert "members of clubs is 999,999,999,999" in problem.message


def test_rows_belong_together_while_a_job_changes_the_store(memory: MemoryStorage, folder: Path) -> None:
    """A snapshot that is replaced during the export is left out, and its partition is written by the next export."""
    snapshots = memory.snapshots
    get_several = snapshots.get_several

    def replaced_meanwhile(day: date, districts: Any) -> Any:
        if day == DAY:
            changed = a_district(clubs=some_clubs(9))
            snapshots.put(replace(changed, fetched_at=changed.fetched_at.replace(year=2025)))
        return get_several(day, districts)

    snapshots.get_several = replaced_meanwhile  # type: ignore[method-assign]
    report, problems = written(memory, folder)
    assert (report.without_result, problems) == (1, [])
    for table in (Table.CLUBS, Table.DISTRICTS, Table.AREAS):
        found = {row["district_id"] for row in rows(folder, table) if row["program_year"] == SECOND}
        assert found == {"F"}, table
    store(memory, replace(a_district(clubs=some_clubs(7)), as_of=date(2024, 2, 10)))
    snapshots.get_several = get_several  # type: ignore[method-assign]
    report, _ = written(memory, folder)
    assert report.years[1].states[Table.CLUBS] is WRITTEN
    assert len([row for row in rows(folder, Table.CLUBS) if row["district_id"] == "91"]) == 4 + 7


# The folder.


def test_a_file_is_refused_as_a_folder(memory: MemoryStorage, folder: Path) -> None:
    folder.write_text("mine")
    with pytest.raises(DatasetFolderRefused, match=r"is a file\. Name a folder"):
        written(memory, folder)
    assert folder.read_text() == "mine"


def test_a_folder_with_other_files_is_refused_and_left_alone(memory: MemoryStorage, folder: Path) -> None:
    (folder / "clubs").mkdir(parents=True)
    (folder / "clubs" / "mine.parquet").write_text("mine")
    with pytest.raises(DatasetFolderRefused, match=r"files that are not a dataset: clubs\. Name a new or empty folder"):
        written(memory, folder)
    assert [str(path.relative_to(folder)) for path in folder.rglob("*")] == ["clubs", "clubs/mine.parquet"]


def test_files_that_are_added_to_a_dataset_are_left_alone_and_named(memory: MemoryStorage, folder: Path) -> None:
    written(memory, folder)
    (folder / "README.txt").write_text("mine")
    added = folder / "clubs" / f"program_year={SECOND}" / "more.parquet"
    added.write_text("mine")
    store(memory, a_district(clubs=some_clubs(5)))
    report, _ = written(memory, folder)
    assert report.foreign_files == [added]
    assert (added.read_text(), (folder / "README.txt").read_text()) == ("mine", "mine")


def test_a_dataset_of_another_format_is_refused(memory: MemoryStorage, folder: Path) -> None:
    written(memory, folder)
    before = stored_files(folder)
    with pytest.raises(DatasetFolderRefused, match="format parquet, not csv"):
        written(memory, folder, DatasetFormat.CSV)
    assert stored_files(folder) == before


def test_a_damaged_marker_is_refused(memory: MemoryStorage, folder: Path) -> None:
    written(memory, folder)
    (folder / "_dataset.json").write_text("[]")
    with pytest.raises(DatasetFolderRefused, match="cannot be read"):
        written(memory, folder)


def test_a_second_export_into_the_same_folder_is_refused(memory: MemoryStorage, folder: Path) -> None:
    written(memory, folder)
    before = stored_files(folder)
    store(memory, a_district(clubs=some_clubs(5)))
    with FileLock(folder / ".dataset.lock"), pytest.raises(DatasetFolderRefused, match="Another export writes into"):
        written(memory, folder)
    assert stored_files(folder) == before
    written(memory, folder)


@pytest.mark.parametrize("call", ["mkdir", "open", "fsync", "replace"])
def test_an_error_of_the_file_system_leaves_the_old_files(
    memory: MemoryStorage, folder: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    written(memory, folder)
    before = stored_files(folder)
    store(memory, a_district(clubs=some_clubs(5)))

    def fail(path: Any, mode: str = "w", *_: Any, **__: Any) -> Any:
        if call == "open" and "w" not in mode:
            return real(path, mode)
        raise OSError(28, "No space left on device")

    real = Path.open
    owner, name = (os, "fsync") if call == "fsync" else (Path, call)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        with pytest.raises(DatasetFolderRefused, match="cannot be written: No space left on device"):
            written(memory, folder)
    data = {path for path in before if path.endswith(".parquet")}
    after = stored_files(folder)
    assert {path: after[path] for path in data} == {path: before[path] for path in data}
    written(memory, folder)
    assert not [path for path in stored_files(folder) if path.endswith(".part")]


def test_a_full_disk_leaves_the_old_files(memory: MemoryStorage, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error occurs while pyarrow writes."""
    written(memory, folder)
    before = stored_files(folder)
    store(memory, a_district(clubs=some_clubs(5)))
    real = Path.open

    def full(path: Path, mode: str = "r", **options: Any) -> Any:
        return real(Path("/dev/full") if path.name.endswith(".parquet.part") else path, mode, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(DatasetFolderRefused, match="No space left on device"):
            written(memory, folder)
    assert {path: content for path, content in stored_files(folder).items() if path in before} == before


# Kills.

STEPS: dict[str, tuple[Any, str, int]] = {
    "while the rows are read": (YearSource, "chunks", 1),
    "before the first file is in place": (Path, "replace", 2),
    "between two files": (Path, "replace", 5),
    "before a digest is stored": (Path, "replace", 3),
    "after the old digest is removed": (Path, "unlink", 2),
}
"""The call at which the process is killed, counted from 1; the first replaced file is the marker."""


def killed_at(owner: Any, name: str, count: int, run: Callable[[], object]) -> int:
    """Run a function in a child process that kills itself at a call, and return the signal."""
    child = os.fork()
    if child == 0:
        real, calls = getattr(owner, name), 0

        def kill(*args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == count:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **options)

        setattr(owner, name, kill)
        try:
            run()
        finally:
            os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # the child only writes and ends
@pytest.mark.parametrize("step", STEPS)
def test_a_killed_export_leaves_whole_files_and_the_next_one_completes_them(
    memory: MemoryStorage, folder: Path, tmp_path: Path, step: str
) -> None:
    written(memory, folder)
    before = stored_files(folder)
    store(memory, a_district(clubs=some_clubs(5)), a_summary(DAY, {"Paid Clubs": "9"}))
    assert killed_at(*STEPS[step], lambda: written(memory, folder)) == signal.SIGKILL
    written(memory, tmp_path / "expected")
    expected = stored_files(tmp_path / "expected")
    for path, content in stored_files(folder).items():
        if path.endswith(".parquet"):
            assert content in {before[path], expected[path]}, path
    written(memory, folder)
    assert stored_files(folder) == expected


def test_the_reported_rows_are_those_of_the_written_files(memory: MemoryStorage, folder: Path) -> None:
    years: list[YearReport] = []
    write_dataset(memory, folder, DatasetFormat.PARQUET, on_year=years.append, on_problem=lambda *_: None)
    found = {
        year: sum(pq.read_metadata(file).num_rows for file in folder.glob(f"*/program_year={year}/*.parquet"))
        for year in (FIRST, SECOND)
    }
    assert {str(year.year): year.rows for year in years} == found
    assert json.loads((folder / "_dataset.json").read_text())["format"] == "parquet"
