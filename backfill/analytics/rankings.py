"""Rankings of all districts of a date.

Source: the district summary's own cells % Club Growth, % Payment Growth and % Distinguished Clubs.
Units: percent points as the summary writes them; ranks count from 1; points are Borda points.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from decimal import Decimal
from itertools import groupby
from typing import Any, TypeVar

from backfill.analytics.cells import percent, points, rounded, words
from backfill.analytics.inputs import normalised_cells
from backfill.domain import normalise_column

MEASURES = {
    "clubGrowth": "% Club Growth",
    "paymentGrowth": "% Payment Growth",
    "distinguished": "% Distinguished Clubs",
}

K = TypeVar("K", bound=Hashable)


def ranks(values: Mapping[K, Any]) -> dict[K, int]:
    """Ranks from 1 in descending order. Ties share a rank, and the next rank skips as many."""
    places: dict[K, int] = {}
    value_of = values.__getitem__
    for _, tied in groupby(sorted(values, key=value_of, reverse=True), key=value_of):
        places |= dict.fromkeys(tied, len(places) + 1)
    return places


def borda(places: Mapping[K, int], count: int) -> dict[K, int]:
    """N - rank + 1 points for each of N; 0 for all if all tie."""
    if len(set(places.values())) <= 1:
        return dict.fromkeys(places, 0)
    return {key: count - place + 1 for key, place in places.items()}


def rankings(lines: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    """Each district's percentages, ranks, points, score and places, from the rows of the summary by district.

    A percentage that is `N/A` or unreadable is null, without a rank and with 0 points. `percentile` has one digit.
    """
    rows = {district: normalised_cells(line) for district, line in lines.items()}
    values = {measure: _numbers_by_district(rows, column) for measure, column in MEASURES.items()}
    places = {measure: ranks(known) for measure, known in values.items()}
    earned = {measure: borda(known, len(rows)) for measure, known in places.items()}
    scores = {district: sum(earned[measure].get(district, 0) for measure in MEASURES) for district in rows}
    overall = ranks(scores)
    regions = {district: words(row.get("region", "")) for district, row in rows.items()}
    in_region = _regional(scores, regions)
    return {
        district: {
            "region": regions[district],
            **{f"{measure}Percent": points(values[measure].get(district)) for measure in MEASURES},
            **{f"{measure}Rank": places[measure].get(district) for measure in MEASURES},
            **{f"{measure}Points": earned[measure].get(district, 0) for measure in MEASURES},
            "score": scores[district],
            "overallRank": overall[district],
            "regionRank": in_region[district],
            "percentile": rounded(100 * (len(rows) - overall[district]), len(rows), 1),
        }
        for district in rows
    }


def _numbers_by_district(rows: Mapping[str, Mapping[str, str]], column: str) -> dict[str, Decimal]:
    read = {district: percent(row.get(normalise_column(column), "")) for district, row in rows.items()}
    return {district: value for district, value in read.items() if value is not None}


def _regional(scores: Mapping[str, int], regions: Mapping[str, str]) -> dict[str, int]:
    groups: dict[str, dict[str, int]] = defaultdict(dict)
    for district, score in scores.items():
        groups[regions[district]][district] = score
    return {district: place for group in groups.values() for district, place in ranks(group).items()}
