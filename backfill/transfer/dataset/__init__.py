"""Writes the history as tables: one file for each table and program year.

Rows are made from snapshots that have a result of their present content; others are left out and counted. A program
year is read date by date and written in row groups, so that memory use does not depend on its size. All tables of a
year are made in one pass over the store, also while a job changes it: a row and its result always belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from backfill.analytics.dictionary import Table
from backfill.domain import ProgramYear
from backfill.errors import DatasetFolderRefused
from backfill.storage import Storage
from backfill.transfer.dataset.folder import DatasetFolder
from backfill.transfer.dataset.inputs import YearInputs, stored_years
from backfill.transfer.dataset.source import OnProblem, YearSource
from backfill.transfer.dataset.writers import DatasetFormat, table_writer
from backfill.transfer.export.formats import require_pyarrow

__all__ = ["DatasetFormat", "DatasetReport", "PartitionState", "YearReport", "write_dataset"]


class PartitionState(StrEnum):
    WRITTEN = "written"
    UNCHANGED = "unchanged"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class YearReport:
    """What happened to the partitions of a program year."""

    year: ProgramYear
    states: dict[Table, PartitionState]
    rows: int = 0
    """Rows of the partitions that were written."""
    without_result: int = 0
    """Snapshots that were left out, because they have no result of their present content."""


@dataclass(frozen=True, slots=True)
class DatasetReport:
    years: list[YearReport] = field(default_factory=list)
    foreign_files: list[Path] = field(default_factory=list)
    """Files among the tables that are not part of the dataset. They were left alone."""

    @property
    def without_result(self) -> int:
        return sum(year.without_result for year in self.years)


def write_dataset(
    storage: Storage,
    path: Path,
    file_format: DatasetFormat,
    *,
    on_year: Callable[[YearReport], None],
    on_problem: OnProblem,
) -> DatasetReport:
    """Write the partitions whose inputs have changed, and remove those of years that are not stored any more.

    `on_problem` receives the key and the error of each record that cannot be read and is left out. Raises
    DatasetFolderRefused if the folder cannot be used or the store has no results, and ExportUnavailable if the format
    needs a package that is not installed.
    """
    if file_format is DatasetFormat.PARQUET:
        require_pyarrow()
    years = stored_years(storage)
    if not any(inputs.count for inputs in years.values()):
        raise DatasetFolderRefused(
            "The store has no current analytics, so there is nothing to write, and the folder was not changed. To "
            "compute them, run: manage.py backfill start --type analytics-generation"
        )
    report = DatasetReport()
    folder = DatasetFolder(path, file_format)

    def add(of_year: YearReport) -> None:
        report.years.append(of_year)
        on_year(of_year)

    with folder.locked():
        for year, inputs in years.items():
            add(_write_year(storage, folder, year, inputs, on_problem))
        for of_year in _remove_others(folder, years):
            add(of_year)
        report.foreign_files.extend(folder.foreign_files())
    return report


def _write_year(
    storage: Storage, folder: DatasetFolder, year: ProgramYear, expected: YearInputs, on_problem: OnProblem
) -> YearReport:
    if not expected.count:  # a partition from earlier analytics stays until they are computed again
        return YearReport(year, {}, without_result=expected.without_result)
    partitions = {table: folder.partition(table, year) for table in Table}
    changed = [
        table
        for table, partition in partitions.items()
        if not partition.has_inputs(expected.digest(table, folder.file_format))
    ]
    states = dict.fromkeys(Table, PartitionState.UNCHANGED) | dict.fromkeys(changed, PartitionState.WRITTEN)
    if not changed:
        return YearReport(year, states, without_result=expected.without_result)
    source = YearSource(storage, year, on_problem)
    with ExitStack() as files:
        writers = {}
        for table in changed:
            out = files.enter_context(partitions[table].writing())
            writers[table] = files.enter_context(table_writer(table, folder.file_format, out))
        for chunks in source.chunks(with_districts=changed != [Table.WORLD]):
            for table, writer in writers.items():
                writer.add(chunks.get(table, ()))
        for writer in writers.values():
            writer.finish()
    for table in changed:
        partitions[table].replace(source.inputs.digest(table, folder.file_format))
    rows = sum(writer.rows for writer in writers.values())
    return YearReport(year, states, rows, source.inputs.without_result)


def _remove_others(folder: DatasetFolder, years: Collection[ProgramYear]) -> list[YearReport]:
    """Remove the partitions of program years without snapshots."""
    removed: dict[ProgramYear, dict[Table, PartitionState]] = {}
    for partition in folder.partitions():
        if partition.year not in years:
            partition.remove()
            removed.setdefault(partition.year, {})[partition.table] = PartitionState.REMOVED
    return [YearReport(year, states) for year, states in sorted(removed.items())]
