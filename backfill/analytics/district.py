"""The result of a district on a date, as it is stored and answered: JSON in camelCase, fields in a fixed order."""

from __future__ import annotations

from typing import Any

from backfill.metrics.cells import total
from backfill.metrics.clubs import club_counts, membership, payments
from backfill.metrics.distinguished import distinguished, rule_of
from backfill.metrics.divisions import areas, divisions, read_units
from backfill.metrics.goals import goals
from backfill.metrics.health import health
from backfill.metrics.quality import Code, Notes, Summary, reconcile
from backfill.metrics.roster import read_roster
from backfill.metrics.series import open_clubs, point, year_over_year
from backfill.metrics.source import DistrictSource
from backfill.metrics.targets import targets

SCHEMA_VERSION = 2
"""Of the results; a result of another version is computed anew."""


def district_result(source: DistrictSource) -> dict[str, Any]:
    """Everything that is computed of a district's snapshot. The same source gives the same result, byte for byte.

    Raises UnreadableSnapshot where a report has no rows, ragged rows, or is without a column that all else rests on.
    """
    notes, year = Notes(), source.program_year
    summary = Summary(source.summary, notes)
    if source.is_summary_repeated:
        notes.add(
            Code.ROW_REPEATED,
            "The district summary has more than one row of this district; their figures are the same.",
        )
    roster = read_roster(source, notes)
    result: dict[str, Any] = {
        "date": source.date.isoformat(),
        "districtId": source.district,
        "programYear": str(year),
        "dataMonth": source.data_month.isoformat()[:7],
        "asOf": source.as_of.isoformat(),
        "isFinal": source.is_final,
        "sourceHash": source.source_hash,
        "schemaVersion": SCHEMA_VERSION,
        "clubs": club_counts(roster, summary, year),
        "membership": membership(roster),
        "payments": payments(roster, summary),
        "health": health(roster.open, source.data_month),
    }
    result["distinguished"] = distinguished(roster, rule_of(year, source.district), result["clubs"]["base"], notes)
    result["goals"] = goals(roster, year, notes)
    result["divisions"] = divisions(roster.open, read_units(source.divisions, "Division", notes))
    result["areas"] = areas(roster.open, read_units(source.divisions, "Area", notes), roster.visits)
    result["targets"] = targets(summary, year)
    result["rankings"] = None if source.world_line is None else dict(source.world_line)
    result["point"] = point(result, total([club.goals for club in roster.open]))
    result["yearOverYear"] = year_over_year(result["point"], source.previous, open_clubs(result), source.previous_clubs)
    if source.previous_trouble:
        notes.add(
            Code.YEAR_BEFORE_UNREADABLE, f"There is no comparison with the year before: {source.previous_trouble}"
        )
    reconcile(
        summary,
        notes,
        payments=result["payments"],
        open_clubs=len(roster.open),
        distinguished=result["distinguished"]["reported"]["total"],
    )
    result["quality"] = notes.found
    return result
