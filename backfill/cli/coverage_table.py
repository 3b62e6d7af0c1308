"""The stored history as a map of districts and months that fits the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console, RenderableType
from rich.table import Table

from backfill.cli import formatting
from backfill.cli.formatting import COMMAND
from backfill.cli.tables import plain_table
from backfill.domain import Cell, CoveredMonth, ProgramYear, district_order
from backfill.service.queries import Coverage

SYMBOLS = {
    Cell.ANALYTICS: "A",
    Cell.FINAL: "#",
    Cell.SNAPSHOT: "o",
    Cell.NONE: ".",
    Cell.UNPUBLISHED: " ",
    Cell.UNKNOWN: "?",
}
_OUTSIDE = "-"
_LEGEND = (
    "Closing of each month: A with analytics, # final, o not final, . missing, blank not published, ? unknown, "
    "- outside the range."
)

_YEAR_WIDTH = 12 + 3
"""Columns of a program year: one per month, and the gap to the next year."""

_REST_WIDTH = 36
"""Columns of the district and the counts."""

_GAPS_SHOWN = 10


def coverage_view(coverage: Coverage, console: Console) -> list[RenderableType]:
    """Return the map as one or more tables, the gaps, and the commands that fill them."""
    months = coverage.months
    shown = sorted({district for month in months for district in month.cells}, key=district_order)
    if not shown:
        nothing = (
            f"Nothing is stored from {coverage.first} to {coverage.last}. Start with: {COMMAND} preview --from DAY"
        )
        return [nothing, *_unknown(coverage)]
    years = [list(group) for _, group in groupby(months, key=lambda month: ProgramYear.of(month.month_end))]
    years_per_table = max((console.width - _REST_WIDTH) // _YEAR_WIDTH, 1)
    tables = [_table(years[n : n + years_per_table], shown, console) for n in range(0, len(years), years_per_table)]
    span = f"Closings from {coverage.first:%b %Y} to {coverage.last:%b %Y} (change it with --from and --to):"
    return [span, *tables, _LEGEND, *_gaps(coverage), *_unknown(coverage), *_analytics(months)]


def _table(years: Sequence[Sequence[CoveredMonth]], districts: Sequence[str], console: Console) -> Table:
    table = plain_table(console)
    table.add_column("District", no_wrap=True)
    for months in years:
        table.add_column(str(ProgramYear.of(months[0].month_end)), no_wrap=True, min_width=12)
    table.add_column("Snapshots", justify="right", no_wrap=True)
    table.add_column("Analytics", justify="right", no_wrap=True)
    flat = [month for months in years for month in months]
    for district in districts:
        table.add_row(
            district,
            *(_year(months, district) for months in years),
            f"{sum(month.snapshots.get(district, 0) for month in flat):,}",
            f"{sum(month.results.get(district, 0) for month in flat):,}",
        )
    return table


def _year(months: Sequence[CoveredMonth], district: str) -> str:
    """Return one symbol per month from July on."""
    before = (months[0].month_end.month - 7) % 12
    symbols = "".join(SYMBOLS[month.cells.get(district, Cell.UNPUBLISHED)] for month in months)
    return (_OUTSIDE * before + symbols).ljust(12, _OUTSIDE)


def _gaps(coverage: Coverage) -> list[RenderableType]:
    if not coverage.gaps:
        return ["No closing of a known month is missing." if coverage.unknown_months else "No closing is missing."]
    from backfill.serializers.coverage import filling_command

    lines: list[RenderableType] = ["Gaps, largest first:"]
    for gap in coverage.gaps[:_GAPS_SHOWN]:
        names = " ".join(gap.districts[:6]) + (" ..." if len(gap.districts) > 6 else "")
        lines.append(
            f"  {gap.first:%b %Y} to {gap.last:%b %Y}: {formatting.count(gap.closes, 'closing')} of "
            f"{formatting.count(len(gap.districts), 'district')} ({names})\n    {filling_command(gap)}"
        )
    if len(coverage.gaps) > _GAPS_SHOWN:
        lines.append(f"  and {formatting.count(len(coverage.gaps) - _GAPS_SHOWN, 'smaller gap')}; use --json for all")
    return lines


def _unknown(coverage: Coverage) -> list[RenderableType]:
    count = len(coverage.unknown_months)
    if not count:
        return []
    verb = "is" if count == 1 else "are"
    command = f"{COMMAND} coverage --read-calendar --from {coverage.first} --to {coverage.last}"
    return [f"{formatting.count(count, 'month')} {verb} unknown; read the dashboard's calendar with: {command}"]


def _analytics(months: Sequence[CoveredMonth]) -> list[RenderableType]:
    missing = sum(month.unanalysed for month in months)
    if not missing:
        return []
    command = f"{COMMAND} start --type analytics-generation"
    return [f"{formatting.count(missing, 'snapshot')} without analytics; compute them with: {command}"]
