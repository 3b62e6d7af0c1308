"""The result of a district on a date, as stored and returned: JSON in camelCase with a fixed order of fields."""

from __future__ import annotations

from typing import Any

from backfill.analytics.cells import total
from backfill.analytics.club_rows import read_club_rows
from backfill.analytics.clubs import club_counts, membership, payments
from backfill.analytics.distinguished import distinguished, rule_of
from backfill.analytics.divisions import areas, divisions, read_units
from backfill.analytics.goals import goals
from backfill.analytics.health import health
from backfill.analytics.inputs import DistrictInputs
from backfill.analytics.points import open_clubs, point, year_over_year
from backfill.analytics.quality import Code, Notes, Summary, reconcile
from backfill.analytics.targets import targets

SCHEMA_VERSION = 2
"""The version of the results. A stored result of another version is computed again."""


def district_result(inputs: DistrictInputs) -> dict[str, Any]:
    """Compute the result of a district. Equal inputs give the same bytes.

    Raises UnreadableSnapshot if a report has no rows, rows of different lengths, or lacks a required column.
    """
    notes, year = Notes(), inputs.program_year
    summary = Summary(inputs.summary, notes)
    if inputs.is_summary_repeated:
        notes.add(
            Code.ROW_REPEATED,
            "The district summary has several rows of this district with equal figures.",
        )
    club_rows = read_club_rows(inputs, notes)
    result: dict[str, Any] = {
        "date": inputs.date.isoformat(),
        "districtId": inputs.district,
        "programYear": str(year),
        "dataMonth": inputs.data_month.isoformat()[:7],
        "asOf": inputs.as_of.isoformat(),
        "isFinal": inputs.is_final,
        "sourceHash": inputs.source_hash,
        "schemaVersion": SCHEMA_VERSION,
        "clubs": club_counts(club_rows, summary, year),
        "membership": membership(club_rows),
        "payments": payments(club_rows, summary),
        "health": health(club_rows.open, inputs.data_month),
    }
    result["distinguished"] = distinguished(club_rows, rule_of(year, inputs.district), result["clubs"]["base"], notes)
    result["goals"] = goals(club_rows, year, notes)
    result["divisions"] = divisions(club_rows.open, read_units(inputs.divisions, "Division", notes))
    result["areas"] = areas(club_rows.open, read_units(inputs.divisions, "Area", notes), club_rows.visits)
    result["targets"] = targets(summary, year)
    result["rankings"] = None if inputs.world_line is None else dict(inputs.world_line)
    result["point"] = point(result, total([club.goals for club in club_rows.open]))
    result["yearOverYear"] = year_over_year(result["point"], inputs.previous, open_clubs(result), inputs.previous_clubs)
    if inputs.previous_error:
        notes.add(Code.YEAR_BEFORE_UNREADABLE, f"There is no comparison with the year before: {inputs.previous_error}")
    reconcile(
        summary,
        notes,
        payments=result["payments"],
        open_clubs=len(club_rows.open),
        distinguished=result["distinguished"]["reported"]["total"],
    )
    result["quality"] = notes.found
    return result
