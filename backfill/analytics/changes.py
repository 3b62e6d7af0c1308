"""The differences between two dates of a district: which clubs are new, closed, moved or suspended, and their figures.

Source: the figures of the clubs on both dates, and those of the clubs that were in another district on one of them.
Units: members, goals and payments are counts. docs/analytics.md has the rules.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from backfill.analytics.cells import difference, total
from backfill.analytics.club_figures import ClubFigures
from backfill.analytics.distinguished import LEVELS
from backfill.domain import ProgramYear

REFORMATION = ProgramYear(2026)
"""On 1 July 2026 districts were formed from others, and clubs moved between districts."""

ClubId = str
"""The number of a club, or its name if it has no number."""


class ChangeKind(StrEnum):
    """What happened to a club. A club can have several."""

    NEW = "new"
    CLOSED = "closed"
    MOVED = "moved"
    SUSPENDED = "suspended"
    REOPENED = "reopened"


class Basis(StrEnum):
    """A kind of level: reported by the dashboard, or the level that the figures qualify for."""

    REPORTED = "reported"
    QUALIFYING = "qualifying"


@dataclass(frozen=True, slots=True)
class ClubOnDate:
    """A club in a district on a date."""

    district: str
    figures: ClubFigures

    @property
    def place(self) -> tuple[str, str, str]:
        return self.district, self.figures.division, self.figures.area

    def level(self, basis: Basis) -> str | None:
        return self.figures.reported_level if basis is Basis.REPORTED else self.figures.qualifying_level


@dataclass(frozen=True, slots=True, kw_only=True)
class DistrictOnDate:
    """A district on a date, and the clubs of the other date that are in another district."""

    date: dt.date
    program_year: ProgramYear
    data_month: dt.date | None
    as_of: dt.date | None
    is_final: bool | None
    """These three are None if the district did not exist."""
    clubs: Sequence[ClubFigures]
    exists: bool = True
    """False if the district summary of the date does not name the district."""
    elsewhere: Mapping[ClubId, ClubOnDate]
    """Clubs of the other date that are in another district on this date."""
    not_searched: Collection[str] | None = ()
    """Districts in which clubs could not be looked for; None if they are unknown."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A count on both dates; None if it is unknown, or the club is not listed."""

    before: int | None
    after: int | None
    change: int | None


@dataclass(frozen=True, slots=True)
class LevelChange:
    number: str
    name: str
    basis: Basis
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ClubChange:
    """A club that is in the district on at least one of the dates."""

    before: ClubOnDate | None
    """None if the club is not listed on the first date."""
    after: ClubOnDate | None
    kinds: tuple[ChangeKind, ...]
    members: Figure
    goals: Figure
    payments: Figure
    levels: tuple[LevelChange, ...]
    """Levels that differ; the level of an earlier program year does not count."""

    @property
    def latest(self) -> ClubOnDate:
        found = self.after or self.before
        assert found is not None  # noqa: S101 - a club is listed on at least one date
        return found


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the clubs of the district itself."""

    clubs: Figure
    """Clubs that are not suspended."""
    members: Figure
    """Of these clubs."""
    payments: Figure
    """Of all clubs."""


@dataclass(frozen=True, slots=True)
class DistrictChanges:
    district: str
    before: DistrictOnDate
    after: DistrictOnDate
    clubs: tuple[ClubChange, ...]
    """By number."""
    totals: Totals
    notes: tuple[str, ...]
    """What restricts the comparison, as sentences."""

    @property
    def is_same_year(self) -> bool:
        return self.before.program_year == self.after.program_year

    @property
    def is_complete(self) -> bool:
        """Whether all districts of both dates could be searched for clubs that came or left."""
        return not any(side.not_searched is None or side.not_searched for side in (self.before, self.after))

    def of_kind(self, kind: ChangeKind) -> list[ClubChange]:
        return [club for club in self.clubs if kind in club.kinds]

    def levels(self, *, gained: bool) -> list[LevelChange]:
        changes = [change for club in self.clubs for change in club.levels]
        return [change for change in changes if (_rank(change.after) > _rank(change.before)) is gained]


def club_id(club: ClubFigures) -> ClubId:
    return club.club_number or club.club_name


def ids_to_find(before: Sequence[ClubFigures], after: Sequence[ClubFigures]) -> tuple[set[str], set[str]]:
    """The numbers of clubs that must be looked for in other districts on the first and on the second date.

    Clubs without a number cannot be told apart from clubs of other districts.
    """
    first, second = ({club.club_number for club in clubs if club.club_number} for clubs in (before, after))
    return second - first, first - second


def district_changes(district: str, before: DistrictOnDate, after: DistrictOnDate) -> DistrictChanges:
    """Compare two dates of a district.

    - new: listed on the second date, and in no district on the first.
    - closed: listed on the first date, and in no district on the second.
    - moved: listed on both dates, with another district, division or area.
    - suspended: listed on both dates, with the status Suspended on the second only. reopened: on the first only.

    Members are compared over any two dates. Payments, goals and levels restart on 1 July, so their changes between two
    program years are None, and the levels gained are those of the second date. If a report has several rows of a club,
    the first one counts.
    """
    is_same_year = before.program_year == after.program_year
    first, second = _by_id(district, before), _by_id(district, after)
    ids = sorted({*first, *second}, key=lambda key: (not key.isdecimal(), len(key), key))
    clubs = [
        _club(
            first.get(key) or before.elsewhere.get(key),
            second.get(key) or after.elsewhere.get(key),
            is_same_year=is_same_year,
        )
        for key in ids
    ]
    return DistrictChanges(
        district, before, after, tuple(clubs), _totals(before, after), tuple(_notes(district, before, after))
    )


def _by_id(district: str, side: DistrictOnDate) -> dict[ClubId, ClubOnDate]:
    found: dict[ClubId, ClubOnDate] = {}
    for club in side.clubs:
        found.setdefault(club_id(club), ClubOnDate(district, club))
    return found


def _club(before: ClubOnDate | None, after: ClubOnDate | None, *, is_same_year: bool) -> ClubChange:
    first, second = before.figures if before else None, after.figures if after else None
    return ClubChange(
        before,
        after,
        _kinds(before, after),
        _figure(first and first.members, second and second.members),
        _figure(first and first.goals, second and second.goals, comparable=is_same_year),
        _figure(first and first.payments_total, second and second.payments_total, comparable=is_same_year),
        _level_changes(before if is_same_year else None, after),
    )


def _kinds(before: ClubOnDate | None, after: ClubOnDate | None) -> tuple[ChangeKind, ...]:
    if before is None:
        return (ChangeKind.NEW,)
    if after is None:
        return (ChangeKind.CLOSED,)
    kinds = []
    if before.place != after.place:
        kinds.append(ChangeKind.MOVED)
    if after.figures.is_suspended and not before.figures.is_suspended:
        kinds.append(ChangeKind.SUSPENDED)
    if before.figures.is_suspended and after.figures.status is not None and not after.figures.is_suspended:
        kinds.append(ChangeKind.REOPENED)
    return tuple(kinds)


def _level_changes(before: ClubOnDate | None, after: ClubOnDate | None) -> tuple[LevelChange, ...]:
    if after is None:
        return ()
    number, name = after.figures.club_number, after.figures.club_name
    levels = [(basis, before.level(basis) if before else None, after.level(basis)) for basis in Basis]
    return tuple(LevelChange(number, name, *change) for change in levels if change[1] != change[2])


def _rank(level: str | None) -> int:
    return -1 if level is None else list(LEVELS.values()).index(level)


def _figure(before: int | None, after: int | None, *, comparable: bool = True) -> Figure:
    return Figure(before, after, difference(after, before) if comparable else None)


def _totals(before: DistrictOnDate, after: DistrictOnDate) -> Totals:
    sides = []
    for side in (before, after):
        open_clubs = [club for club in side.clubs if club.status is not None and not club.is_suspended]
        members, payments = [club.members for club in open_clubs], [club.payments_total for club in side.clubs]
        sides.append((len(open_clubs), total(members), total(payments)) if side.exists else (None, None, None))
    clubs, members_of, payments_of = zip(*sides, strict=True)
    is_same_year = before.program_year == after.program_year
    return Totals(_figure(*clubs), _figure(*members_of), _figure(*payments_of, comparable=is_same_year))


def _notes(district: str, before: DistrictOnDate, after: DistrictOnDate) -> list[str]:
    notes = []
    if before.program_year != after.program_year:
        notes.append(
            f"The dates are in different program years ({before.program_year} and {after.program_year}). Payments, "
            "goals and levels restart on 1 July: their changes are null, and the levels gained are those of "
            "the later date."
        )
    if before.program_year < REFORMATION <= after.program_year:
        notes.append(
            "On 1 July 2026 districts were reorganised: many clubs moved to another district, and some districts exist "
            "on one of the dates only."
        )
    for side in (before, after):
        if not side.exists:
            notes.append(f"District {district} did not exist on {side.date}, according to the district summary.")
        if side.not_searched is None:
            notes.append(
                f"The district summary of {side.date} is not stored, so clubs may be in districts that were "
                "not searched."
            )
        elif side.not_searched:
            names = ", ".join(side.not_searched)
            notes.append(f"Clubs may be in districts without a readable snapshot on {side.date}: {names}.")
    return notes
