"""Politeness, with real threads in virtual time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from backfill.domain import LimiterReport, LimiterState, RateLimits, RequestSchedule, WaitReason
from backfill.errors import (
    BackfillError,
    DashboardUnavailable,
    HtmlPage,
    LeaseLost,
    ServerError,
    Stopped,
    StorageUnavailable,
)
from backfill.rate_limit import Limiter, reservations
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import FAST, limits_of
from tests.unit.virtual_clock import VirtualClock

clock = VirtualClock.at()


@pytest.fixture(autouse=True)
def virtual_time() -> None:
    """Each test begins with a clock of its own."""
    global clock  # noqa: PLW0603 - functions of this module ask it
    clock = VirtualClock.at()


INTERVAL = FAST.interval.total_seconds()
ROUNDING = 1e-5
"""Seconds: the time of day has whole microseconds, and two limiters translate it into their steady clock."""


def started(*limiters: Limiter) -> list[float]:
    """When the limiters let requests start. What a thread writes down itself is as late as the machine makes it."""
    return sorted(at for limiter in limiters for at in limiter._counts.starts)


def shortest_gap(starts: list[float]) -> float:
    return min(after - before for before, after in pairwise(starts))


class Starts:
    """Threads that ask a limiter for starts as fast as it lets them, and when they got them."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.errors: list[BackfillError] = []
        self.in_flight = self.most_in_flight = 0
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def begin(self, limiter: Limiter, threads: int = 3, *, lasts: float = 0.0, until: Callable[[], bool]) -> None:
        self._threads += [clock.thread(lambda: self._ask(limiter, lasts, until), "asks") for _ in range(threads)]
        for thread in self._threads[-threads:]:
            thread.start()

    def _ask(self, limiter: Limiter, lasts: float, until: Callable[[], bool]) -> None:
        try:
            while not until():
                with limiter.request():
                    with self._lock:
                        self.at.append(clock.monotonic())
                        self.in_flight += 1
                        self.most_in_flight = max(self.most_in_flight, self.in_flight)
                    if lasts:
                        clock.sleep(lasts)
                    with self._lock:
                        self.in_flight -= 1
        except BackfillError as exc:
            self.errors.append(exc)

    def end(self) -> None:
        for thread in self._threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in self._threads)


def for_seconds(seconds: float) -> Callable[[], bool]:
    ends = clock.monotonic() + seconds
    return lambda: clock.monotonic() >= ends


@contextmanager
def in_thread(do: Callable[[], Any]) -> Iterator[list[BaseException | None]]:
    """`do` in a thread; what it ended with is in the list once it has ended."""
    ended: list[BaseException | None] = []

    def call() -> None:
        try:
            do()
        except BackfillError as exc:
            ended.append(exc)
        else:
            ended.append(None)

    thread = clock.thread(call, "in-thread")
    thread.start()
    try:
        yield ended
    finally:
        thread.join(10)
        assert not thread.is_alive()


def limiter_of(storage: MemoryStorage, limits: RateLimits = FAST, **options: Any) -> Limiter:
    return Limiter(limits, storage.control.update_schedule, clock=clock, **options)


def ask(limiter: Limiter, *, is_first: bool = False) -> None:
    with limiter.request(is_first=is_first):
        return


# The pace.


def test_starts_are_an_interval_apart_and_the_allowed_pace_is_used() -> None:
    """R12.1: of the starts that the limit allows in two seconds at least 85 % are used, by three threads."""
    starts, limiter = Starts(), limiter_of(MemoryStorage())
    starts.begin(limiter, until=for_seconds(2))
    starts.end()
    assert starts.errors == []
    assert shortest_gap(started(limiter)) >= INTERVAL - ROUNDING
    assert limiter.report().requests_made == len(started(limiter)) == len(starts.at)
    assert len(starts.at) >= 0.85 * 2 / INTERVAL


@pytest.mark.parametrize("concurrent", [1, 2])
def test_never_more_requests_are_in_flight_than_the_limit_allows(concurrent: int) -> None:
    """R12.1"""
    starts, limiter = Starts(), limiter_of(MemoryStorage(), FAST.changed({"max_concurrent": concurrent}))
    starts.begin(limiter, 6, lasts=0.03, until=for_seconds(0.4))
    starts.end()
    assert starts.most_in_flight == concurrent


def test_two_limiters_on_one_timeline_press_no_harder_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """R12.1: as two servers, or a preview beside a job."""
    monkeypatch.setattr(reservations, "LENGTH", 0.2)  # so that turns change hands often
    storage, starts = MemoryStorage(), Starts()
    limits = FAST.changed({"max_requests_per_minute": 3000})
    one, other = limiter_of(storage, limits), limiter_of(storage, limits)
    starts.begin(one, 2, until=for_seconds(1.5))
    starts.begin(other, 2, until=for_seconds(1.5))
    starts.end()
    assert min(len(started(one)), len(started(other))) >= 10  # each had its turns
    assert shortest_gap(started(one, other)) >= limits.interval.total_seconds() - ROUNDING


def test_no_request_starts_so_late_in_a_turn_that_it_would_crowd_the_next_one() -> None:
    """R12.1: what is left of a turn is less than an interval, and another process has the time behind it."""
    storage = MemoryStorage()
    limiter = limiter_of(storage, FAST)
    ask(limiter)
    turn_ends = storage.control.schedule.free_at(clock.now()) - clock.now()
    storage.control.schedule, theirs = storage.control.schedule.reserved(timedelta(seconds=2), clock.now())
    clock.sleep(turn_ends.total_seconds() - INTERVAL / 2)
    with in_thread(lambda: ask(limiter)) as ended:
        clock.sleep(INTERVAL / 4)
        assert storage.control.schedule.free_at(clock.now()) > theirs.ends_at  # it asked for another turn
        clock.sleep(1 + INTERVAL / 4)
        assert limiter.report().requests_made == 1
        clock.sleep((theirs.ends_at - clock.now()).total_seconds() - INTERVAL / 4)
        assert limiter.report().requests_made == 1
        clock.sleep(INTERVAL / 2)
    assert ended == [None]
    assert limiter.report().requests_made == 2


def test_what_is_left_of_a_turn_is_given_back_so_that_the_next_need_not_wait() -> None:
    storage = MemoryStorage()
    first = limiter_of(storage)
    ask(first)
    reserved = storage.control.schedule.free_at(clock.now()) - clock.now()
    assert reserved > timedelta(seconds=1)
    first.give_back()
    assert storage.control.schedule.free_at(clock.now()) - clock.now() <= timedelta(seconds=INTERVAL)
    began = clock.monotonic()
    ask(limiter_of(storage))
    assert clock.monotonic() - began < 0.5
    before = storage.control.schedule
    first.give_back()  # a second time there is nothing to give
    assert storage.control.schedule == before


def test_the_store_is_asked_once_a_turn_and_not_once_a_request() -> None:
    storage, calls = MemoryStorage(), []

    def update(change: Callable[[RequestSchedule], RequestSchedule]) -> RequestSchedule:
        calls.append(change)
        return storage.control.update_schedule(change)

    starts, limiter = Starts(), Limiter(FAST, update, clock=clock)
    starts.begin(limiter, until=lambda: len(starts.at) >= 50)
    starts.end()
    assert len(calls) <= 3


def test_lowered_limits_hold_from_the_next_start_on() -> None:
    """R12.3"""
    starts, limiter = Starts(), limiter_of(MemoryStorage())
    starts.begin(limiter, lasts=0.02, until=for_seconds(1.2))
    assert clock.eventually(lambda: len(starts.at) >= 20)
    limiter.lower(FAST.changed({"max_requests_per_minute": 600, "max_concurrent": 1}))
    lowered = clock.monotonic()
    starts.end()
    after = [at for at in started(limiter) if at > lowered]
    assert len(after) >= 3
    assert shortest_gap(after) >= 0.1 - ROUNDING


# Holds.


def test_a_hold_stops_every_thread_and_is_stored_for_every_process() -> None:
    """R12.4"""
    storage, starts = MemoryStorage(), Starts()
    limiter = limiter_of(storage)
    starts.begin(limiter, until=for_seconds(1.2))
    assert clock.eventually(lambda: len(starts.at) >= 5)
    until = clock.now() + timedelta(seconds=0.6)
    limiter.hold(until, "The dashboard asked for it.")
    held = clock.monotonic()
    ends = held + (until - clock.now()).total_seconds()
    report = limiter.report()
    assert (report.state, report.reason) == (LimiterState.BACKING_OFF, "The dashboard asked for it.")
    assert report.waiting_until is not None
    assert abs(report.waiting_until - until) < timedelta(seconds=0.05)
    assert (storage.control.schedule.held_until, storage.control.schedule.hold_reason) == (
        until,
        "The dashboard asked for it.",
    )
    limiter.hold(clock.now(), "A shorter one changes nothing.")
    starts.end()
    assert not [at for at in started(limiter) if held < at < ends - 0.005]
    assert [at for at in started(limiter) if at >= ends - 0.005]


def test_a_stored_hold_is_kept_by_a_limiter_that_comes_later() -> None:
    storage = MemoryStorage()
    storage.control.schedule = RequestSchedule().held(
        clock.now() + timedelta(seconds=0.3), "asked to wait", clock.now()
    )
    began, limiter = clock.monotonic(), limiter_of(storage)
    ask(limiter)
    assert clock.monotonic() - began >= 0.29


def test_one_that_backs_off_leaves_the_others_their_pace() -> None:
    storage, starts = MemoryStorage(), Starts()
    limiter = limiter_of(
        storage, RateLimits(max_requests_per_minute=6000, min_delay_ms=0, max_delay_ms=400, backoff_multiplier=10)
    )
    with in_thread(lambda: limiter.back_off(3, "It failed.")) as ended:
        assert clock.eventually(lambda: limiter.report().state is LimiterState.BACKING_OFF)
        report = limiter.report()
        assert report.reason == "It failed."
        assert report.waiting_until is not None
        starts.begin(limiter, 2, until=lambda: bool(ended))
    starts.end()
    assert ended == [None]
    assert len(starts.at) >= 5


# Stopping.


def test_a_stop_ends_every_wait() -> None:
    """R10.1"""
    limiter = limiter_of(MemoryStorage(), limits_of(max_requests_per_minute=1))
    ask(limiter)
    with in_thread(lambda: ask(limiter)) as pace, in_thread(lambda: limiter.back_off(9, "It failed.")) as failed:
        assert clock.eventually(lambda: limiter.report().state is LimiterState.THROTTLED)
        limiter.stop()
    assert isinstance(pace[0], Stopped)
    assert isinstance(failed[0], Stopped)
    with pytest.raises(Stopped):
        ask(limiter)


def test_a_drain_begins_no_item_and_lets_those_that_have_begun_finish() -> None:
    """R7.2, R7.4"""
    limiter = limiter_of(MemoryStorage())
    limiter.drain()
    with pytest.raises(Stopped):
        ask(limiter, is_first=True)
    with pytest.raises(Stopped):
        limiter.back_off(1, "It failed.")
    ask(limiter, is_first=False)
    limiter.drain(on=False)
    ask(limiter, is_first=True)


def test_a_drain_does_not_wait_for_a_hold() -> None:
    """R7.2"""
    limiter = limiter_of(MemoryStorage())
    limiter.hold(clock.now() + timedelta(hours=1), "asked to wait")
    with in_thread(lambda: ask(limiter)) as ended:
        assert clock.eventually(lambda: limiter.report().state is LimiterState.BACKING_OFF)
        limiter.drain()
    assert isinstance(ended[0], Stopped)


# The store.


def test_a_store_outage_is_waited_out_and_reported() -> None:
    storage = MemoryStorage()
    storage.store.is_down = True
    limiter = limiter_of(storage)
    with in_thread(lambda: ask(limiter)) as ended:
        assert clock.eventually(lambda: limiter.report().state is LimiterState.BACKING_OFF)
        report = limiter.report()
        assert report.reason == (
            "The job store does not answer: it is down. The service retries every second; no data is lost."
        )
        assert report.waiting_until is not None
        storage.store.is_down = False
    assert ended == [None]
    assert limiter.report().state is LimiterState.RUNNING


def test_a_hold_holds_here_though_the_store_does_not_answer() -> None:
    storage = MemoryStorage()
    limiter = limiter_of(storage)
    storage.store.is_down = True
    limiter.hold(clock.now() + timedelta(seconds=0.2), "asked to wait")
    storage.store.is_down = False
    began = clock.monotonic()
    ask(limiter)
    assert clock.monotonic() - began >= 0.15


def test_a_hold_that_could_not_be_stored_is_stored_while_it_holds_and_it_is_told_why() -> None:
    """R12.4: the store was away for a moment, and the dashboard asked for an hour."""
    storage = MemoryStorage()
    limiter, until = limiter_of(storage), clock.now() + timedelta(hours=1)
    storage.store.is_down = True
    limiter.hold(until, "The dashboard asked for it.")
    with in_thread(lambda: ask(limiter)) as ended:
        assert clock.eventually(lambda: limiter.report().waits_for is WaitReason.STORE)
        storage.store.is_down = False
        assert clock.eventually(lambda: limiter.report().waits_for is WaitReason.ASKED_TO_WAIT)
        assert limiter.report().reason == "The dashboard asked for it."
        assert storage.control.schedule.held_until == until
        limiter.stop()
    assert isinstance(ended[0], Stopped)


def test_a_store_that_is_away_is_asked_once_a_second_however_many_wait() -> None:
    storage, asked = MemoryStorage(), list[float]()

    def update(change: Callable[[RequestSchedule], RequestSchedule]) -> RequestSchedule:
        asked.append(clock.monotonic())
        return storage.control.update_schedule(change)

    starts, limiter = Starts(), Limiter(FAST, update, clock=clock)
    storage.store.is_down = True
    starts.begin(limiter, 8, until=lambda: bool(starts.at))
    assert clock.eventually(lambda: len(asked) >= 3)
    assert shortest_gap(asked) >= 1 - ROUNDING
    storage.store.is_down = False
    starts.end()
    assert starts.errors == []


def test_who_has_lost_the_lease_starts_nothing_more() -> None:
    def lost(_: Callable[[RequestSchedule], RequestSchedule]) -> RequestSchedule:
        raise LeaseLost("Another runner holds the job.")

    limiter = Limiter(FAST, lost, clock=clock)
    for _ in range(2):
        with pytest.raises(LeaseLost):
            ask(limiter)
    assert limiter.report().requests_made == 0


# Patience.


def test_a_preview_does_not_wait_for_a_store_outage() -> None:
    storage = MemoryStorage()
    storage.store.is_down = True
    with pytest.raises(StorageUnavailable):
        ask(limiter_of(storage, max_wait=1))


def test_a_preview_gives_up_at_once_where_the_dashboard_asked_for_a_longer_rest() -> None:
    """R11.2"""
    storage = MemoryStorage()
    storage.control.schedule = RequestSchedule().held(clock.now() + timedelta(minutes=5), "asked to wait", clock.now())
    with pytest.raises(
        DashboardUnavailable,
        match=r"No request may be sent to the dashboard until \d\d:\d\d:\d\d UTC \(asked to wait\)\. Nothing",
    ):
        ask(limiter_of(storage, max_wait=1))


def test_a_preview_waits_for_the_time_that_others_have_reserved_and_reserves_one_request() -> None:
    """R12.1"""
    storage, began = MemoryStorage(), clock.monotonic()
    storage.control.schedule, _ = RequestSchedule().reserved(timedelta(minutes=2), clock.now())
    limiter = limiter_of(storage, max_wait=1)
    ask(limiter)
    assert clock.monotonic() - began == pytest.approx(120, abs=0.1)
    reserved = storage.control.schedule.free_at(clock.now()) - clock.now()
    assert reserved <= limiter.limits.interval + timedelta(seconds=0.11)


def test_a_preview_that_nobody_waits_for_stops_to_wait_for_its_turn() -> None:
    storage, began = MemoryStorage(), clock.monotonic()
    storage.control.schedule, _ = RequestSchedule().reserved(timedelta(minutes=2), clock.now())
    limiter = limiter_of(storage, max_wait=1, is_wanted=lambda: clock.monotonic() < began + 10)
    with pytest.raises(Stopped):
        ask(limiter)
    assert clock.monotonic() - began <= 15


def test_a_preview_leaves_turns_to_others_between_its_starts() -> None:
    limiter = limiter_of(MemoryStorage(), max_wait=1)
    limiter.leave_turns(4)
    ask(limiter)
    began = clock.monotonic()
    ask(limiter)
    assert clock.monotonic() - began == pytest.approx(5 * limiter.limits.interval.total_seconds(), rel=0.01)


def test_a_preview_gives_up_once_it_is_held_for_longer_than_its_patience() -> None:
    limiter = limiter_of(MemoryStorage(), max_wait=1)
    ask(limiter)
    limiter.hold(clock.now() + timedelta(minutes=1), "The dashboard asked for it.")
    with pytest.raises(DashboardUnavailable, match="The dashboard asked for it"):
        ask(limiter)


# What it reports.


def test_it_says_what_it_does_and_why_it_waits() -> None:
    """R5.5, R12.4"""
    limiter = limiter_of(MemoryStorage(), limits_of(max_requests_per_minute=6), before=LimiterReport(requests_made=40))
    idle = limiter.report()
    assert (idle.state, idle.requests_made, idle.requests_this_minute) == (LimiterState.IDLE, 40, 0)
    assert (idle.reason, idle.waiting_until) == ("No requests are being made.", None)
    with limiter.request():
        running = limiter.report()
    assert (running.state, running.requests_made, running.requests_this_minute) == (LimiterState.RUNNING, 41, 1)
    assert running.reason == "The dashboard responds; the rate is 6 requests a minute."
    assert (idle.waits_for, running.waits_for) == (None, None)
    with in_thread(lambda: ask(limiter)) as ended:
        assert clock.eventually(lambda: limiter.report().state is LimiterState.THROTTLED)
        throttled = limiter.report()
        assert throttled.reason == "Waiting for the next start; the rate is 6 requests a minute."
        assert throttled.waits_for is WaitReason.PACE
        assert throttled.waiting_until is not None
        assert timedelta(seconds=8) < throttled.waiting_until - clock.now() < timedelta(seconds=10.1)
        limiter.stop()
    assert isinstance(ended[0], Stopped)
    assert limiter.report().state is LimiterState.IDLE


def test_between_two_requests_it_is_running_and_some_seconds_after_the_last_it_is_idle() -> None:
    limiter = limiter_of(MemoryStorage())
    ask(limiter)
    clock.sleep(4.9)
    assert limiter.report().reason == "The dashboard responds; the rate is 6,000 requests a minute."
    clock.sleep(0.2)
    assert limiter.report().state is LimiterState.IDLE


def test_requests_of_more_than_a_minute_ago_are_not_counted_as_this_minute() -> None:
    """R12.4"""
    limiter = limiter_of(MemoryStorage())
    ask(limiter)
    clock.sleep(59.9)
    assert limiter.report().requests_this_minute == 1
    clock.sleep(0.2)
    report = limiter.report()
    assert (report.requests_this_minute, report.requests_made) == (0, 1)


# What it counts.


def test_requests_are_counted_by_status_or_by_what_was_wrong_with_the_answer() -> None:
    limiter = limiter_of(MemoryStorage(), before=LimiterReport(requests_made=3, answers={"200": 2, "TIMEOUT": 1}))
    unavailable = ServerError("The dashboard answered 503.")
    unavailable.status = 503
    ask(limiter)
    for error in (unavailable, HtmlPage("A page came.")):
        with pytest.raises(type(error)), limiter.request():
            raise error
    report = limiter.report()
    assert report.answers == {"200": 3, "TIMEOUT": 1, "503": 1, "HTML_PAGE": 1}
    assert sum(report.answers.values()) == report.requests_made


def test_the_time_in_which_it_waits_is_counted_by_what_it_waits_for() -> None:
    limiter = limiter_of(MemoryStorage(), before=LimiterReport(waited={"asked-to-wait": 1.0}))
    limiter.hold(clock.now() + timedelta(seconds=10), "The dashboard asked to wait.")
    for _ in range(24):
        limiter.report()
        clock.sleep(0.5)
    assert limiter.report().waited["asked-to-wait"] == pytest.approx(1.0 + 10.0, abs=0.51)
