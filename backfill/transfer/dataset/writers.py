"""Writers of a table: Parquet with a fixed schema, and CSV. Both hold a limited number of rows in memory."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from codecs import BOM_UTF8
from contextlib import suppress
from enum import StrEnum
from io import TextIOWrapper
from typing import IO, Any, Self

from backfill.analytics.dictionary import COLUMNS, Table, ValueType
from backfill.domain.text import without_formula
from backfill.transfer.dataset.records import Chunk
from backfill.transfer.export.formats import cell_value, require_pyarrow

ROW_GROUP = 50_000
"""Rows of a Parquet row group, and the most rows in memory; the rows of one district and date can be added."""


class DatasetFormat(StrEnum):
    PARQUET = "parquet"
    CSV = "csv"
    SPREADSHEET_CSV = "csv-for-spreadsheets"

    @property
    def suffix(self) -> str:
        return "parquet" if self is DatasetFormat.PARQUET else "csv"


class TableWriter(ABC):
    """Writes the chunks of a table to a binary stream, which the caller closes.

    A context manager: `finish` must be called in it, and without it the file is incomplete.
    """

    rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            with suppress(OSError):  # the first error is already on its way
                self._abandon()

    def add(self, chunk: Chunk) -> None:
        if chunk:
            self.rows += len(chunk[0])
            self._add(chunk)

    @abstractmethod
    def _add(self, chunk: Chunk) -> None: ...

    @abstractmethod
    def finish(self) -> None:
        """Write what is left."""

    @abstractmethod
    def _abandon(self) -> None:
        """Release what would write to the stream later."""


def table_writer(table: Table, file_format: DatasetFormat, out: IO[bytes]) -> TableWriter:
    """Raises ExportUnavailable if the format needs a package that is not installed."""
    return ParquetTable(table, out) if file_format is DatasetFormat.PARQUET else CsvTable(table, file_format, out)


class ParquetTable(TableWriter):
    def __init__(self, table: Table, out: IO[bytes]) -> None:
        require_pyarrow()
        import pyarrow as pa
        import pyarrow.parquet as pq

        types: dict[ValueType, Any] = {
            ValueType.STRING: pa.string(),
            ValueType.DATE: pa.date32(),
            ValueType.BOOLEAN: pa.bool_(),
            ValueType.INTEGER: pa.int32(),
            ValueType.NUMBER: pa.float64(),
        }
        self._arrow = pa
        self._schema = pa.schema([(entry.name, types[entry.type]) for entry in COLUMNS[table]])
        self._writer = pq.ParquetWriter(out, self._schema)
        self._columns: list[list[Any]] = [[] for _ in self._schema]

    def _add(self, chunk: Chunk) -> None:
        for column, values in zip(self._columns, chunk, strict=True):
            column.extend(values)
        if len(self._columns[0]) >= ROW_GROUP:
            self._write_group()

    def _write_group(self) -> None:
        arrays = [
            self._arrow.array(column, field.type) for column, field in zip(self._columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        for column in self._columns:
            column.clear()

    def finish(self) -> None:
        if self._columns[0]:
            self._write_group()
        self._writer.close()

    def _abandon(self) -> None:
        self._writer.is_open = False  # otherwise its destructor writes to the closed stream
        self._writer.writer.close()


class CsvTable(TableWriter):
    """UTF-8 with a header. For spreadsheets, with a byte order mark and without formulas."""

    def __init__(self, table: Table, file_format: DatasetFormat, out: IO[bytes]) -> None:
        self._convert = str if file_format is DatasetFormat.CSV else without_formula
        if file_format is DatasetFormat.SPREADSHEET_CSV:
            out.write(BOM_UTF8)  # without it, Excel reads the file in the code page of the system
        self._text = TextIOWrapper(out, encoding="utf-8", newline="")
        self._writer = csv.writer(self._text)
        self._writer.writerow([entry.name for entry in COLUMNS[table]])

    def _add(self, chunk: Chunk) -> None:
        for row in zip(*chunk, strict=True):
            self._writer.writerow([cell_value(value, self._convert) for value in row])

    def finish(self) -> None:
        self._text.flush()
        self._text.detach()  # the caller closes the stream

    def _abandon(self) -> None:
        self._text.detach()
