"""The history of the sample world in a storage, without a dashboard and a job."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from backfill.dashboard.reports import parse
from backfill.domain import SUMMARY, Report, Snapshot, reports_of
from backfill.storage import Storage
from sample_dashboard.program_year import ProgramYear
from sample_dashboard.world import SampleWorld
from tests.factories import NOW, JobFactory
from tests.unit.stored_results import store


def store_closes(storage: Storage, world: SampleWorld, month_ends: Iterable[date]) -> None:
    """Store the closes of months and their results."""
    for month_end in month_ends:
        year = ProgramYear.of(month_end)
        districts = (SUMMARY, *world.districts_of(year))
        store(storage, *(_close(world, month_end, district, year) for district in districts))


def _close(world: SampleWorld, month_end: date, district: str, year: ProgramYear) -> Snapshot:
    as_of = world.close_of(month_end)
    requested = "" if month_end == year.close else _written(as_of)  # the close of a year has no as-of date
    dates = f"{_written(month_end)}~{requested}~{year}"
    reports = {}
    for name in reports_of(district):
        request = f"{name}~{dates}" if district == SUMMARY else f"{name}~{district}~{dates}"
        content = world.report(request, None if year == world.live_year else year)
        assert content is not None, request
        parsed = parse(content)
        assert parsed.rows, request
        reports[name] = Report(
            rows=len(parsed.rows), size=len(content), content_hash=parsed.content_hash, content=content
        )
    return Snapshot(
        date=month_end,
        district=district,
        data_month=month_end,
        as_of=as_of,
        is_final=True,
        fetched_at=NOW,
        job_id=JobFactory.build().id,
        reports=reports,
    )


def _written(day: date) -> str:
    return f"{day.month}/{day.day}/{day.year}"
