"""Reads the rows of a site's database with SQL through the drivers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg

from tests.chaos.consistency import JobRow, Reader, SegmentRow, StoredJob, StoreDown

_STORED_BY = {"data-collection": "backfill_storedsnapshot", "analytics-generation": "backfill_storedresult"}
"""The table that items of each job type write."""

_JOB = "id, status, token, lease_owner, progress"

Row = tuple[Any, ...]


def _as_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _hex(key: Any) -> str:
    """Return the hexadecimal digits of a UUID, which SQLite stores as text."""
    return str(key).replace("-", "")


def _job_of(row: Row) -> JobRow:
    key, status, token, owner, counts = row[:5]
    return JobRow(_hex(key), status, token, owner, _as_json(counts))


class SqlReader(Reader):
    """SQLite or PostgreSQL, depending on the URL."""

    def __init__(self, url: str) -> None:
        self._url = url

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        """Read in one transaction."""
        with self._answering():
            if self._url.startswith("sqlite"):
                address = f"file:{self._path}?mode=ro"
                with closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=30)) as lite:
                    lite.execute("BEGIN")
                    yield lite
            else:
                with psycopg.connect(self._url, connect_timeout=5) as server:
                    server.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                    yield server

    @staticmethod
    @contextmanager
    def _answering() -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, psycopg.Error) as exc:
            raise StoreDown(str(exc)) from exc

    @property
    def _path(self) -> str:
        return self._url.removeprefix("sqlite:///")

    def _rows(self, statement: str) -> list[Row]:
        with self._reading() as database:
            return list(database.execute(statement).fetchall())

    def job(self, job_id: str) -> JobRow:
        key = _hex(job_id)
        rows = self._rows(f"SELECT {_JOB} FROM backfill_backfilljob")  # noqa: S608
        return next(_job_of(row) for row in rows if _hex(row[0]) == key)

    def read_job(self, job_id: str) -> StoredJob:
        key = _hex(job_id)
        with self._reading() as database:
            jobs = database.execute(
                f"SELECT {_JOB}, plan, detail, job_type FROM backfill_backfilljob"  # noqa: S608
            ).fetchall()
            row = next(row for row in jobs if _hex(row[0]) == key)
            plan, detail, job_type = row[5:]
            ledger = database.execute(
                "SELECT job_id, number, processed, failed, skipped, outcomes FROM backfill_checkpoint ORDER BY number"
            ).fetchall()
            stored = database.execute(f"SELECT date, district FROM {_STORED_BY[job_type]}").fetchall()  # noqa: S608
        return StoredJob(
            job=_job_of(row),
            active=sum(_job_of(found).is_active for found in jobs),
            plan=bytes(plan),
            detail=_as_json(detail),
            ledger=[
                SegmentRow(number, tuple(counts), bytes(outcomes))
                for of_job, number, *counts, outcomes in ledger
                if _hex(of_job) == key
            ],
            stored={f"{day}/{district}" for day, district in stored},
            differences=[],
        )

    def snapshots(self) -> Iterator[tuple[str, dict[str, Any], bytes]]:
        for district, described, content in self._rows(
            "SELECT district, reports, content FROM backfill_storedsnapshot"
        ):
            yield district, _as_json(described), bytes(content)

    def delete_collected(self) -> None:
        statements = [f"DELETE FROM {table}" for table in sorted(_STORED_BY.values())]  # noqa: S608
        with self._answering():
            if self._url.startswith("sqlite"):
                with closing(sqlite3.connect(self._path, timeout=30)) as lite, lite:
                    for statement in statements:
                        lite.execute(statement)
            else:
                with psycopg.connect(self._url, connect_timeout=5) as server:
                    for statement in statements:
                        server.execute(statement)
