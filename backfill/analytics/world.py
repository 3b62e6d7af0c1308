"""The world result of a date: the rankings of all districts and the totals over them.

Source: the district summary. Units: clubs and payments are counts; percentages are percent points with two digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from backfill.analytics.cells import difference, is_blank, number, percentage, total
from backfill.analytics.district import SCHEMA_VERSION
from backfill.analytics.inputs import WorldInputs, normalised_cells, summary_lines
from backfill.analytics.rankings import rankings
from backfill.domain import district_order, normalise_column

_TOTALS = {
    "activeClubs": "Active Clubs",
    "paidClubs": "Paid Clubs",
    "paidClubBase": "Paid Club Base",
    "newPayments": "New Payments",
    "latePayments": "Late Payments",
    "octoberPayments": "October Payments",
    "aprilPayments": "April Payments",
    "charterPayments": "Charter Payments",
    "payments": "Total YTD Payments",
    "paymentBase": "Payment Base",
    "distinguished": "Distinguished Clubs",
    "select": "Select Distinguished Clubs",
    "presidents": "Presidents Distinguished Clubs",
    "smedley": "Smedley Distinguished Clubs",
    "distinguishedTotal": "Total Distinguished Clubs",
}


def world_result(inputs: WorldInputs) -> dict[str, Any]:
    """Compute the world result of a date's district summary. Equal inputs give the same bytes.

    Raises UnreadableSnapshot if the summary is unreadable; see `summary_lines`.
    """
    lines = summary_lines(inputs.summary)
    in_order = {district: lines[district] for district in sorted(lines, key=district_order)}
    return {
        "date": inputs.date.isoformat(),
        "asOf": inputs.as_of.isoformat(),
        "dataMonth": inputs.data_month.isoformat()[:7],
        "isFinal": inputs.is_final,
        "sourceHash": inputs.source_hash,
        "schemaVersion": SCHEMA_VERSION,
        "districts": rankings(in_order),
        "totals": totals(in_order.values()),
    }


def totals(lines: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """Sums over all districts, and three percentages of them.

    A blank cell is omitted. A total is null if its column is missing (Smedley before 2025-2026) or one of its cells is
    unreadable.
    """
    rows = [normalised_cells(line) for line in lines]
    sums = {name: _sum([row.get(normalise_column(column)) for row in rows]) for name, column in _TOTALS.items()}
    levels = {name: sums[name] for name in ("distinguished", "select", "presidents", "smedley")}
    counts = {name: value for name, value in sums.items() if name not in levels and name != "distinguishedTotal"}
    return {
        "districts": len(rows),
        **counts,
        "distinguished": {**levels, "total": sums["distinguishedTotal"]},
        "clubGrowthPercent": percentage(difference(sums["paidClubs"], sums["paidClubBase"]), sums["paidClubBase"], 2),
        "paymentGrowthPercent": percentage(difference(sums["payments"], sums["paymentBase"]), sums["paymentBase"], 2),
        "distinguishedPercent": percentage(sums["distinguishedTotal"], sums["paidClubBase"], 2),
    }


def _sum(cells: list[str | None]) -> int | None:
    values = []
    for cell in cells:
        value = None if cell is None else number(cell)
        if cell is None or (value is None and not is_blank(cell)):
            return None
        values.append(value)
    return total(values)
