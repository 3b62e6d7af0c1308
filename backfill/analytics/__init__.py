"""Analytics: pure functions from parsed reports to results. No database, no network, no clock.

    district_result(DistrictInputs) -> dict    a district on a date
    world_result(WorldInputs) -> dict          every district of a date, ranked

Results are JSON-ready and deterministic: equal inputs give the same bytes, whatever the order of rows. Rounding is
half away from zero, to the digits that a field gives; a division by zero is null.

Treatment of bad input. Only unreadable reports fail the item, and no bad value becomes 0:

| input | effect |
| --- | --- |
| a report without rows, or with a row of another length than its header | the item fails: UNREADABLE_SNAPSHOT |
| a required column (club number, status, members, payments ...) is missing | the item fails likewise |
| a summary with a row without a district, or with two different rows of a district | the world item fails likewise |
| the summary or the district's row of it is missing | dependent values are null; SUMMARY_MISSING |
| the snapshot of the year before is unreadable | no comparison; YEAR_BEFORE_UNREADABLE |
| another column (goals, CSP, charter dates, of the summary) is missing | dependent values are null; COLUMN_MISSING |
| division report without its goal columns or its visits | `qualifying` and `gap` are null; COLUMN_MISSING |
| a goal column under its old and its new name | the one with figures is used; COLUMN_TWICE |
| visits are blank in every row | `qualifying` and `gap` of areas are null; COLUMN_BLANK |
| charter dates are blank in every row of every district of the date | `clubs.chartered` is null; COLUMN_BLANK |
| a condition of the summary is neither Y nor N | `met` and `targets.level` are null; CELL_UNREADABLE, CELL_BLANK |
| an empty cell or `N/A` instead of a figure | null, omitted from sums; CELL_BLANK |
| a cell that is not a figure | null, omitted from sums; CELL_UNREADABLE |
| thousands commas, signs, spaces, `%`, negative figures | parsed |
| a column without any readable cell | its sum is null, not 0; each cell is noted |
| a club with unreadable members, base or goals | no health category and no level; its cell is noted |
| a club that is missing from one report | kept, null for that report; CLUB_MISSING |
| a club without a number | kept, matched between reports by name; CLUB_WITHOUT_NUMBER |
| identical rows | counted once; ROW_REPEATED |
| different rows of one club in a report | each row is kept; CLUB_TWICE |
| an unknown status | counted in `clubs.total` only; UNKNOWN_STATUS |
| an unknown distinguished code | counted in no level; UNKNOWN_LEVEL |
| contradictory rows of an area or division | that figure is null; ROWS_DIFFER |
| a percentage of a world summary that is `N/A` or unreadable | null, no rank, 0 points |
| a blank count of a world summary; an unreadable one | omitted from its total; the total is null |
"""

from backfill.analytics.charters import COLUMN as CHARTER_COLUMN
from backfill.analytics.club_figures import ClubFigures, club_figures
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
    "ClubFigures",
    "DistrictInputs",
    "Table",
    "UnreadableSnapshot",
    "WorldInputs",
    "club_figures",
    "district_result",
    "open_clubs",
    "read_open_clubs",
    "repeated_districts",
    "summary_lines",
    "world_result",
]
