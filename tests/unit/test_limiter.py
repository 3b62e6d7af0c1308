"""The request rate, holds, stops and reports of the limiter, with real threads in virtual time."""

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
    """Gives each test its own clock."""
    global clock  # noqa: PLW0603 - functions of this module read it
    clock = VirtualClock.at()


INTERVAL = FAST.interval.total_seconds()
ROUNDING = 1e-5
"""Seconds. The time of day has whole microseconds, and each limiter converts it to its monotonic clock."""


def started(*limiters: Limiter) -> list[float]:
    """The times at which the limiters started requests. Times recorded by the threads depend on the machine's load."""
    return sorted(at for limiter in limiters for at in limiter._counts.starts)


def shortest_gap(times: list[float]) -> float:
    return min(after - before for before, after in pairwise(times))


class RequestSender:
    """Threads that send requests as fast as a limiter permits, and the times at which these requests started."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.errors: list[BackfillError] = []
        self.in_flight = self.most_in_flight = 0
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def begin(self, limiter: Limiter, threads: int = 3, *, seconds: float = 0.0, until: Callable[[], bool]) -> None:
        self._threads += [clock.thread(lambda: self._send(limiter, seconds, until), "sends") for _ in range(threads)]
        for thread in self._threads[-threads:]:
            thread.start()

    def _send(self, limiter: Limiter, seconds: float, until: Callable[[], bool]) -> None:
        try:
            while not until():
                with limiter.request():
                    with self._lock:
                        self.at.append(clock.monotonic())
                        self.in_flight += 1
                        self.most_in_flight = max(self.most_in_flight, self.in_flight)
                    if seconds:
                        clock.sleep(seconds)
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
    """Runs `do` in a thread. Yields a list that receives its error, or None, when the thread ends."""
    results: list[BaseException | None] = []

    def call() -> None:
        try:
            do()
        except BackfillError as exc:
            results.append(exc)
        else:
            results.append(None)

    thread = clock.thread(call, "in-thread")
    thread.start()
    try:
        yield results
    finally:
        thread.join(10)
        assert not thread.is_alive()


def limiter_of(storage: MemoryStorage, limits: RateLimits = FAST, **options: Any) -> Limiter:
    return Limiter(limits, storage.control.update_schedule, clock=clock, **options)


def send_request(limiter: Limiter, *, is_first: bool = False) -> None:
    with limiter.request(is_first=is_first):
        return


# The rate.


def test_requests_start_an_interval_apart_and_use_the_allowed_rate() -> None:
    """R12.1: three threads use at least 85 % of the requests that the limit allows in two seconds."""
    sender, limiter = RequestSender(), limiter_of(MemoryStorage())
    sender.begin(limiter, until=for_seconds(2))
    sender.end()
    assert sender.errors == []
    assert shortest_gap(started(limiter)) >= INTERVAL - ROUNDING
    assert limiter.report().requests_made == len(started(limiter)) == len(sender.at)
    assert len(sender.at) >= 0.85 * 2 / INTERVAL


@pytest.mark.parametrize("concurrent", [1, 2])
def test_requests_in_flight_never_exceed_the_limit(concurrent: int) -> None:
    """R12.1"""
    sender, limiter = RequestSender(), limiter_of(MemoryStorage(), FAST.changed({"max_concurrent": concurrent}))
    sender.begin(limiter, 6, seconds=0.03, until=for_seconds(0.4))
    sender.end()
    assert sender.most_in_flight == concurrent


def test_two_limiters_on_one_request_schedule_keep_the_rate_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """R12.1: for example two servers, or a preview and a job at the same time."""
    monkeypatch.setattr(reservations, "LENGTH", 0.2)  # so that the limiters alternate often
    storage, sender = MemoryStorage(), RequestSender()
    limits = FAST.changed({"max_requests_per_minute": 3000})
    one, other = limiter_of(storage, limits), limiter_of(storage, limits)
    sender.begin(one, 2, until=for_seconds(1.5))
    sender.begin(other, 2, until=for_seconds(1.5))
    sender.end()
    assert min(len(started(one)), len(started(other))) >= 10  # each had reservations
    assert shortest_gap(started(one, other)) >= limits.interval.total_seconds() - ROUNDING


def test_no_request_starts_less_than_an_interval_before_the_next_reservation() -> None:
    """R12.1: the rest of a reservation may be shorter than an interval, and the time after it may be reserved."""
    storage = MemoryStorage()
    limiter = limiter_of(storage, FAST)
    send_request(limiter)
    reservation_ends = storage.control.schedule.free_at(clock.now()) - clock.now()
    storage.control.schedule, theirs = storage.control.schedule.reserved(timedelta(seconds=2), clock.now())
    clock.sleep(reservation_ends.total_seconds() - INTERVAL / 2)
    with in_thread(lambda: send_request(limiter)) as results:
        clock.sleep(INTERVAL / 4)
        assert storage.control.schedule.free_at(clock.now()) > theirs.ends_at  # it made another reservation
        clock.sleep(1 + INTERVAL / 4)
        assert limiter.report().requests_made == 1
        clock.sleep((theirs.ends_at - clock.now()).total_seconds() - INTERVAL / 4)
        assert limiter.report().requests_made == 1
        clock.sleep(INTERVAL / 2)
    assert results == [None]
    assert limiter.report().requests_made == 2


def test_the_unused_rest_of_a_reservation_is_returned_to_the_schedule() -> None:
    storage = MemoryStorage()
    first = limiter_of(storage)
    send_request(first)
    reserved = storage.control.schedule.free_at(clock.now()) - clock.now()
    assert reserved > timedelta(seconds=1)
    first.give_back()
    assert storage.control.schedule.free_at(clock.now()) - clock.now() <= timedelta(seconds=INTERVAL)
    began = clock.monotonic()
    send_request(limiter_of(storage))
    assert clock.monotonic() - began < 0.5
    before = storage.control.schedule
    first.give_back()  # the second call has nothing to return
    assert storage.control.schedule == before


def test_the_store_is_updated_once_per_reservation_and_not_once_per_request() -> None:
    storage, calls = MemoryStorage(), []

    def update(change: Callable[[RequestSchedule], RequestSchedule]) -> RequestSchedule:
        calls.append(change)
        return storage.control.update_schedule(change)

    sender, limiter = RequestSender(), Limiter(FAST, update, clock=clock)
    sender.begin(limiter, until=lambda: len(sender.at) >= 50)
    sender.end()
    assert len(calls) <= 3


def test_lowered_limits_apply_from_the_next_request() -> None:
    """R12.3"""
    sender, limiter = RequestSender(), limiter_of(MemoryStorage())
    sender.begin(limiter, seconds=0.02, until=for_seconds(1.2))
    assert clock.eventually(lambda: len(sender.at) >= 20)
    limiter.lower(FAST.changed({"max_requests_per_minute": 600, "max_concurrent": 1}))
    lowered = clock.monotonic()
    sender.end()
    after = [at for at in started(limiter) if at > lowered]
    assert len(after) >= 3
    assert shortest_gap(after) >= 0.1 - ROUNDING


# Holds.


def test_a_hold_stops_every_thread_and_is_stored_for_every_process() -> None:
    """R12.4"""
    storage, sender = MemoryStorage(), RequestSender()
    limiter = limiter_of(storage)
    sender.begin(limiter, until=for_seconds(1.2))
    assert clock.eventually(lambda: len(sender.at) >= 5)
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
    sender.end()
    assert not [at for at in started(limiter) if held < at < ends - 0.005]
    assert [at for at in started(limiter) if at >= ends - 0.005]


def test_a_limiter_that_is_created_later_observes_a_stored_hold() -> None:
    storage = MemoryStorage()
    storage.control.schedule = RequestSchedule().held(
        clock.now() + timedelta(seconds=0.3), "asked to wait", clock.now()
    )
    began, limiter = clock.monotonic(), limiter_of(storage)
    send_request(limiter)
    assert clock.monotonic() - began >= 0.29


def test_a_thread_that_backs_off_does_not_slow_the_other_threads() -> None:
    storage, sender = MemoryStorage(), RequestSender()
    limiter = limiter_of(
        storage, RateLimits(max_requests_per_minute=6000, min_delay_ms=0, max_delay_ms=400, backoff_multiplier=10)
    )
    with in_thread(lambda: limiter.back_off(3, "It failed.")) as results:
        assert clock.eventually(lambda: limiter.report().state is LimiterState.BACKING_OFF)
        report = limiter.report()
        assert report.reason == "It failed."
        assert report.waiting_until is not None
        sender.begin(limiter, 2, until=lambda: bool(results))
    sender.end()
    assert results == [None]
    assert len(sender.at) >= 5


# Stopping.


def test_a_stop_ends_every_wait() -> None:
    """R10.1"""
    limiter = limiter_of(MemoryStorage(), limits_of(max_requests_per_minute=1))
    send_request(limiter)
    with (
        in_thread(lambda: send_request(limiter)) as pace,
        in_thread(lambda: limiter.back_off(9, "It failed.")) as failed,
    ):
        assert clock.eventually(lambda: limiter.report().state is LimiterState.THROTTLED)
        limiter.stop()
    assert isinstance(pace[0], Stopped)
    assert isinstance(failed[0], Stopped)
    with pytest.raises(Stopped):
        send_request(limiter)


def test_a_drain_starts_no_new_item_and_lets_started_items_finish() -> None:
    """R7.2, R7.4"""
    limiter = limiter_of(MemoryStorage())
    limiter.drain()
    with pytest.raises(Stopped):
        send_request(limiter, is_first=True)
    with pytest.raises(Stopped):
        limiter.back_off(1, "It failed.")
    send_request(limiter, is_first=False)
    limiter.drain(on=False)
    send_request(limiter, is_first=True)


def test_a_drain_does_not_wait_for_a_hold() -> None:
    """R7.2"""
    limiter = limiter_of(MemoryStorage())
    limiter.hold(clock.now() + timedelta(hours=1), "asked to wait")
    with in_thread(lambda: send_request(limiter)) as results:
        assert clock.eventually(lambda: limiter.report().state is LimiterState.BACKING_OFF)
        limiter.drain()
    assert isinstance(results[0], Stopped)


# The store.


def test_the_limiter_waits_for_the_end_of_a_store_outage_and_reports_it() -> None:
    storage = MemoryStorage()
    storage.store.is_down = True
    limiter = limiter_of(storage)
    with in_thread(lambda: send_request(limiter)) as results:
        assert clock.eventually(lambda: limiter.report().state is LimiterState.BACKING_OFF)
        report = limiter.report()
        assert report.reason == (
            "The job store does not answer: it is down. The service retries every second; no data is lost."
        )
        assert report.waiting_until is not None
        storage.store.is_down = False
    assert results == [None]
    assert limiter.report().state is LimiterState.RUNNING


def test_a_hold_applies_in_its_own_process_during_a_store_outage() -> None:
    storage = MemoryStorage()
    limiter = limiter_of(storage)
    storage.store.is_down = True
    limiter.hold(clock.now() + timedelta(seconds=0.2), "asked to wait")
    storage.store.is_down = False
    began = clock.monotonic()
    send_request(limiter)
    assert clock.monotonic() - began >= 0.15


def test_a_hold_from_a_store_outage_is_stored_later_and_its_reason_is_reported() -> None:
    """R12.4: the store is unavailable for a moment, and the dashboard requests a pause of an hour."""
    storage = MemoryStorage()
    limiter, until = limiter_of(storage), clock.now() + timedelta(hours=1)
    storage.store.is_down = True
    limiter.hold(until, "The dashboard asked for it.")
    with in_thread(lambda: send_request(limiter)) as results:
        assert clock.eventually(lambda: limiter.report().waits_for is WaitReason.STORE)
        storage.store.is_down = False
        assert clock.eventually(lambda: limiter.report().waits_for is WaitReason.ASKED_TO_WAIT)
        assert limiter.report().reason == "The dashboard asked for it."
        assert storage.control.schedule.held_until == until
        limiter.stop()
    assert isinstance(results[0], Stopped)


def test_an_unavailable_store_is_retried_once_a_second_by_all_threads_together() -> None:
    storage, updated_at = MemoryStorage(), list[float]()

    def update(change: Callable[[RequestSchedule], RequestSchedule]) -> RequestSchedule:
        updated_at.append(clock.monotonic())
        return storage.control.update_schedule(change)

    sender, limiter = RequestSender(), Limiter(FAST, update, clock=clock)
    storage.store.is_down = True
    sender.begin(limiter, 8, until=lambda: bool(sender.at))
    assert clock.eventually(lambda: len(updated_at) >= 3)
    assert shortest_gap(updated_at) >= 1 - ROUNDING
    storage.store.is_down = False
    sender.end()
    assert sender.errors == []


def test_no_request_starts_after_the_lease_is_lost() -> None:
    def lost(_: Callable[[RequestSchedule], RequestSchedule]) -> RequestSchedule:
        raise LeaseLost("Another runner holds the job.")

    limiter = Limiter(FAST, lost, clock=clock)
    for _ in range(2):
        with pytest.raises(LeaseLost):
            send_request(limiter)
    assert limiter.report().requests_made == 0


# The longest wait of a preview.


def test_a_preview_does_not_wait_for_a_store_outage() -> None:
    storage = MemoryStorage()
    storage.store.is_down = True
    with pytest.raises(StorageUnavailable):
        send_request(limiter_of(storage, max_wait=1))


def test_a_preview_fails_at_once_if_the_dashboard_requested_a_longer_pause() -> None:
    """R11.2"""
    storage = MemoryStorage()
    storage.control.schedule = RequestSchedule().held(clock.now() + timedelta(minutes=5), "asked to wait", clock.now())
    with pytest.raises(
        DashboardUnavailable,
        match=r"No request may be sent to the dashboard until \d\d:\d\d:\d\d UTC \(asked to wait\)\. Nothing",
    ):
        send_request(limiter_of(storage, max_wait=1))


def test_a_preview_waits_for_the_time_that_others_have_reserved_and_reserves_one_request() -> None:
    """R12.1"""
    storage, began = MemoryStorage(), clock.monotonic()
    storage.control.schedule, _ = RequestSchedule().reserved(timedelta(minutes=2), clock.now())
    limiter = limiter_of(storage, max_wait=1)
    send_request(limiter)
    assert clock.monotonic() - began == pytest.approx(120, abs=0.1)
    reserved = storage.control.schedule.free_at(clock.now()) - clock.now()
    assert reserved <= limiter.limits.interval + timedelta(seconds=0.11)


def test_a_preview_that_nobody_waits_for_stops_waiting() -> None:
    storage, began = MemoryStorage(), clock.monotonic()
    storage.control.schedule, _ = RequestSchedule().reserved(timedelta(minutes=2), clock.now())
    limiter = limiter_of(storage, max_wait=1, is_wanted=lambda: clock.monotonic() < began + 10)
    with pytest.raises(Stopped):
        send_request(limiter)
    assert clock.monotonic() - began <= 15


def test_a_preview_leaves_time_to_others_between_its_starts() -> None:
    limiter = limiter_of(MemoryStorage(), max_wait=1)
    limiter.leave_turns(4)
    send_request(limiter)
    began = clock.monotonic()
    send_request(limiter)
    assert clock.monotonic() - began == pytest.approx(5 * limiter.limits.interval.total_seconds(), rel=0.01)


def test_a_preview_fails_when_a_hold_is_longer_than_its_longest_wait() -> None:
    limiter = limiter_of(MemoryStorage(), max_wait=1)
    send_request(limiter)
    limiter.hold(clock.now() + timedelta(minutes=1), "The dashboard asked for it.")
    with pytest.raises(DashboardUnavailable, match="The dashboard asked for it"):
        send_request(limiter)


# Status.


def test_the_status_states_the_current_state_and_the_wait_reason() -> None:
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
    with in_thread(lambda: send_request(limiter)) as results:
        assert clock.eventually(lambda: limiter.report().state is LimiterState.THROTTLED)
        throttled = limiter.report()
        assert throttled.reason == "Waiting for the next start; the rate is 6 requests a minute."
        assert throttled.waits_for is WaitReason.PACE
        assert throttled.waiting_until is not None
        assert timedelta(seconds=8) < throttled.waiting_until - clock.now() < timedelta(seconds=10.1)
        limiter.stop()
    assert isinstance(results[0], Stopped)
    assert limiter.report().state is LimiterState.IDLE


def test_the_limiter_is_running_between_requests_and_idle_five_seconds_after_the_last() -> None:
    limiter = limiter_of(MemoryStorage())
    send_request(limiter)
    clock.sleep(4.9)
    assert limiter.report().reason == "The dashboard responds; the rate is 6,000 requests a minute."
    clock.sleep(0.2)
    assert limiter.report().state is LimiterState.IDLE


def test_requests_this_minute_exclude_requests_older_than_a_minute() -> None:
    """R12.4"""
    limiter = limiter_of(MemoryStorage())
    send_request(limiter)
    clock.sleep(59.9)
    assert limiter.report().requests_this_minute == 1
    clock.sleep(0.2)
    report = limiter.report()
    assert (report.requests_this_minute, report.requests_made) == (0, 1)


# Counters.


def test_requests_are_counted_by_response_status_or_error_code() -> None:
    limiter = limiter_of(MemoryStorage(), before=LimiterReport(requests_made=3, answers={"200": 2, "TIMEOUT": 1}))
    unavailable = ServerError("The dashboard answered 503.")
    unavailable.status = 503
    send_request(limiter)
    for error in (unavailable, HtmlPage("A page came.")):
        with pytest.raises(type(error)), limiter.request():
            raise error
    report = limiter.report()
    assert report.answers == {"200": 3, "TIMEOUT": 1, "503": 1, "HTML_PAGE": 1}
    assert sum(report.answers.values()) == report.requests_made


def test_waiting_time_is_counted_per_wait_reason() -> None:
    limiter = limiter_of(MemoryStorage(), before=LimiterReport(waited={"asked-to-wait": 1.0}))
    limiter.hold(clock.now() + timedelta(seconds=10), "The dashboard asked to wait.")
    for _ in range(24):
        limiter.report()
        clock.sleep(0.5)
    assert limiter.report().waited["asked-to-wait"] == pytest.approx(1.0 + 10.0, abs=0.51)
