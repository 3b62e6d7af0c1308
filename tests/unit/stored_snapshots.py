"""Builders of stored snapshots from the contents of their reports."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from io import StringIO
from typing import Any

from backfill.analytics import Table
from backfill.domain import SUMMARY, Report, ReportName, Snapshot, month_end_of
from tests.unit.analytics.builders import SUMMARY as SUMMARY_ROW
from tests.unit.analytics.builders import AClub, clubs_table, district_table, divisions_table, some_clubs
from tests.unit.fakes import DAY, a_report, a_snapshot

BROKEN = b'"District","Club Number"\r\n"91"\r\nMonth of Jan, As of 02/09/2024\r\n'


def as_report(table: Table) -> Report:
    """Returns the table as a report that the dashboard exports."""
    text = StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([table.columns, *table.rows])
    return a_report(text.getvalue().encode() + b"Month of Jan, As of 02/09/2024\r\n", rows=len(table.rows))


def a_district(
    day: date = DAY,
    district: str = "91",
    *,
    clubs: Sequence[AClub] | None = None,
    dates: bool = True,
    **fields: Any,
) -> Snapshot:
    """Returns the snapshot of a district, by default of four clubs with twenty members each.

    `dates` sets an old charter date for the first club, so that the column is not blank on the whole date.
    """
    rows = list(some_clubs(4) if clubs is None else clubs)
    if dates:
        rows[0] = replace(rows[0], charter=rows[0].charter or "Charter 01/15/20")
    reports = {
        ReportName.CLUBS: as_report(clubs_table(rows)),
        ReportName.DISTRICT: as_report(district_table(rows)),
        ReportName.DIVISIONS: as_report(divisions_table(rows)),
    }
    return a_snapshot(day, district, **{"data_month": month_end_of(day), "reports": reports, **fields})


def a_summary(day: date = DAY, *rows: Mapping[str, str], **fields: Any) -> Snapshot:
    """Returns the summary of districts. Each row contains the differences from a standard row."""
    lines = [{**SUMMARY_ROW, **row} for row in rows or ({},)]
    table = Table(tuple(SUMMARY_ROW), [[line[name] for name in SUMMARY_ROW] for line in lines])
    return a_snapshot(day, SUMMARY, **{"reports": {ReportName.SUMMARY: as_report(table)}, **fields})


def broken(snapshot: Snapshot) -> Snapshot:
    """Returns the snapshot with a club report whose rows are shorter than its header."""
    return replace(snapshot, reports={**snapshot.reports, ReportName.CLUBS: a_report(BROKEN)})
