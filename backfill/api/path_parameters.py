"""Parsing of the ids, dates and districts in paths.

A path that cannot name anything is answered with 404, not with 400.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

from backfill.api.fields import parsed_day, printable
from backfill.domain import SUMMARY, ReportName, parsed_district
from backfill.errors import AnalyticsNotFound, InvalidRequest, JobNotFound, SnapshotNotFound
from backfill.serializers.paths import public_path


def job_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise JobNotFound(
            f"There is no job {printable(text)!r}: a job id is a UUID. List the jobs to find the id."
        ) from None


def snapshot_key(day: str, district: str) -> tuple[date, str]:
    try:
        return parsed_day(day, "date"), parsed_district(district)
    except InvalidRequest as exc:
        snapshots = public_path("/api/snapshots")
        raise SnapshotNotFound(f"There is no such snapshot. {exc.message} {snapshots} lists all snapshots.") from exc


def result_key(day: str, district: str) -> tuple[date, str]:
    try:
        return parsed_day(day, "date"), parsed_district(district, may_be_summary=False)
    except InvalidRequest as exc:
        raise AnalyticsNotFound(
            f"There are no such analytics. {exc.message} The analytics of the world are at .../world."
        ) from exc


def world_key(day: str) -> tuple[date, str]:
    try:
        return parsed_day(day, "date"), SUMMARY
    except InvalidRequest as exc:
        raise AnalyticsNotFound(f"There are no such analytics. {exc.message}") from exc


def series_district(text: str) -> str:
    try:
        return parsed_district(text, may_be_summary=False)
    except InvalidRequest as exc:
        raise AnalyticsNotFound(f"There is no such series. {exc.message}") from exc


def report_name(text: str) -> ReportName:
    try:
        return ReportName(text)
    except ValueError:
        raise SnapshotNotFound(
            f"There is no report {printable(text)!r}; the reports are {', '.join(ReportName)}."
        ) from None
