"""The calendar of the dashboard: pages are requested once and stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """Calendar months from the storage, or from the dashboard if they are not stored or out of date."""

    def __init__(
        self,
        client: DashboardClient,
        stored: CalendarStorage,
        new_limiter: Callable[[], Limiter],
        robots: Robots | None = None,
    ) -> None:
        """`robots` is None if robots.txt is ignored."""
        self._client, self._stored, self._new_limiter, self._robots = client, stored, new_limiter, robots

    def using(self, client: DashboardClient) -> Calendars:
        """Return these calendars with another client."""
        return Calendars(client, self._stored, self._new_limiter, self._robots)

    def months(self, wanted: Sequence[date], now: datetime, *, likely: Sequence[str] = ()) -> list[CalendarMonth]:
        """The months that end on the given days, which are in order.

        Each page is stored when it is read, so a plan that fails continues with the missing pages. `likely` are
        districts that may exist in those months. Raises DashboardUnavailable if a missing page cannot be read.
        """
        following = month_end_of(wanted[-1] + _DAY)
        stored = {month.month_end: month for month in self._stored.months(wanted[0], following)}
        current = {
            end: month
            for end, month in stored.items()
            if month.is_current(now, MAX_AGE) and not _runs_over(month, stored.get(month_end_of(end + _DAY)))
        }
        missing = [end for end in wanted if end not in current]
        if missing:
            current |= self._fetched(missing, now, likely)
        return [current[end] for end in wanted]

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

    def _fetched(self, missing: list[date], now: datetime, likely: Sequence[str]) -> dict[date, CalendarMonth]:
        limiter = self._new_limiter()
        try:
            pages = CalendarPages(self._client, limiter, self._known_districts(missing), likely, robots=self._robots)
            return self._read_pages(missing, pages, now)
        finally:
            limiter.give_back()

    def _known_districts(self, missing: list[date]) -> dict[ProgramYear, tuple[str, ...]]:
        """The stored districts of the program years of these months and of the adjacent years."""
        first, last = ProgramYear.of(missing[0]).start - 1, ProgramYear.of(missing[-1]).start + 1
        months = self._stored.months(ProgramYear(first).month_end(7), ProgramYear(last).close)
        return {ProgramYear.of(month.month_end): month.districts for month in months if month.districts}

    def _read_pages(self, missing: list[date], pages: CalendarPages, now: datetime) -> dict[date, CalendarMonth]:
        found: dict[date, CalendarMonth] = {}
        for end in missing:
            if end in found:
                continue
            page, is_archived = self._page(end, pages, now)
            # A page also lists the months of its year that have figures. The pages of other months are not needed.
            year = ProgramYear.of(end)
            rest = [
                other
                for other in missing
                if other not in found
                and ProgramYear.of(other) == year
                and (page is None or (page.program_year == year and other.month not in page.months))
            ]
            for other in {end, *rest}:
                month = (
                    calendar_month(page, other, is_archived=is_archived, fetched_at=now)
                    if page
                    else _unpublished(other, is_archived=is_archived, now=now)
                )
                self._stored.save(month)
                found[other] = month
        return found

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
