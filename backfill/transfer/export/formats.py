"""Writers for CSV, JSON lines and Parquet. Each returns the number of records."""

from __future__ import annotations

import csv
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from io import TextIOWrapper
from itertools import islice
from typing import IO, Any, TypeVar

from backfill.domain.text import without_formula
from backfill.errors import ExportUnavailable
from backfill.transfer.export.sources import ExportSource

_BATCH = 10_000
"""Records per Parquet row group."""

T = TypeVar("T")


def write_csv(source: ExportSource, out: IO[bytes]) -> int:
    """Write UTF-8 with a header; None becomes an empty cell, booleans become `true` and `false`."""
    return _write_csv(source, out, lambda text: text)


def write_spreadsheet_csv(source: ExportSource, out: IO[bytes]) -> int:
    """Write as `write_csv` does, with a byte order mark and without formulas."""
    out.write(BOM_UTF8)  # without it, Excel reads the file in the code page of the system
    return _write_csv(source, out, without_formula)


def _write_csv(source: ExportSource, out: IO[bytes], cell: Callable[[str], str]) -> int:
    columns = source.columns()
    text = TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    count = 0
    try:
        writer = csv.writer(text)
        writer.writerow([cell(column.name) for column in columns])
        for record in source.records(columns):
            writer.writerow([cell_value(value, cell) for value in record])
            count += 1
    finally:
        text.detach()  # the caller closes the stream
    return count


def cell_value(value: object, cell: Callable[[str], str]) -> object:
    """Return the text of a value in CSV; `cell` converts strings."""
    if isinstance(value, bool):
        return str(value).lower()
    return cell(value) if isinstance(value, str) else value


def write_json_lines(source: ExportSource, out: IO[bytes]) -> int:
    """Write one object per line."""
    count = 0
    for line in source.lines():
        out.write(line + b"\n")
        count += 1
    return count


def write_parquet(source: ExportSource, out: IO[bytes]) -> int:
    """Write typed, compressed columns, one row group at a time."""
    require_pyarrow()
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds: dict[type, Any] = {
        str: pa.string(),
        int: pa.int64(),
        float: pa.float64(),
        bool: pa.bool_(),
        date: pa.date32(),
    }
    columns = source.columns()
    schema = pa.schema([(column.name, kinds[column.kind]) for column in columns])
    count = 0
    with pq.ParquetWriter(out, schema) as writer:
        for batch in _batches(source.records(columns)):
            values = zip(*batch, strict=True)
            arrays = [pa.array(cells, field.type) for cells, field in zip(values, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(batch)
    return count


def require_pyarrow() -> None:
    """Raise ExportUnavailable if the optional package is missing."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as exc:
        raise ExportUnavailable(
            "Parquet needs the package pyarrow: pip install pyarrow, or choose another --format."
        ) from exc


def _batches(records: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(records)
    while batch := list(islice(rest, _BATCH)):
        yield batch
