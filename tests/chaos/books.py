"""The database as it is, read past the service: by the drivers, in SQL, with nothing of the service's own code.

What the service wrote is unpacked here a second time, on purpose: a fault in its reading would else hide one in its
writing.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

ACTIVE = ("pending", "running", "pausing", "paused", "cancelling")
KINDS = ("processed", "failed", "skipped")

_STORED_BY = {"data-collection": "backfill_storedsnapshot", "analytics-generation": "backfill_storedresult"}
"""Where a job of the type stores what it made of an item."""

Row = tuple[Any, ...]


def _unpacked(packed: bytes) -> Any:
    return json.loads(zlib.decompress(bytes(packed)))


def _as_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


@dataclass(frozen=True)
class JobRow:
    """What is stored of a job."""

    id: str
    status: str
    token: int
    owner: str
    counts: dict[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Findings:
    """What the books say of one job: sentences about what is wrong, and what was counted on the way."""

    settled: int
    lost: int
    doubled: int
    failed: Counter[str]
    """Items that failed, by the reason."""
    wrong: list[str]


class Books:
    """The database of one site."""

    def __init__(self, url: str) -> None:
        self._url = url

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        """One consistent look."""
        if self._url.startswith("sqlite"):
            path = self._url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=30)) as lite:
                lite.execute("BEGIN")
                yield lite
        else:
            with psycopg.connect(self._url, connect_timeout=5) as server:
                server.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                yield server

    def _rows(self, statement: str) -> list[Row]:
        with self._reading() as database:
            return list(database.execute(statement).fetchall())

    @staticmethod
    def _job_of(row: Row) -> JobRow:
        key, status, token, owner, counts = row
        return JobRow(str(key).replace("-", ""), status, token, owner, _as_json(counts))

    def jobs(self) -> list[JobRow]:
        """Oldest first."""
        statement = "SELECT id, status, token, lease_owner, progress FROM backfill_backfilljob ORDER BY created_at, id"
        return [self._job_of(row) for row in self._rows(statement)]

    def job(self, job_id: str) -> JobRow:
        key = job_id.replace("-", "")
        return next(row for row in self.jobs() if row.id == key)

    def examined(self, job_id: str) -> Findings:
        """Ledger against plan, counters against ledger, snapshots against ledger; all of one moment."""
        key = job_id.replace("-", "")
        with self._reading() as database:
            jobs = [
                (self._job_of(row[:5]), row[5:])
                for row in database.execute(
                    "SELECT id, status, token, lease_owner, progress, plan, detail, job_type FROM backfill_backfilljob"
                ).fetchall()
            ]
            job, (packed_plan, detail, job_type) = next(found for found in jobs if found[0].id == key)
            ledger = [
                row[1:]
                for row in database.execute(
                    "SELECT job_id, number, processed, failed, skipped, outcomes FROM backfill_checkpoint "
                    "ORDER BY number"
                ).fetchall()
                if str(row[0]).replace("-", "") == key
            ]
            table = _STORED_BY[job_type]
            stored = {
                f"{day}/{district}"
                for day, district in database.execute(f"SELECT date, district FROM {table}")  # noqa: S608
            }
        wrong: list[str] = []
        if sum(found[0].status in ACTIVE for found in jobs) > 1:
            wrong.append("more than one job is active")
        planned = self._planned(packed_plan)
        outcomes: list[tuple[str, str, str]] = []
        for number, processed, failed, skipped, packed in ledger:
            columns = _unpacked(packed)
            rows = [
                (f"{day}/{district}", kind, reason)
                for day, district, kind, _, reason in (zip(*columns[:5], strict=True) if columns else ())
            ]
            kinds = Counter(kind for _, kind, _ in rows)
            if (processed, failed, skipped) != tuple(kinds[kind] for kind in KINDS):
                wrong.append(f"the counts of segment {number} are not those of its outcomes")
            outcomes += rows
        times = Counter(item for item, _, _ in outcomes)
        doubled = sum(count - 1 for count in times.values())
        lost = len(set(planned) - set(times)) if job.status == "completed" else 0
        if doubled:
            wrong.append(f"{doubled} items are settled twice")
        if lost:
            wrong.append(f"{lost} items of a completed job are not settled")
        if not set(times) <= set(planned):
            wrong.append("items are settled that are not of the plan")
        if len(set(planned)) != job.counts["total"]:
            wrong.append("the total is not the number of items of the plan")
        wrong += self._miscounted(job, outcomes, _as_json(detail))
        missing = {item for item, kind, _ in outcomes if kind == "processed"} - stored
        if missing:
            wrong.append(f"{len(missing)} items are settled as processed, and of them nothing is stored")
            lost += len(missing)
        failed = Counter(reason for _, kind, reason in outcomes if kind == "failed")
        return Findings(settled=len(times), lost=lost, doubled=doubled, failed=failed, wrong=wrong)

    @staticmethod
    def _planned(packed: bytes) -> list[str]:
        plan = _unpacked(packed)
        return [f"{day}/{district}" for day, group, *_ in plan["days"] for district in plan["groups"][group]]

    @staticmethod
    def _miscounted(job: JobRow, outcomes: list[tuple[str, str, str]], detail: Any) -> list[str]:
        wrong = []
        counted = Counter(kind for _, kind, _ in outcomes)
        skipped = dict(Counter(reason for _, kind, reason in outcomes if kind == "skipped"))
        if (job.counts["processed"], job.counts["failed"]) != (counted["processed"], counted["failed"]):
            wrong.append(f"the counters of the job say {job.counts['processed']} processed, its ledger {dict(counted)}")
        if job.counts["skipped"] != skipped:
            wrong.append(f"the job counts as skipped {job.counts['skipped']}, its ledger {skipped}")
        by_district = Counter((item.partition("/")[2], kind) for item, kind, _ in outcomes)
        for district, (_, *counts, _, _) in detail["districts"].items():
            if counts != [by_district[district, kind] for kind in KINDS]:
                wrong.append(f"the counters of district {district} are not those of its outcomes")
        return wrong

    def stored_reports(self) -> dict[tuple[str, str], set[bytes]]:
        """The bytes that are stored of each report (its name, its district)."""
        found: dict[tuple[str, str], set[bytes]] = defaultdict(set)
        for district, described, content in self._rows(
            "SELECT district, reports, content FROM backfill_storedsnapshot"
        ):
            whole, offset = zlib.decompress(bytes(content)), 0
            for name, report in sorted(_as_json(described).items()):
                found[name, district].add(whole[offset : offset + report["bytes"]])
                offset += report["bytes"]
        return found

    def forget_collected(self) -> None:
        """Remove every snapshot and result, so that the next job has all of its work to do."""
        statements = [f"DELETE FROM {table}" for table in ("backfill_storedresult", "backfill_storedsnapshot")]  # noqa: S608
        if self._url.startswith("sqlite"):
            with closing(sqlite3.connect(self._url.removeprefix("sqlite:///"), timeout=30)) as lite, lite:
                for statement in statements:
                    lite.execute(statement)
        else:
            with psycopg.connect(self._url, connect_timeout=5) as server:
                for statement in statements:
                    server.execute(statement)
