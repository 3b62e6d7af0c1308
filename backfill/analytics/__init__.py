"""Analytics: pure functions from parsed reports to results. No database, no network, no clock.

    district_result(DistrictInputs) -> dict    a district on a date
    world_result(WorldInputs) -> dict          every district of a date, ranked

Results are JSON-ready and deterministic: equal inputs give the same bytes, whatever the order of rows. Rounding is
half away from zero, to the digits that a field gives; a division by zero is null.

What bad input means. Nothing of it raises but what fails the item, and none of it turns into 0:

| input | meaning |
| --- | --- |
| a report without rows, a row of another length than its header | the item fails: UNREADABLE_SNAPSHOT |
| a column missing that all else rests on (club number, status, members, payments ...) | the item fails, likewise |
| a summary with a row of no district, or with a district twice with other figures | the world item fails, likewise |
| the summary, or the district's row of it, missing | what comes from it is null; SUMMARY_MISSING |
| the snapshot of the year before unreadable | no comparison with it; YEAR_BEFORE_UNREADABLE |
| another column missing (goals, CSP, charter dates, of the summary) | what comes from it is null; COLUMN_MISSING |
| division report without its goal columns, or its visits | `qualifying` and `gap` are null; COLUMN_MISSING |
| a goal column under its old and its new name | the one with figures counts; COLUMN_TWICE |
| visits that are blank in every row | `qualifying` and `gap` of areas are null; COLUMN_BLANK |
| charter dates blank in every row of every district of the date | `clubs.chartered` is null; COLUMN_BLANK |
| a condition of the summary that is neither Y nor N | `met` and `targets.level` are null; CELL_UNREADABLE, CELL_BLANK |
| an empty cell or `N/A` where a figure belongs | null, left out of sums; CELL_BLANK |
| a cell that holds what is no figure | null, left out of sums; CELL_UNREADABLE |
| thousands commas, signs, spaces, `%`, negative figures | read as what they say |
| a column in which no cell can be read | its sum is null, not 0; each cell is noted |
| a club whose members, base or goals cannot be read | no health category and no level; its cell is noted |
| a club missing from one report | kept, null from there; CLUB_MISSING |
| a club without a number | kept, matched between reports by its name; CLUB_WITHOUT_NUMBER |
| rows that are the same to the letter | they count once; ROW_REPEATED |
| a club with two rows in a report that differ | each row is kept; CLUB_TWICE |
| an unknown status | counts in `clubs.total` only; UNKNOWN_STATUS |
| an unknown distinguished code | counts in no level; UNKNOWN_LEVEL |
| rows of an area or division that do not agree about it | that figure is null; ROWS_DIFFER |
| a percentage of a world summary that is `N/A` or unreadable | null, no rank, 0 points |
| a count of a world summary that is blank; that is unreadable | adds nothing to its total; the total is null |
"""

from backfill.analytics.charters import COLUMN as CHARTER_COLUMN
from backfill.analytics.club_rows import read_open_clubs
from backfill.analytics.district import SCHEMA_VERSION, district_result
from backfill.analytics.inputs import (
    DistrictInputs,
    Table,
    UnreadableSnapshot,
    WorldInputs,
    repeated_districts,
    summary_lines,
)
from backfill.analytics.points import open_clubs
from backfill.analytics.world import world_result

__all__ = [
    "CHARTER_COLUMN",
    "SCHEMA_VERSION",
    "DistrictInputs",
    "Table",
    "UnreadableSnapshot",
    "WorldInputs",
    "district_result",
    "open_clubs",
    "read_open_clubs",
    "repeated_districts",
    "summary_lines",
    "world_result",
]
