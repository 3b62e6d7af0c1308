"""The sample world: the content of the dashboard, without a network. The same world returns the same bytes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Literal, NamedTuple

from sample_dashboard.pages import CalendarPage, home_page
from sample_dashboard.population import Population
from sample_dashboard.program_year import ProgramYear
from sample_dashboard.reformation import REFORMATION_YEAR, Reformation
from sample_dashboard.reports import DistrictTraits, ReportName, as_csv, district_rows, header_of, summary_row
from sample_dashboard.rng import Rng
from sample_dashboard.standings import Standing

CLOSED_YEARS = 6
SPARSE_YEARS = 2
"""The oldest of the closed years, with one as-of day a month."""

FIRST_TODAY = date(2009, 9, 1)
MAX_DISTRICTS = 200
MAX_CLUBS = 400

_DAY = timedelta(days=1)
_MONTHS = (7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6)


class _Published(NamedTuple):
    """Published figures, and the date in their footer."""

    month_end: date
    as_of: date
    stamp: date


class _ReportQuery(NamedTuple):
    """A parsed report string."""

    name: ReportName
    district: str
    month_end: date | None
    """None if it is blank or not the last day of a month."""
    as_of: date | None
    is_blank: bool
    """The as-of date is empty."""

    @classmethod
    def read(cls, text: str) -> _ReportQuery | None:
        """Return None for an unknown report."""
        report, *slots = text.split("~")
        if report not in set(ReportName):
            return None
        name = ReportName(report)
        district = slots.pop(0) if name is not ReportName.SUMMARY and slots else ""
        month_end, as_of = ([*slots, "", ""])[:2]
        end = _parsed(month_end)
        is_month_end = end is not None and (end + _DAY).day == 1
        return cls(name, district, end if is_month_end else None, _parsed(as_of), not as_of.strip())


@dataclass(frozen=True)
class SampleWorld:
    """Fictitious districts as the dashboard shows them on `today` (UTC).

    Figures depend on `seed`, `districts` and `clubs`; `today` determines which of them are published.
    """

    today: date
    seed: str = "sample"
    districts: int = 8
    clubs: int = 40
    unknown_id: Literal["error", "other"] = "error"
    """The response to a calendar page of an unknown district: the error page or another district."""

    def __post_init__(self) -> None:
        """Raise ValueError for invalid arguments."""
        if not 3 <= self.districts <= MAX_DISTRICTS:
            raise ValueError(f"A sample world has 3 to {MAX_DISTRICTS} districts, not {self.districts}.")
        if not 1 <= self.clubs <= MAX_CLUBS:
            raise ValueError(f"A district of the sample world has 1 to {MAX_CLUBS} clubs, not {self.clubs}.")
        if self.today < FIRST_TODAY:
            raise ValueError(f"The sample world begins on {FIRST_TODAY}; use that day or a later one as today.")

    @cached_property
    def live_year(self) -> ProgramYear:
        """The program year without a path prefix. A new one appears from 25 July on, after its first as-of day."""
        this = ProgramYear.of(self.today)
        june_close = self.close_of(date(this.start, 6, 30))
        begins = max(date(this.start, 7, 25), june_close + 2 * _DAY)
        return this if self.today >= begins else ProgramYear(this.start - 1)

    @cached_property
    def years(self) -> tuple[ProgramYear, ...]:
        """Newest first; the first is the live one."""
        live = self.live_year.start
        return tuple(ProgramYear(start) for start in range(live, max(live - CLOSED_YEARS, 2008) - 1, -1))

    def close_of(self, month_end: date) -> date:
        """Return the last as-of day of a month, some days after its end."""
        low, high = (12, 29) if month_end.month == 6 else (3, 15)
        return month_end + timedelta(days=self._rng.between(low, high, "close", month_end))

    def as_of_days(self, month_end: date) -> tuple[date, ...]:
        """Return the published as-of days of a month, oldest first."""
        year = ProgramYear.of(month_end)
        if year not in self.years:
            return ()
        close = self.close_of(month_end)
        if year.start < self.live_year.start and year in self.years[1 + CLOSED_YEARS - SPARSE_YEARS :]:
            return (close,)
        first = self.close_of(month_end.replace(day=1) - _DAY) + _DAY
        last = min(close, self.today - _DAY)
        return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))

    def months(self, year: ProgramYear) -> tuple[int, ...]:
        """Return the published months of a program year, newest first."""
        return tuple(month for month in reversed(_MONTHS) if self.as_of_days(year.month_end(month)))

    def districts_of(self, year: ProgramYear) -> tuple[str, ...]:
        """Return the districts of a program year.

        The last numbered one has existed for four years only. From 2026-2027 on, new districts replace the first ones.
        """
        numbers = self.districts - 2
        if numbers > 1 and year.start < self.live_year.start - 3:
            numbers -= 1
        numbered = tuple(f"{number:02d}" for number in range(1, numbers + 1))
        if year.start >= REFORMATION_YEAR:
            numbered = self._reformation.districts(numbered)
        return (*numbered, "F", "U")

    def home_page(self) -> bytes:
        """Return the home page with the districts of the live year by region."""
        year = self.live_year
        return home_page([(self._traits(year, district).region, district) for district in self.districts_of(year)])

    def has_calendar_page(self, year: ProgramYear, district: str) -> bool:
        """Return whether a district, possibly unknown, has a calendar page; "" is the first district."""
        return not district or self.unknown_id == "other" or district in self.districts_of(year)

    def calendar_page(self, year: ProgramYear, district: str = "", month: int | None = None) -> bytes:
        """Return the calendar page of a published year.

        It shows the first district instead of an unknown one, and the newest month instead of an unpublished one.
        """
        months = self.months(year)
        month_end = year.month_end(month if month in months else months[0])
        districts = self.districts_of(year)
        return CalendarPage(
            year=year,
            years=self.years,
            districts=districts,
            district=district if district in districts else districts[0],
            months=months,
            month_end=month_end,
            as_of_days=self.as_of_days(month_end)[::-1],
            has_blank_close=year != self.live_year and month_end.month == 6,
        ).render()

    def report(self, report_string: str, archive: ProgramYear | None = None) -> bytes | None:
        """Return the export for a report string, from the archive of a closed year or from the live path.

        None means the error page. The live path returns the figures of today for requests that it does not understand.
        """
        query = _ReportQuery.read(report_string)
        if query is None:
            return None
        return self._from_bare_path(query) if archive is None else self._from_archive(query, archive)

    def _from_bare_path(self, query: _ReportQuery) -> bytes:
        year = self.live_year
        is_known = query.name is ReportName.SUMMARY or query.district in self.districts_of(year)
        if not is_known:
            query = query._replace(district=self.districts_of(year)[0])
        is_understood = query.month_end is not None and ProgramYear.of(query.month_end) == year
        if not is_known or not is_understood or query.is_blank:
            return self._csv(query, year, self._newest())
        return self._figures_of_day(query, year)

    def _from_archive(self, query: _ReportQuery, year: ProgramYear) -> bytes:
        if query.month_end is None or query.is_blank:
            return self._csv(query, year, _Published(year.close, self.close_of(year.close), self.today))
        return self._figures_of_day(query, year)

    def _figures_of_day(self, query: _ReportQuery, year: ProgramYear) -> bytes:
        month_end, as_of = query.month_end or year.close, query.as_of
        is_published = ProgramYear.of(month_end) == year and as_of in self.as_of_days(month_end)
        if year != self.live_year and as_of == self.close_of(year.close):
            is_published = False  # the calendar page has an empty value for that day
        if as_of is None or not is_published:
            return as_csv(header_of(query.name, year.start), (), month_end, as_of or self.today)
        return self._csv(query, year, _Published(month_end, as_of, as_of))

    def _newest(self) -> _Published:
        month_end = self.live_year.month_end(self.months(self.live_year)[0])
        as_of = self.as_of_days(month_end)[-1]
        return _Published(month_end, as_of, as_of)

    def _csv(self, query: _ReportQuery, year: ProgramYear, published: _Published) -> bytes:
        districts, rows = self.districts_of(year), list[list[object]]()

        def clubs(district: str) -> tuple[Standing, ...]:
            return self._population.standings(district, year.start, published.as_of)

        if query.name is ReportName.SUMMARY:
            rows = [summary_row(year.start, self._traits(year, each), clubs(each)) for each in districts]
        elif query.district in districts:
            rows = district_rows(query.name, year.start, query.district, clubs(query.district))
        return as_csv(header_of(query.name, year.start), rows, published.month_end, published.stamp)

    def _traits(self, year: ProgramYear, district: str) -> DistrictTraits:
        before = ProgramYear(year.start - 1)
        is_old = district in self.districts_of(before) or district in self._reformation.successors.values()
        region = 1 + self._rng.between(0, 13, "region", district)
        return DistrictTraits(
            district=district,
            region="DNAR" if district == "U" else f"{region:02d}",
            has_success_plan=self._rng.happens(85, "plan", district, year),
            is_trained=self._rng.happens(90, "training", district, year),
            payment_base=self._population.payments_before(district, year.start) if is_old else 0,
        )

    @cached_property
    def _rng(self) -> Rng:
        return Rng(self.seed)

    @cached_property
    def _reformation(self) -> Reformation:
        return Reformation.of(self.districts - 2)

    @cached_property
    def _population(self) -> Population:
        return Population(self._rng, self.clubs, self._reformation)


def _parsed(text: str) -> date | None:
    try:
        month, day, year = (int(part) for part in text.split("/"))
        return date(year, month, day)
    except ValueError:
        return None
