"""The calendar of the dashboard: its pages as they are requested, and as they are stored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta

from backfill.dashboard.calendar_page import CalendarPage, calendar_month
from backfill.dashboard.client import DashboardClient
from backfill.domain import CalendarMonth, ProgramYear, month_end_of
from backfill.errors import DashboardUnavailable
from backfill.job_types.collection.calendar_pages import CalendarPages
from backfill.job_types.collection.robots import Robots
from backfill.rate_limit import Limiter
from backfill.storage import CalendarStorage

MAX_AGE = timedelta(minutes=10)
"""A page of an open month is requested again after this time."""

_DAY = timedelta(days=1)


class Calendars:
    """Calendar months in the storage, and the pages of the dashboard that they come from."""

    def __init__(self, client: DashboardClient, stored: CalendarStorage, robots: Robots | None = None) -> None:
        """`robots` is None if robots.txt is ignored."""
        self._client, self._stored, self._robots = client, stored, robots

    def using(self, client: DashboardClient) -> Calendars:
        """Return these calendars with another client."""
        return Calendars(client, self._stored, self._robots)

    def scope(self) -> tuple[Calendars, Callable[[], None]]:
        """Return these calendars with a client of their own, and what aborts its requests."""
        client = self._client.scope()
        return self.using(client), client.abort

    def stored(self, wanted: Sequence[date]) -> dict[date, CalendarMonth]:
        """The stored months that end on the given days, whatever their age. The days are in order."""
        return {month.month_end: month for month in self._stored.months(wanted[0], wanted[-1])}

    def current(self, wanted: Sequence[date], now: datetime, since: datetime) -> dict[date, CalendarMonth]:
        """The stored months that need not be requested again, or that were read after `since`."""
        following = month_end_of(wanted[-1] + _DAY)
        stored = {month.month_end: month for month in self._stored.months(wanted[0], following)}
        return {
            end: month
            for end in wanted
            if (month := stored.get(end)) is not None
            and (month.is_current(now, MAX_AGE) or month.fetched_at >= since)
            and not _runs_over(month, stored.get(month_end_of(end + _DAY)))
        }

    def pages(self, missing: Sequence[date], limiter: Limiter, likely: Sequence[str]) -> CalendarPages:
        """The pages of these months. `likely` are districts that may exist in them."""
        return CalendarPages(self._client, limiter, self._known_districts(missing), likely, robots=self._robots)

    def read(self, end: date, missing: Collection[date], pages: CalendarPages, now: datetime) -> list[CalendarMonth]:
        """Request the page of a month and store it.

        Returns the month, and other missing months of which the page shows that they have no figures. Raises
        DashboardUnavailable if the page cannot be read.
        """
        page, is_archived = self._page(end, pages, now)
        year = ProgramYear.of(end)
        without_figures = {
            other
            for other in missing
            if ProgramYear.of(other) == year
            and (page is None or (page.program_year == year and other.month not in page.months))
        }
        months = [
            calendar_month(page, other, is_archived=is_archived, fetched_at=now)
            if page
            else _unpublished(other, is_archived=is_archived, now=now)
            for other in sorted({end, *without_figures})
        ]
        for month in months:
            self._stored.save(month)
        return months

    def refreshed(self, end: date, now: datetime, limiter: Limiter, *, is_archived: bool) -> CalendarMonth:
        """Read the page of a month again from its current location and store it.

        `is_archived`: the month is known to be in the archive, which it does not leave. Otherwise the bare path shows
        whether its program year is live. Raises DashboardUnavailable if neither page lists a day of the month.
        """
        pages = CalendarPages(self._client, limiter, self._known_districts([end]), robots=self._robots)
        page: CalendarPage | None = None
        if not is_archived:
            with suppress(DashboardUnavailable):  # a live year that has just started may have no page yet
                page = pages.page(end, is_archived=False)
        is_live = page is not None and page.program_year == ProgramYear.of(end)
        if not is_live:
            page = pages.page(end, is_archived=True)
        month = calendar_month(page, end, is_archived=not is_live, fetched_at=now) if page else None
        if month is None or not month.as_of_days:
            raise DashboardUnavailable(
                f"The dashboard lists no day of {end:%B %Y}, neither as a month of the live program year nor in the "
                "archive; the program year may be moving to the archive."
            )
        self._stored.save(month)
        return month

    def _known_districts(self, missing: Sequence[date]) -> dict[ProgramYear, tuple[str, ...]]:
        """The stored districts of the program years of these months and of the adjacent years."""
        first, last = ProgramYear.of(missing[0]).start - 1, ProgramYear.of(missing[-1]).start + 1
        months = self._stored.months(ProgramYear(first).month_end(7), ProgramYear(last).close)
        return {ProgramYear.of(month.month_end): month.districts for month in months if month.districts}

    @staticmethod
    def _page(end: date, pages: CalendarPages, now: datetime) -> tuple[CalendarPage | None, bool]:
        """The page of a month and whether it is from the archive; None if its program year is not published."""
        year, live = ProgramYear.of(end), ProgramYear.of(now.date())
        # A new program year is not published before late July; until then the previous year may be live.
        if year >= live or (year.start == live.start - 1 and now.month == 7):
            page = pages.page(end, is_archived=False)
            if page is not None and page.program_year == year:
                return page, False
            if year >= live:
                return None, False
        return pages.page(end, is_archived=True), True


def _runs_over(month: CalendarMonth, following: CalendarMonth | None) -> bool:
    """Whether a stored closed month has a day after its close.

    Earlier versions took the newest day of July 2022 for its close. Such a day is also in the next month; the page is
    then requested again.
    """
    if following is None or not (month.is_closed and month.as_of_days and following.as_of_days):
        return False
    return month.as_of_days[-1] >= following.as_of_days[0]


def _unpublished(end: date, *, is_archived: bool, now: datetime) -> CalendarMonth:
    return CalendarMonth(
        month_end=end,
        districts=(),
        as_of_days=(),
        is_archived=is_archived,
        is_closed=False,
        has_blank_close=False,
        fetched_at=now,
    )
