"""Which days exist: the calendar pages of the dashboard, asked for once each and kept in the storage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

from backfill.dashboard.calendar_page import CalendarPage, calendar_month
from backfill.dashboard.client import DashboardClient
from backfill.dashboard.protocol import calendar_path
from backfill.domain import CalendarMonth, ProgramYear
from backfill.errors import DashboardError, DashboardUnavailable, HtmlPage, LocalProblem, Throttled
from backfill.rate_limit import Limiter
from backfill.storage import SnapshotStorage
from backfill.work.robots import Robots

MAX_AGE = timedelta(minutes=10)
"""A page of a month that is still open is asked for again after this time."""

_ATTEMPTS = 3
"""For each page, before an operator who waits for a plan is told that the dashboard is not to be had."""


class Calendars:
    """The calendar of any range, from the storage where it is there and from the dashboard where not."""

    def __init__(
        self,
        client: DashboardClient,
        snapshots: SnapshotStorage,
        new_limiter: Callable[[], Limiter],
        robots: Robots | None = None,
    ) -> None:
        """`robots` is None where robots.txt is ignored."""
        self._client, self._snapshots, self._new_limiter, self._robots = client, snapshots, new_limiter, robots

    def months(self, wanted: Sequence[date], now: datetime) -> list[CalendarMonth]:
        """The months that end on the given days, which are in order, each with what is published of it.

        Every page is stored as soon as it is there, so a plan that could not be finished goes on where it was.
        Raises DashboardUnavailable where a page is needed and cannot be had.
        """
        stored = {month.month_end: month for month in self._snapshots.calendar(wanted[0], wanted[-1])}
        current = {end: month for end, month in stored.items() if month.is_current(now, MAX_AGE)}
        missing = [end for end in wanted if end not in current]
        if missing:
            current |= self._fetched(missing, now)
        return [current[end] for end in wanted]

    def _fetched(self, missing: list[date], now: datetime) -> dict[date, CalendarMonth]:
        limiter = self._new_limiter()
        try:
            return self._asked_for(missing, limiter, now)
        finally:
            limiter.give_back()

    def _asked_for(self, missing: list[date], limiter: Limiter, now: datetime) -> dict[date, CalendarMonth]:
        found: dict[date, CalendarMonth] = {}
        for end in missing:
            if end in found:
                continue
            page, is_archived = self._page(end, limiter, now)
            # A page also names the months of its year that have anything: the others need not be asked for.
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
                self._snapshots.save_calendar(month)
                found[other] = month
        return found

    def _page(self, end: date, limiter: Limiter, now: datetime) -> tuple[CalendarPage | None, bool]:
        """The page of a month and whether it is of the archive; None where its whole year is not published."""
        year, live = ProgramYear.of(end), ProgramYear.of(now.date())
        if year >= live:
            page = self._asked(end, limiter, is_archived=False)
            return (page if page.program_year == year else None), False
        if year.start == live.start - 1 and now.month == 7:
            # A new program year is not published before late July; until then the one before may still be live.
            page = self._asked(end, limiter, is_archived=False)
            if page.program_year == year:
                return page, False
        return self._archived(end, limiter), True

    def _archived(self, end: date, limiter: Limiter) -> CalendarPage | None:
        try:
            return self._asked(end, limiter, is_archived=True)
        except DashboardUnavailable as exc:
            # The error page comes for a year that is not published and while a page is broken: any other page tells.
            if not isinstance(exc.__cause__, HtmlPage):
                raise
            if ProgramYear.of(end) in self._asked(end, limiter, is_archived=False).program_years:
                raise
            return None

    def _asked(self, end: date, limiter: Limiter, *, is_archived: bool) -> CalendarPage:
        failures = 0
        while True:
            try:
                if self._robots is not None:
                    self._robots.check(limiter, calendar_path(end, is_archived=is_archived))
                with limiter.request():
                    return self._client.calendar_page(end, is_archived=is_archived)
            except DashboardUnavailable:
                raise
            except DashboardError as exc:
                failures += 1
                if not exc.is_retryable or failures >= _ATTEMPTS or isinstance(exc, LocalProblem):
                    raise DashboardUnavailable(
                        f"The calendar of {end:%B %Y} is needed and cannot be had: {exc.message} "
                        "Nothing was created; try again later."
                    ) from exc
                if not isinstance(exc, Throttled):  # which holds everybody anyway
                    limiter.back_off(failures, exc.message)


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
