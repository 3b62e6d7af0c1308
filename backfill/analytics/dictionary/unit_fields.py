"""The fields of divisions and areas in the result of a district."""

from __future__ import annotations

from backfill.analytics.dictionary.club_columns import CLUBS, DIVISIONS
from backfill.analytics.dictionary.entries import Entry, Unit, ValueType, below, clubs, container, count, text


def _unit(kind: str) -> tuple[Entry, ...]:
    """The fields of divisions and areas."""
    low = kind.lower()
    dist = f"{DIVISIONS}: Total Dist. {kind} Clubs"
    return (
        clubs("clubs", f"Open clubs of the {low}.", f"{CLUBS}: {kind}, Club Status"),
        clubs("paid", f"Paid clubs of the {low}.", f"{DIVISIONS}: Total Paid {kind} Clubs"),
        clubs("base", f"The club base of the {low}.", f"{DIVISIONS}: {kind} Club Base"),
        count("members", Unit.MEMBERS, "Active members of its open clubs.", f"{CLUBS}: Active Members"),
        count("goals", Unit.GOALS, "Goals met by its open clubs together.", f"{CLUBS}: Goals Met"),
        clubs("distinguished", f"Distinguished clubs of the {low}, of any level.", dist),
        text(
            "reported",
            "The level in the words of the report, such as Select Distinguished; null for unaligned clubs.",
            f"{DIVISIONS}: Distinguished {kind}",
        ),
        text(
            "qualifying",
            "The level that the figures qualify for today, in the same words."
            + (" It needs club visits, too." if kind == "Area" else ""),
            f"{DIVISIONS}: {kind} Paid Club Goal for …, {kind} Dist. Club Goal for …",
        ),
    )


def _gap(kind: str) -> tuple[Entry, ...]:
    return (
        container(
            "gap", ValueType.OBJECT, "What is missing to the next level; null at the highest level or if unknown."
        ),
        clubs("gap.paidClubs", "Paid clubs missing.", f"{DIVISIONS}: {kind} Paid Club Goal for …"),
        clubs("gap.distinguishedClubs", "Distinguished clubs missing.", f"{DIVISIONS}: {kind} Dist. Club Goal for …"),
    )


_VISITS = (
    count("gap.firstVisits", Unit.VISITS, "Visits missing in the first round.", f"{DIVISIONS}: Nov Visit award"),
    count("gap.secondVisits", Unit.VISITS, "Visits missing in the second round.", f"{DIVISIONS}: May Visit award"),
)

DIVISION_FIELDS = below(
    "divisions[].",
    (
        text("id", "The division; 0D for clubs without one.", f"{DIVISIONS}: Division"),
        *_unit("Division"),
        *_gap("Division"),
        count(
            "rank",
            Unit.RANK,
            "Rank by distinguished clubs per base, then by goals per open club; ties share a rank.",
            f"{DIVISIONS}: Total Dist. Division Clubs, Division Club Base; {CLUBS}: Goals Met",
        ),
    ),
)
AREA_FIELDS = below(
    "areas[].",
    (
        text("id", "Division and area, such as J/04.", f"{DIVISIONS}: Division, Area"),
        text("division", "The division; 0D for clubs without one.", f"{DIVISIONS}: Division"),
        text("area", "The area within its division; 0A for clubs without one.", f"{DIVISIONS}: Area"),
        *_unit("Area"),
        *_gap("Area"),
        *_VISITS,
    ),
)
