"""A service that reads its calendar from a scripted dashboard, over a store in memory that threads share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import pytest

from backfill.dashboard.calendar_page import CalendarPage
from backfill.domain import Actor, Channel
from backfill.job_types.registry import job_type_handlers
from backfill.service.commands import BackfillService
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import FAST, ScriptedDashboard, a_page, eventually

YEAR = {
    "jobType": "data-collection",
    "startDate": "2012-07-01",
    "endDate": "2013-06-30",
    "cadence": "month-ends",
}
"""A job whose plan needs twelve pages."""


class PagesDashboard(ScriptedDashboard):
    """A page of a closed year takes 50 ms, or more."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.05

    def abort(self) -> None:
        """Pages are short."""

    def calendar_page(self, month_end: date, *, district: str, is_archived: bool) -> CalendarPage:
        self.page_requests.append((month_end, is_archived))
        time.sleep(self.seconds)
        return a_page(month_end, month_end + timedelta(days=8))


class CalendarSite:
    def __init__(self, max_waiting: int = 4) -> None:
        self.storage, self.dashboard = MemoryStorage(), PagesDashboard()
        handlers = job_type_handlers(self.storage, self.dashboard, executor="threads", max_waiting=max_waiting)
        self.service = BackfillService(self.storage, handlers)
        self.service.change_rate_limits(FAST.to_dict(), by=Actor("ann", Channel.CLI))

    @property
    def stored(self) -> int:
        return len(self.storage.calendars.rows)

    def rests(self) -> bool:
        """Whether the reading has ended."""
        return eventually(lambda: not self.storage.calendars.claim.owner)


@contextmanager
def calendar_site(monkeypatch: pytest.MonkeyPatch, max_waiting: int = 4) -> Iterator[CalendarSite]:
    site = CalendarSite(max_waiting)
    monkeypatch.setattr("backfill.bootstrap.backfill_service", lambda: site.service)
    yield site
    assert site.rests()
