"""The reader of calendar pages: one reader, callers that wait, deadlines, the share of a job, several processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest

from backfill.dashboard.calendar_page import CalendarPage
from backfill.domain import (
    CalendarAccess,
    CalendarClaim,
    CalendarMonth,
    CalendarProgress,
    RateLimits,
    month_ends,
)
from backfill.errors import (
    BackfillError,
    CalendarIncomplete,
    CalendarReadDenied,
    DashboardUnavailable,
    ServerError,
    Stopped,
    StorageUnavailable,
)
from backfill.job_types.collection.calendar_calls import TURNS_FOR_A_JOB, ReadingPace
from backfill.job_types.collection.calendar_reader import KEEP_READING, CalendarReader
from backfill.job_types.collection.calendars import Calendars
from backfill.rate_limit import Limiter
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import NOW, ScriptedDashboard, a_month, a_page
from tests.unit.virtual_clock import VirtualClock

LIMITS = RateLimits(max_requests_per_minute=60, min_delay_ms=0)
SECOND = LIMITS.interval.total_seconds()
YEAR = month_ends(date(2012, 7, 1), date(2013, 6, 30))
TWO_YEARS = month_ends(date(2012, 7, 1), date(2014, 6, 30))


class SlowDashboard(ScriptedDashboard):
    """Pages of closed years that take `seconds` each, and the times at which they were requested."""

    def __init__(self, clock: VirtualClock, seconds: float = 0.2) -> None:
        super().__init__()
        self.clock, self.seconds = clock, seconds
        self.times: list[float] = []
        self.failing: dict[date, Exception] = {}
        self.is_aborted = False
        self.in_flight = self.most_in_flight = 0

    def abort(self) -> None:
        self.is_aborted = True

    def calendar_page(self, month_end: date, *, district: str, is_archived: bool) -> CalendarPage:
        self.page_requests.append((month_end, is_archived))
        self.times.append(self.clock.monotonic())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.clock.sleep(self.seconds)
        self.in_flight -= 1
        if (failure := self.failing.get(month_end)) is not None:
            raise failure
        return a_page(month_end, month_end + timedelta(days=8))

    @property
    def months(self) -> list[date]:
        return [month for month, _ in self.page_requests]


class Reading:
    """The readers of some processes over one store and one dashboard, in virtual time."""

    def __init__(
        self, *, seconds: float = 0.2, limits: RateLimits = LIMITS, is_shared: bool = False, max_waiting: int = 4
    ) -> None:
        self.clock, self.storage = VirtualClock.at(), MemoryStorage()
        self.dashboard = SlowDashboard(self.clock, seconds)
        self.pace, self.max_waiting = ReadingPace(limits, is_shared), max_waiting
        self.limiters: list[Limiter] = []
        self.reader = self.new_process()

    def new_process(self) -> CalendarReader:
        def new_limiter(limits: RateLimits, is_wanted: Callable[[], bool]) -> Limiter:
            update = self.storage.control.update_schedule
            self.limiters.append(Limiter(limits, update, max_wait=70, is_wanted=is_wanted, clock=self.clock))
            return self.limiters[-1]

        return CalendarReader(
            self.storage,
            Calendars(self.dashboard, self.storage.calendars),
            new_limiter,
            lambda: self.pace,
            max_waiting=self.max_waiting,
            clock=self.clock,
        )

    def call(
        self,
        wanted: Sequence[date] = YEAR,
        max_wait: float | None = 50,
        reader: CalendarReader | None = None,
        **access: object,
    ) -> Call:
        options = CalendarAccess(max_wait=max_wait, **access)  # type: ignore[arg-type]
        return Call(self.clock, lambda: (reader or self.reader).months(wanted, options))

    def refused(self, wanted: Sequence[date] = YEAR, max_wait: float = 50) -> CalendarIncomplete:
        """The error of a call in this thread."""
        with pytest.raises(CalendarIncomplete) as caught:
            self.reader.months(wanted, CalendarAccess(max_wait=max_wait))
        return caught.value

    @property
    def stored(self) -> int:
        return len(self.storage.calendars.rows)


class Call:
    """A call in a thread of its own."""

    def __init__(self, clock: VirtualClock, do: Callable[[], list[CalendarMonth]]) -> None:
        self._clock, self._do = clock, do
        self.months: list[CalendarMonth] | None = None
        self.error: Exception | None = None
        self.seconds = 0.0
        self._thread = clock.thread(self._run, "call")
        self._thread.start()

    def _run(self) -> None:
        began = self._clock.monotonic()
        try:
            self.months = self._do()
        except BackfillError as exc:
            self.error = exc
        self.seconds = self._clock.monotonic() - began

    def ended(self) -> Call:
        self._thread.join(600)
        return self


# One reader.


def test_calls_for_the_same_pages_request_each_of_them_once() -> None:
    """R11.2"""
    it = Reading()
    calls = [it.call() for _ in range(4)]
    for call in calls:
        call.ended()
        assert [month.month_end for month in call.months or ()] == YEAR
    assert it.dashboard.months == YEAR
    assert it.dashboard.most_in_flight == 1
    assert calls[0].seconds == pytest.approx(11 * SECOND + 0.2, abs=1)


def test_calls_for_different_pages_take_turns_with_one_request_at_a_time() -> None:
    it = Reading()
    later = month_ends(date(2015, 7, 1), date(2016, 6, 30))
    first, second = it.call(YEAR), it.call(later)
    it.clock.sleep(6 * SECOND)
    begun = [sum(end in it.storage.calendars.rows for end in ends) for ends in (YEAR, later)]
    assert max(begun) - min(begun) <= 1
    assert first.ended().months
    assert second.ended().months
    assert sorted(it.dashboard.months) == [*YEAR, *later]
    assert it.dashboard.most_in_flight == 1


def test_a_reading_ends_with_its_calls_and_returns_the_reserved_time_and_the_claim() -> None:
    it = Reading()
    it.call(YEAR[:2]).ended()
    assert it.clock.eventually(lambda: it.storage.calendars.claim == CalendarClaim())
    assert it.storage.control.schedule.free_at(it.clock.now()) - it.clock.now() <= LIMITS.interval
    it.call(YEAR[2:4]).ended()
    assert len(it.limiters) == 2


def test_stored_pages_start_no_reading() -> None:
    it = Reading()
    for end in YEAR:
        it.storage.calendars.save(a_month(end, end, is_archived=True))
    assert len(it.reader.months(YEAR, CalendarAccess(max_wait=0, may_read=False))) == 12
    assert it.limiters == []


# Deadlines.


def test_after_the_deadline_a_call_gets_the_progress_and_a_repeated_call_continues() -> None:
    """R11.2"""
    it = Reading()
    error = it.refused(TWO_YEARS, max_wait=5)
    assert error.details == {"needed": 24, "stored": 5, "estimatedSecondsLeft": pytest.approx(20, abs=3)}
    assert "5 of 24 pages are stored" in error.message
    assert error.is_retryable
    assert error.retry_after < KEEP_READING
    while isinstance((call := it.call(TWO_YEARS, max_wait=5).ended()).error, CalendarIncomplete):
        it.clock.sleep(error.retry_after)
    assert len(call.months or ()) == 24
    assert it.dashboard.months == TWO_YEARS


def test_a_call_ends_at_its_deadline_although_the_dashboard_does_not_answer() -> None:
    it = Reading(seconds=100)
    call = it.call(YEAR[:2], max_wait=5).ended()
    assert isinstance(call.error, CalendarIncomplete)
    assert call.seconds == pytest.approx(5, abs=0.01)
    # The page in flight is stored when it arrives, and no other one is requested.
    it.clock.sleep(200)
    assert (it.stored, it.dashboard.months) == (1, YEAR[:1])


def test_the_reading_ends_soon_after_the_last_call() -> None:
    it = Reading()
    it.refused(TWO_YEARS, max_wait=5)
    left_at = it.clock.monotonic()
    it.clock.sleep(120)
    assert it.dashboard.times[-1] - left_at <= KEEP_READING
    assert it.storage.calendars.claim == CalendarClaim()


def test_a_wait_for_the_rate_ends_with_the_calls_that_wait_for_it() -> None:
    it = Reading(limits=RateLimits(max_requests_per_minute=1))
    it.refused(YEAR, max_wait=5)
    it.clock.sleep(120)
    assert it.dashboard.months == YEAR[:1]
    assert it.storage.control.schedule.free_at(it.clock.now()) == it.clock.now()


@pytest.mark.parametrize(
    "limits", [RateLimits(max_requests_per_minute=1), RateLimits(min_delay_ms=60_000, max_delay_ms=60_000)]
)
def test_the_gentlest_limits_give_the_progress_and_then_the_months(limits: RateLimits) -> None:
    """R12.1"""
    it = Reading(limits=limits)
    error = it.refused(YEAR[:2])
    assert error.details == {"needed": 2, "stored": 1, "estimatedSecondsLeft": pytest.approx(60, abs=31)}
    assert "Others" not in error.message
    assert len(it.call(YEAR[:2]).ended().months or ()) == 2
    first, second = it.dashboard.times
    assert second - first == pytest.approx(limits.interval.total_seconds(), abs=6)


def test_a_call_of_a_client_that_has_gone_ends_and_so_does_the_reading() -> None:
    it = Reading()
    has_gone = threading.Event()
    call = it.call(TWO_YEARS, is_abandoned=has_gone.is_set)
    it.clock.sleep(3)
    has_gone.set()
    gone_at = it.clock.monotonic()
    assert isinstance(call.ended().error, Stopped)
    assert it.clock.monotonic() - gone_at < 1.5
    it.clock.sleep(60)
    assert it.dashboard.times[-1] - gone_at <= SECOND
    assert it.stored == len(it.dashboard.times)


def test_a_caller_without_a_time_limit_sees_the_progress() -> None:
    it = Reading()
    seen: list[CalendarProgress] = []
    it.call(YEAR, max_wait=None, report=seen.append).ended()
    assert (seen[0].stored, seen[-1].stored) == (0, 12)
    assert seen[-1].is_complete
    assert all(before.stored <= after.stored for before, after in pairwise(seen))
    assert seen[0].seconds_left == pytest.approx(12 * SECOND, abs=1)


def test_an_interrupted_command_stops_the_reading_at_once_and_keeps_the_pages() -> None:
    it = Reading(seconds=3)

    def interrupt(progress: CalendarProgress) -> None:
        if progress.stored == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        it.reader.months(YEAR, CalendarAccess(report=interrupt))
    assert it.dashboard.is_aborted
    it.clock.sleep(60)
    assert len(it.dashboard.times) <= 3
    assert it.stored >= 2
    assert it.storage.calendars.claim == CalendarClaim()


# Server threads.


def test_more_calls_than_may_wait_get_the_progress_at_once_and_their_pages_are_read_too() -> None:
    """R11.2"""
    it = Reading(max_waiting=2)
    waiting = [it.call(YEAR), it.call(YEAR)]
    it.clock.sleep(3)
    others = [it.call(YEAR).ended() for _ in range(30)]
    assert {type(call.error) for call in others} == {CalendarIncomplete}
    assert max(call.seconds for call in others) == 0
    assert "Other requests already wait" in str(others[0].error)
    assert all(call.ended().months for call in waiting)
    assert it.call(YEAR).ended().months


def test_a_server_with_one_thread_reads_although_no_call_waits() -> None:
    it = Reading(max_waiting=0)
    while isinstance((call := it.call(YEAR).ended()).error, CalendarIncomplete):
        assert call.seconds == 0
        it.clock.sleep(1)
    assert len(call.months or ()) == 12
    assert it.dashboard.months == YEAR


# Permission.


def test_a_caller_that_may_not_read_gets_stored_months_of_any_age() -> None:
    it = Reading()
    march = date(2024, 3, 31)
    month = a_month(march, date(2024, 3, 12), is_closed=False, fetched_at=NOW - timedelta(days=1))
    it.storage.calendars.save(month)
    assert it.reader.months([march], CalendarAccess(may_read=False)) == [month]


def test_a_caller_that_may_not_read_is_refused_if_pages_are_missing() -> None:
    it = Reading()
    with pytest.raises(
        CalendarReadDenied, match=r"12 calendar pages .* requires the permission backfill\.add_backfilljob"
    ):
        it.reader.months(YEAR, CalendarAccess(may_read=False))
    assert it.dashboard.months == []


# Errors.


def test_the_error_of_a_page_ends_the_calls_that_need_it_and_no_other() -> None:
    it = Reading()
    it.dashboard.failing[YEAR[3]] = ServerError("The dashboard answered 500.")
    failing, other = it.call(YEAR), it.call(TWO_YEARS[12:])
    assert isinstance(failing.ended().error, DashboardUnavailable)
    assert other.ended().months
    assert set(YEAR[:3]) <= set(it.storage.calendars.rows)


def test_a_store_outage_ends_every_call_with_its_message() -> None:
    it = Reading()
    calls = [it.call(YEAR), it.call(TWO_YEARS[12:])]
    it.clock.sleep(3)
    it.storage.store.is_down = True
    assert {type(call.ended().error) for call in calls} == {StorageUnavailable}
    it.storage.store.is_down = False
    it.clock.sleep(20)
    assert it.call(YEAR).ended().months


def test_a_long_pause_that_the_dashboard_asked_for_is_reported_at_once() -> None:
    it = Reading()
    now = it.clock.now()
    it.storage.control.schedule = replace(
        it.storage.control.schedule.held(now + timedelta(minutes=20), "The dashboard asked for it.", now)
    )
    call = it.call(YEAR).ended()
    assert isinstance(call.error, DashboardUnavailable)
    assert "until" in call.error.message
    assert call.seconds < 1


# The share of a job.


def test_a_job_keeps_four_fifths_of_its_rate_while_previews_read() -> None:
    """R12.1"""
    it = Reading(is_shared=True)
    job = Limiter(LIMITS, it.storage.control.update_schedule, clock=it.clock)
    starts: list[float] = []

    def run_job() -> None:
        while len(starts) < 300:
            with job.request():
                starts.append(it.clock.monotonic())
                it.clock.sleep(0.3)

    thread = it.clock.thread(run_job, "job")
    thread.start()
    it.clock.sleep(30)
    alone = len(starts)
    began = it.clock.monotonic()
    readers = [it.new_process() for _ in range(2)]
    calls = [it.call(TWO_YEARS, max_wait=100, reader=reader) for reader in readers]
    it.clock.sleep(100)
    shared = len(starts) - alone
    pages = len(it.dashboard.times)
    assert shared >= 0.8 * 100 / SECOND
    assert pages >= 100 / SECOND / (TURNS_FOR_A_JOB + 5)
    every = sorted([*starts, *it.dashboard.times])
    assert min(after - before for before, after in pairwise(every)) >= 0.99 * SECOND
    assert all(time >= began for time in it.dashboard.times)
    for call in calls:
        call.ended()
    thread.join(600)


# Several processes.


def test_two_processes_request_each_page_once() -> None:
    it = Reading()
    other = it.new_process()
    calls = [it.call(YEAR), it.call(YEAR, reader=other)]
    for call in calls:
        assert len(call.ended().months or ()) == 12
    assert it.dashboard.months == YEAR
    assert it.dashboard.most_in_flight == 1


def test_a_process_with_a_long_reading_gives_way_to_another_one() -> None:
    it = Reading()
    years = month_ends(date(2008, 7, 1), date(2018, 6, 30))
    command = it.call(years, max_wait=None)
    it.clock.sleep(5)
    short = it.call(month_ends(date(2019, 7, 1), date(2019, 9, 30)), reader=it.new_process())
    assert short.ended().months
    assert short.seconds < 25
    assert command.ended().months


def test_a_claim_of_a_dead_process_expires() -> None:
    it = Reading()
    it.storage.calendars.claim = CalendarClaim().claimed("dead", it.clock.now())
    call = it.call(YEAR[:2]).ended()
    assert call.months
    assert 14 < call.seconds < 20


def test_a_claim_is_kept_while_a_call_waits_for_a_slow_page() -> None:
    it = Reading(seconds=40)
    other = it.new_process()
    calls = [it.call(YEAR[:1]), it.call(YEAR[:1], reader=other)]
    assert all(call.ended().months for call in calls)
    assert it.dashboard.months == YEAR[:1]
