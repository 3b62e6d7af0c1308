"""The editions of a job's items: the planned ones, or those of calendar pages that the job has read since."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from backfill.domain import CalendarMonth, Edition, PlannedDay, calendar_ends
from backfill.errors import DashboardError, DashboardUnavailable, LocalProblem
from backfill.job_types.collection.calendars import Calendars
from backfill.rate_limit import Limiter

PAGE_AGE = timedelta(minutes=1)
"""How long a calendar page is reused after it was read again."""

MAX_PAGE_WAIT = timedelta(hours=1)
"""How long items wait for an unreadable calendar page, for example while a program year moves to the archive."""


@dataclass(frozen=True, slots=True)
class _ReadPage:
    month: CalendarMonth
    at: datetime
    mark: int


class Editions:
    """Finds the edition of an item after wrong responses. Thread-safe.

    A program year moves to the archive once, in July or August, possibly while a job runs. Its items then get wrong
    responses, and the calendar page of their month shows the new location. Marks order events within the job
    independently of the clock, which may jump.
    """

    def __init__(self, calendars: Calendars, limiter: Limiter, now: Callable[[], datetime]) -> None:
        self._calendars, self._limiter, self._now = calendars, limiter, now
        self._lock = threading.Lock()
        self._marks = itertools.count(1)
        self._pages: dict[date, _ReadPage] = {}
        self._answered: dict[Edition, int] = {}
        self._missing_since: dict[date, datetime] = {}

    def mark(self) -> int:
        """The number of the next event of this job."""
        return next(self._marks)

    def answered(self, edition: Edition, mark: int) -> None:
        """Record that the dashboard returned a correct report of this edition for a request at `mark`."""
        self._answered[edition] = mark

    def current(self, day: PlannedDay, planned: Edition) -> Edition:
        """The edition to start an item with: that of a page that this job has read, otherwise the planned one."""
        read = self._pages.get(planned.month_end)
        return (read.month.edition(day.date) if read else None) or planned

    def looked_up(self, day: PlannedDay, edition: Edition, since: int, *, is_last_attempt: bool) -> Edition | None:
        """The edition of a date according to the calendar; None if the date is no longer published.

        `since` is the mark of the item's latest wrong response under `edition`. A page younger than PAGE_AGE is
        reused. Before the item's last attempt, the page must have been read after `since`, unless another item has
        got a correct response since then. One thread reads a page while the others wait. Raises DashboardUnavailable
        if no page could be read within MAX_PAGE_WAIT, and Stopped.
        """
        with self._lock:
            must_be_newer_than = since if is_last_attempt and self._answered.get(edition, 0) < since else 0
            month = self._page(edition.month_end, must_be_newer_than, is_archived=edition.is_archived)
            if (found := month.edition(day.date)) is not None:
                return found
            for end in calendar_ends(day.date):  # while a month closes, its newest day may belong to the next month
                if end != edition.month_end:
                    with suppress(DashboardUnavailable):
                        return self._page(end, 0, is_archived=False, may_wait=False).edition(day.date)
            return None

    def _page(self, end: date, newer_than: int, *, is_archived: bool, may_wait: bool = True) -> CalendarMonth:
        read = self._pages.get(end)
        if read is not None and (read.mark > newer_than if newer_than else abs(self._now() - read.at) < PAGE_AGE):
            return read.month
        mark = self.mark()  # before reading, because the page may miss changes that happen meanwhile
        month = self._read(end, is_archived=is_archived, may_wait=may_wait)
        self._pages[end] = _ReadPage(month, self._now(), mark)
        return month

    def _read(self, end: date, *, is_archived: bool, may_wait: bool) -> CalendarMonth:
        """Retry until the page is read. Without it, it is unknown whether the items of the month still exist."""
        failures = 0
        while True:
            try:
                month = self._calendars.refreshed(end, self._now(), self._limiter, is_archived=is_archived)
            except DashboardUnavailable as exc:
                failures += 1
                cause = exc.__cause__ if isinstance(exc.__cause__, DashboardError) else exc
                since = self._missing_since.setdefault(end, self._now())
                is_over = abs(self._now() - since) >= MAX_PAGE_WAIT and not isinstance(cause, LocalProblem)
                if not may_wait or is_over:
                    raise
                self._limiter.back_off(failures, f"The calendar of {end:%B %Y} cannot be read now. {cause.message}")
            else:
                self._missing_since.pop(end, None)
                return month
