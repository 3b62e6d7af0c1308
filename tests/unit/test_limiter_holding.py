"""Outages, a reduced rate, allowed hours and local problems in the limiter, with real threads in virtual time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import time as time_of_day
from datetime import timedelta
from functools import partial
from itertools import pairwise

import pytest

from backfill.domain import AllowedHours, LimiterReport, LimiterState, RateLimits, WaitReason
from backfill.errors import (
    ConnectionFailed,
    DashboardError,
    GivenUp,
    LocalProblem,
    Overloaded,
    ServerError,
    Stopped,
    Throttled,
    TimedOut,
    WrongAsOf,
)
from backfill.rate_limit import ATTEMPTS, Limiter
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import FAST, NOW, limits_of
from tests.unit.virtual_clock import VirtualClock

clock = VirtualClock.at()


@pytest.fixture(autouse=True)
def virtual_time() -> None:
    """Gives each test its own clock."""
    global clock  # noqa: PLW0603 - functions of this module read it
    clock = VirtualClock.at()


LIMITS = RateLimits(max_requests_per_minute=6000, max_concurrent=3, min_delay_ms=0, max_delay_ms=400)


class SimulatedDashboard:
    """A dashboard that may be down, and a thread for each item that requests it until it succeeds or is given up."""

    def __init__(self, limiter: Limiter, items: str, *, broken: str = "", is_known_good: bool = True) -> None:
        self.limiter, self.items, self.broken = limiter, items, broken
        self.is_down, self.is_known_good = False, is_known_good
        self.failed_at: list[float] = []
        self.ended: dict[str, str] = {}
        self.known_requests = self.in_flight = self.most_while_down = 0
        self._lock = threading.Lock()
        self._threads = [clock.thread(partial(self._do, item), f"item-{item}") for item in items]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self, within: float = 15) -> None:
        deadline = clock.monotonic() + within
        for thread in self._threads:
            thread.join(max(deadline - clock.monotonic(), 0))
        assert not any(thread.is_alive() for thread in self._threads)

    def _do(self, item: str) -> None:
        with self.limiter.item(item):
            while item not in self.ended:
                try:
                    with self.limiter.request(item) as asks_for_known:
                        self._respond(item, asks_for_known=asks_for_known)
                        if not asks_for_known:
                            self.ended[item] = f"done after {self.limiter.failures(item)}"
                except (GivenUp, Stopped) as exc:
                    self.ended[item] = f"{exc.code} after {self.limiter.failures(item)}"
                except DashboardError as exc:
                    try:
                        self.limiter.wait_after_failure(item, exc.message)
                    except Stopped:
                        self.ended[item] = "STOPPED"

    def _respond(self, item: str, *, asks_for_known: bool) -> None:
        with self._lock:
            self.in_flight += 1
            self.known_requests += asks_for_known
            if self.limiter.report().down_since:
                self.most_while_down = max(self.most_while_down, self.in_flight)
        clock.sleep(0.01)
        with self._lock:
            self.in_flight -= 1
            is_broken = not self.is_known_good if asks_for_known else item in self.broken
            if self.is_down or is_broken:
                self.failed_at.append(clock.monotonic())
                raise ConnectionFailed("Connection refused.")


def limiter_of(storage: MemoryStorage, limits: RateLimits = LIMITS, **options: object) -> Limiter:
    return Limiter(limits, storage.control.update_schedule, **{"clock": clock, **options})  # type: ignore[arg-type]


def fail(limiter: Limiter, error: Exception) -> None:
    with pytest.raises(type(error)), limiter.request():
        raise error


# Outages.


def test_during_an_outage_one_request_at_a_time_probes_and_no_item_is_charged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "backfill.rate_limit")
    limiter = limiter_of(MemoryStorage())
    dashboard = SimulatedDashboard(limiter, "ABCDEF")
    dashboard.is_down = True
    dashboard.begin()
    assert clock.eventually(lambda: limiter.report().down_since is not None)
    assert clock.eventually(lambda: len(dashboard.failed_at) >= 10)
    assert clock.eventually(lambda: limiter.report().waiting_until is not None)
    report = limiter.report()
    assert report.state is LimiterState.BACKING_OFF
    assert report.reason.startswith(f"No usable response since {report.down_since:%H:%M:%S} UTC; last error: ")
    assert "Connection refused. The next request is sent at " in report.reason
    assert limiter.is_holding
    dashboard.is_down = False
    dashboard.join()
    assert set(dashboard.ended.values()) == {"done after 0"}
    assert dashboard.most_while_down == 1
    after = limiter.report()
    assert (after.down_since, after.state) == (None, LimiterState.RUNNING)
    assert after.waited[WaitReason.DOWN] > 0.5
    messages = [record.getMessage() for record in caplog.records]
    assert [message.partition(" since")[0] for message in messages] == [
        "No usable response",
        "The dashboard responds again.",
    ]


def test_the_delay_between_probes_grows_up_to_the_longest_delay() -> None:
    limits = RateLimits(max_requests_per_minute=6000, min_delay_ms=0, max_delay_ms=1600)
    limiter = limiter_of(MemoryStorage(), limits)
    dashboard = SimulatedDashboard(limiter, "ABC", is_known_good=False)
    dashboard.is_down = True
    dashboard.begin()
    assert clock.eventually(lambda: limiter.report().down_since is not None and not dashboard.in_flight)
    before = len(dashboard.failed_at)
    assert clock.eventually(lambda: len(dashboard.failed_at) >= before + 6, within=15)
    dashboard.is_down = False
    dashboard.join()
    gaps = [later - sooner for sooner, later in pairwise(dashboard.failed_at[before - 1 :])]
    # Each backoff keeps at least half of 200, 400, 800, 1600, 1600, ... ms.
    assert all(gap >= shortest for gap, shortest in zip(gaps, (0.1, 0.2, 0.4, 0.8, 0.8), strict=False)), gaps


def test_an_item_that_fails_while_others_succeed_is_given_up_after_five_attempts() -> None:
    dashboard = SimulatedDashboard(limiter_of(MemoryStorage()), "ABCDEFGH", broken="C")
    dashboard.begin()
    dashboard.join()
    assert dashboard.ended.pop("C") == "GIVEN_UP after 5"
    assert set(dashboard.ended.values()) == {"done after 0"}


@pytest.mark.parametrize("items", ["A", "ABC", "ABCDEFG"])
def test_items_that_all_fail_are_given_up_if_a_known_report_still_succeeds(items: str) -> None:
    dashboard = SimulatedDashboard(limiter_of(MemoryStorage()), items, broken=items)
    dashboard.begin()
    dashboard.join()
    assert dashboard.ended == dict.fromkeys(items, "GIVEN_UP after 5")
    assert dashboard.known_requests >= 1


def test_a_single_item_is_not_given_up_during_an_outage() -> None:
    limiter = limiter_of(MemoryStorage())
    dashboard = SimulatedDashboard(limiter, "A")
    dashboard.is_down = True
    dashboard.begin()
    assert clock.eventually(lambda: len(dashboard.failed_at) >= 9)
    dashboard.is_down = False
    dashboard.join()
    assert dashboard.ended == {"A": "done after 0"}


def test_a_drain_ends_the_waits_of_an_outage_at_once() -> None:
    """R7.2"""
    limiter = limiter_of(MemoryStorage(), RateLimits(max_requests_per_minute=6000, min_delay_ms=0, max_delay_ms=60_000))
    dashboard = SimulatedDashboard(limiter, "ABCDE")
    dashboard.is_down = True
    dashboard.begin()
    assert clock.eventually(lambda: limiter.report().down_since is not None)
    limiter.drain()
    dashboard.join(1)
    assert {ended.partition(" ")[0] for ended in dashboard.ended.values()} == {"STOPPED"}


def test_a_refusal_by_the_dashboard_is_not_an_outage() -> None:
    limiter = limiter_of(MemoryStorage())
    for _ in range(9):
        with limiter.item("A"):
            with pytest.raises(WrongAsOf), limiter.request("A"):
                raise WrongAsOf("Another day.")
            assert limiter.failures("A") == 1
    assert limiter.report().down_since is None


def test_after_a_takeover_in_an_outage_one_request_probes_after_the_stored_hold() -> None:
    storage = MemoryStorage()
    first = limiter_of(storage)
    first.hold(clock.now() + timedelta(seconds=0.3), "It is down.")
    began = clock.monotonic()
    second = limiter_of(storage, before=LimiterReport(down_since=clock.now(), requests_made=7))
    dashboard = SimulatedDashboard(second, "ABC")
    dashboard.begin()
    assert clock.eventually(lambda: second.report().state is LimiterState.BACKING_OFF)
    assert second.report().reason.startswith("The dashboard was down at the last request")
    dashboard.join()
    assert clock.monotonic() - began >= 0.29
    assert dashboard.most_while_down == 1
    assert second.report().requests_made == 10


def test_a_requested_pause_during_an_outage_delays_the_reported_next_request() -> None:
    limiter = limiter_of(MemoryStorage())
    with limiter.item("A"), limiter.item("B"):
        for item in "ABABA":
            with suppress(ServerError), limiter.request(item):
                raise ServerError("500")
        until = clock.now() + timedelta(hours=1)
        with suppress(Throttled), limiter.request("A"):
            raise Throttled("503: it asks for fewer requests.", retry_at=until)
    report = limiter.report()
    assert report.waits_for is WaitReason.DOWN
    assert f"it asks for fewer requests. The next request is sent at {until:%H:%M:%S} UTC" in report.reason
    assert report.waiting_until is not None
    assert abs(report.waiting_until - until) < timedelta(seconds=1)


def test_a_refused_probe_for_a_known_report_is_not_a_failure_of_the_waiting_item() -> None:
    limiter = limiter_of(MemoryStorage())
    with limiter.item("A"), limiter.item("B"):
        for item in "ABABB":
            with suppress(ServerError), limiter.request(item):
                raise ServerError("500")
        with limiter.request("A") as asks_for_known:
            assert asks_for_known
            raise WrongAsOf("It has moved.")
        assert limiter.report().down_since is None
        assert (limiter.failures("A"), limiter.failures("B")) == (2, 3)


def test_an_unresolved_item_lets_other_items_send_requests_if_the_longest_delay_is_zero() -> None:
    limiter = limiter_of(MemoryStorage(), limits_of(max_requests_per_minute=6000, min_delay_ms=0, max_delay_ms=0))
    dashboard = SimulatedDashboard(limiter, "A", broken="A")
    with limiter.item("B"), limiter.request("B"):
        dashboard.begin()
        assert clock.eventually(lambda: len(dashboard.failed_at) == ATTEMPTS)
    dashboard.join()
    assert dashboard.ended == {"A": "GIVEN_UP after 5"}


# Long responses.


def test_a_wait_for_long_responses_is_reported_with_its_duration() -> None:
    limiter = limiter_of(MemoryStorage())
    ends = clock.event()

    def request() -> None:
        with limiter.request():
            ends.wait()

    threads = [clock.thread(request, f"item-{number}") for number in range(4)]
    for thread in threads:
        thread.start()
    clock.sleep(4)
    assert limiter.report().reason == "The dashboard responds; the rate is 6,000 requests a minute."
    clock.sleep(36)
    report = limiter.report()
    assert report.reason == "Waiting for 3 responses, the oldest for 40 s."
    assert (report.state, report.waits_for, limiter.is_holding) == (LimiterState.RUNNING, WaitReason.RESPONSES, False)
    ends.set()
    for thread in threads:
        thread.join()
    assert limiter.report().waits_for is None


def test_a_long_response_is_not_reported_while_other_requests_can_start() -> None:
    limiter = limiter_of(MemoryStorage(), replace(LIMITS, min_delay_ms=3000, max_delay_ms=3000))
    ends = clock.event()

    def request() -> None:
        with limiter.request():
            ends.wait()

    threads = [clock.thread(request, f"item-{number}") for number in range(3)]
    for thread in threads:
        thread.start()
    clock.sleep(5.5)  # two requests are in flight, and the third starts at 6 s
    assert limiter.report().waits_for is not WaitReason.RESPONSES
    clock.sleep(1)
    assert limiter.report().reason.startswith("Waiting for 3 responses, the oldest for ")
    ends.set()
    for thread in threads:
        thread.join()


def test_a_long_probe_of_an_outage_is_reported_instead_of_the_time_of_the_next_one() -> None:
    limiter = limiter_of(MemoryStorage())
    with limiter.item("A"), limiter.item("B"):
        for item in "ABABA":
            with suppress(ServerError), limiter.request(item):
                raise ServerError("It answered 500.")
        assert "The next request is sent at " in limiter.report().reason
        with limiter.request("A"):
            clock.sleep(30)
            report = limiter.report()
    assert report.waits_for is WaitReason.DOWN
    assert "It answered 500. Waiting for 1 response for 30 s. This does not count" in report.reason


def test_items_that_reach_the_deadline_free_every_slot_after_two_deadlines() -> None:
    """The requests that fill all slots are decided by a report that succeeded before."""
    limiter, began, ended = limiter_of(MemoryStorage()), clock.monotonic(), dict[str, float]()

    def send(*, asks_for_known: bool) -> None:
        clock.sleep(0.1 if asks_for_known else 120)
        if not asks_for_known:
            raise TimedOut("It was too slow.")

    def collect(item: str) -> None:
        with limiter.item(item), suppress(GivenUp):
            while True:
                try:
                    with limiter.request(item) as asks_for_known:
                        send(asks_for_known=asks_for_known)
                except TimedOut as exc:
                    limiter.wait_after_failure(item, exc.message)
        ended[item] = clock.monotonic() - began

    threads = [clock.thread(partial(collect, item), f"item-{item}") for item in "ABC"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(1000)
    assert sorted(ended) == ["A", "B", "C"]
    assert min(ended.values()) < 245
    assert max(ended.values()) < 370


# Waits that an operator ends.


def test_the_message_of_a_requested_pause_names_its_end() -> None:
    limiter = limiter_of(MemoryStorage())
    until = clock.now() + timedelta(hours=24)
    fail(limiter, Throttled('The dashboard answered "429".', retry_at=until))
    report = limiter.report()
    assert report.reason == f'The dashboard answered "429". No request is sent before {until:%Y-%m-%d %H:%M:%S} UTC.'
    assert report.waits_for is WaitReason.ASKED_TO_WAIT


def test_a_pause_that_an_operator_ends_is_over_for_every_process() -> None:
    storage = MemoryStorage()
    limiter, began = limiter_of(storage), clock.monotonic()
    fail(limiter, Throttled("429", retry_at=clock.now() + timedelta(hours=24)))
    dashboard = SimulatedDashboard(limiter, "AB")
    dashboard.begin()
    clock.sleep(60)
    assert dashboard.ended == {}
    limiter.end_hold()
    dashboard.join(5)
    assert set(dashboard.ended.values()) == {"done after 0"}
    other = limiter_of(storage, max_wait=5)
    with other.request():
        pass
    assert clock.monotonic() - began < 70


def test_an_outage_is_probed_at_once_if_an_operator_ends_the_wait() -> None:
    limiter = limiter_of(MemoryStorage(), replace(LIMITS, max_delay_ms=300_000, backoff_multiplier=10))
    dashboard = SimulatedDashboard(limiter, "ABC")
    dashboard.is_down = True
    dashboard.begin()
    assert clock.eventually(lambda: len(dashboard.failed_at) >= 9, within=1000)
    dashboard.is_down = False
    clock.sleep(1)
    limiter.end_hold()
    dashboard.join(5)
    assert set(dashboard.ended.values()) == {"done after 0"}


def test_the_wait_after_a_local_problem_and_for_a_dependency_can_be_ended() -> None:
    limiter = limiter_of(MemoryStorage(), replace(LIMITS, min_delay_ms=60_000, max_delay_ms=300_000))
    ended = []

    def wait() -> None:
        ended.append(limiter.hold_for(WaitReason.ROBOTS, "robots.txt does not allow it.", 86_400))
        limiter.resume()
        with limiter.request():
            pass

    fail(limiter, LocalProblem("DNS does not resolve it."))
    thread = clock.thread(wait, "waits")
    thread.start()
    clock.sleep(1)
    limiter.end_hold()
    thread.join(70)  # the delay between two requests
    assert not thread.is_alive()
    assert ended == [True]
    assert limiter.hold_for(WaitReason.ROBOTS, "robots.txt does not allow it.", 1) is False


def test_a_hold_that_was_ended_before_a_takeover_stays_ended_and_a_later_one_stays() -> None:
    storage = MemoryStorage()
    limiter_of(storage).hold(clock.now() + timedelta(hours=24), "429")
    ended_at = clock.now() + timedelta(seconds=1)
    clock.sleep(2)
    limiter_of(storage).end_earlier_hold(ended_at)
    assert storage.control.update_schedule(lambda schedule: schedule).hold(clock.now()) is None
    until = clock.now() + timedelta(hours=24)
    limiter_of(storage).hold(until, "429")
    limiter_of(storage).end_earlier_hold(ended_at)
    assert storage.control.update_schedule(lambda schedule: schedule).hold(clock.now()) == until


# The reduced rate.


@pytest.mark.parametrize("error", [Throttled("429"), Overloaded("503"), Throttled("429", retry_at=NOW)])
def test_a_dashboard_that_asks_for_fewer_requests_halves_the_rate_of_every_process(error: Exception) -> None:
    storage = MemoryStorage()
    one, other = limiter_of(storage), limiter_of(storage)
    full = one.report().pace
    assert full is not None
    assert full == pytest.approx(60 / LIMITS.interval.total_seconds())
    fail(one, error)
    assert one.report().pace == pytest.approx(full / 2, rel=0.05)
    with other.request():  # the next request reads the reduced rate
        pass
    assert other.report().pace == pytest.approx(full / 2, rel=0.05)


def test_an_outage_reduces_the_rate_only_once() -> None:
    """An outage of 503s halves the rate once, not at each probe."""
    limiter = limiter_of(MemoryStorage())
    full = limiter.report().pace
    assert full is not None
    with limiter.item("A"), limiter.item("B"):
        for item in "ABABABAB":
            with suppress(Overloaded), limiter.request(item):
                raise Overloaded("503")
    assert limiter.report().down_since is not None
    assert limiter.report().pace == pytest.approx(full / 2, rel=0.05)


def test_an_item_that_alone_is_throttled_until_it_fails_does_not_keep_the_rate_reduced() -> None:
    """The rate of all processes is restored, unless another response halved it since."""
    storage = MemoryStorage()
    limiter, other = limiter_of(storage), limiter_of(storage)
    full = limiter.report().pace
    assert full is not None
    for is_halved_since in (False, True):
        with limiter.item("A"), limiter.item("B"):
            for _ in range(ATTEMPTS):
                with suppress(Throttled), limiter.request("A"):
                    raise Throttled("429")
                with limiter.request("B"):
                    pass
            with pytest.raises(GivenUp), limiter.request("A"):
                pass
            assert limiter.report().pace == pytest.approx(full / 2, rel=0.1)
            if is_halved_since:
                fail(limiter, Throttled("429"))
        with other.request():
            pass
        assert other.report().pace == pytest.approx(full / 4 if is_halved_since else full, rel=0.1)


def test_other_errors_do_not_reduce_the_rate() -> None:
    limiter = limiter_of(MemoryStorage())
    fail(limiter, ServerError("500"))
    assert limiter.report().pace == pytest.approx(60 / LIMITS.interval.total_seconds())


def test_a_rate_reduced_during_a_store_outage_is_later_reduced_for_every_process() -> None:
    storage = MemoryStorage()
    one, other = limiter_of(storage), limiter_of(storage)
    full = one.report().pace
    assert full is not None
    with suppress(Overloaded), one.request():
        storage.store.is_down = True
        raise Overloaded("503")
    assert one.report().pace == pytest.approx(full / 2, rel=0.05)
    storage.store.is_down = False
    one.give_back()  # the next write of any kind stores it
    with other.request():
        pass
    assert other.report().pace == pytest.approx(full / 2, rel=0.05)


@pytest.mark.parametrize(
    ("limits", "is_reduced", "rate"),
    [
        (RateLimits(max_requests_per_minute=600), False, "120 requests a minute"),
        (RateLimits(max_requests_per_minute=1), False, "1 request a minute"),
        (RateLimits(max_requests_per_minute=1), True, "1 request a minute"),
        (RateLimits(max_requests_per_minute=6000, min_delay_ms=7000), False, "8.6 requests a minute"),
        (
            RateLimits(max_requests_per_minute=6000, min_delay_ms=0),
            True,
            (
                "2,985.1 requests a minute, because the dashboard asked for fewer than the limit of 6,000 requests a "
                "minute; it increases by a tenth of the limit each minute"
            ),
        ),
    ],
)
def test_the_status_states_the_effective_rate(limits: RateLimits, rate: str, *, is_reduced: bool) -> None:
    limiter = limiter_of(MemoryStorage(), limits)
    with suppress(Overloaded), limiter.request():
        if is_reduced:
            raise Overloaded("503")
    assert limiter.report().reason == f"The dashboard responds; the rate is {rate}."


def test_a_reduced_rate_recovers_and_is_reported_and_counted_as_waiting_time() -> None:
    limiter = limiter_of(MemoryStorage(), RateLimits(min_delay_ms=0))
    fail(limiter, Overloaded("503"))
    limiter.report()
    clock.sleep(60)
    report = limiter.report()
    assert report.pace == pytest.approx(60 * 0.6 / 1.005)
    assert report.waited == {WaitReason.SLOWED: 60}
    assert report.waits_for is WaitReason.SLOWED
    clock.sleep(10)
    with limiter.request():
        reason = limiter.report().reason
    assert reason == (
        "The dashboard responds; the rate is 36.8 requests a minute, because the dashboard asked for fewer than the "
        "limit of 60 requests a minute; it increases by a tenth of the limit each minute."
    )
    clock.sleep(300)
    assert limiter.report().pace == pytest.approx(60 / 1.005)


def test_requests_after_a_503_start_twice_as_far_apart() -> None:
    limiter = limiter_of(MemoryStorage(), FAST.changed({"max_requests_per_minute": 1200}))
    fail(limiter, Overloaded("503"))
    for _ in range(6):
        with limiter.request():
            pass
    starts = list(limiter._counts.starts)
    assert min(later - sooner for sooner, later in pairwise(starts)) >= 0.095


def test_waiting_time_of_earlier_runs_of_the_job_is_kept() -> None:
    before = LimiterReport(waited={WaitReason.DOWN: 12.0}, latency=0.5, requests_made=3)
    report = limiter_of(MemoryStorage(), before=before).report()
    assert (report.waited, report.latency, report.requests_made) == ({WaitReason.DOWN: 12.0}, 0.5, 3)


def test_the_latency_is_measured() -> None:
    limiter = limiter_of(MemoryStorage())
    assert limiter.report().latency is None
    with limiter.request():
        clock.sleep(0.05)
    latency = limiter.report().latency
    assert latency is not None
    assert latency == pytest.approx(0.05, abs=0.001)


# Allowed hours.


def test_outside_the_allowed_hours_no_request_is_sent_and_the_opening_time_is_reported() -> None:
    clock.sleep((NOW.replace(hour=21, minute=30) - NOW).total_seconds())
    limiter = limiter_of(MemoryStorage(), hours=AllowedHours(time_of_day(22), time_of_day(6)))
    dashboard = SimulatedDashboard(limiter, "AB")
    dashboard.begin()
    assert clock.eventually(lambda: limiter.report().state is LimiterState.THROTTLED)
    report = limiter.report()
    assert report.reason == "Requests are sent only within the allowed hours, 22:00-06:00 UTC."
    assert report.waiting_until is not None
    assert abs(report.waiting_until - NOW.replace(hour=22, minute=0, second=0, microsecond=0)) < timedelta(seconds=1)
    assert limiter.is_holding
    assert report.requests_made == 0
    clock.sleep((NOW.replace(hour=21, minute=59) - clock.now()).total_seconds())
    assert limiter.report().requests_made == 0
    dashboard.join(60)
    assert set(dashboard.ended.values()) == {"done after 0"}
    assert WaitReason.OUTSIDE_HOURS in limiter.report().waited


def test_the_allowed_hours_are_reported_also_during_an_outage() -> None:
    """Otherwise the status would announce a request that is not sent, and the job could be displaced as stale."""
    clock.sleep((NOW.replace(hour=23) - NOW).total_seconds())
    night = AllowedHours(time_of_day(22), time_of_day(6))
    limiter = limiter_of(MemoryStorage(), hours=night)
    with limiter.item("A"), limiter.item("B"):
        for item in "ABABA":
            with suppress(ServerError), limiter.request(item):
                raise ServerError("500")
            clock.sleep(1)
    assert limiter.report().waits_for is WaitReason.DOWN
    clock.sleep(8 * 3600)
    dashboard = SimulatedDashboard(limiter, "C")
    dashboard.begin()
    assert clock.eventually(lambda: limiter.report().waits_for is WaitReason.OUTSIDE_HOURS)
    report = limiter.report()
    assert report.reason == "Requests are sent only within the allowed hours, 22:00-06:00 UTC."
    assert report.waiting_until is not None
    opens = (NOW + timedelta(days=1)).replace(hour=22, minute=0, second=0, microsecond=0)
    assert abs(report.waiting_until - opens) < timedelta(milliseconds=1)
    limiter.stop()
    dashboard.join()


def test_a_drain_does_not_wait_for_the_allowed_hours() -> None:
    """R7.2"""
    limiter = limiter_of(MemoryStorage(), hours=AllowedHours(time_of_day(22), time_of_day(6)))
    dashboard = SimulatedDashboard(limiter, "AB")
    dashboard.begin()
    assert clock.eventually(lambda: limiter.report().state is LimiterState.THROTTLED)
    limiter.drain()
    dashboard.join(1)
    assert set(dashboard.ended.values()) == {"STOPPED after 0"}


def test_a_job_without_requests_is_not_held_by_the_allowed_hours() -> None:
    """For example of a job that only computes."""
    limiter = limiter_of(MemoryStorage(), hours=AllowedHours(time_of_day(22), time_of_day(6)))
    assert limiter.report().state is LimiterState.IDLE
    assert not limiter.is_holding


# Waits for the compute cluster.


def test_an_unavailable_cluster_is_reported_until_it_is_back() -> None:
    limiter = limiter_of(MemoryStorage())
    limiter.hold_for(WaitReason.CLUSTER, "The cluster is away.", 0.05)
    report = limiter.report()
    assert (report.state, report.reason) == (LimiterState.BACKING_OFF, "The cluster is away.")
    assert report.waiting_until is not None
    assert limiter.is_holding
    limiter.check()
    clock.sleep(0.5)
    limiter.resume()
    assert not limiter.is_holding
    report = limiter.report()
    assert report.state is LimiterState.IDLE
    assert report.waited[WaitReason.CLUSTER] == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize("end", [Limiter.drain, Limiter.stop])
def test_a_wait_for_the_cluster_ends_with_the_job(end: Callable[[Limiter], None]) -> None:
    limiter = limiter_of(MemoryStorage())
    began, ended = clock.monotonic(), list[float]()

    def wait() -> None:
        with pytest.raises(Stopped):
            limiter.hold_for(WaitReason.CLUSTER, "The cluster is away.", 60)
        ended.append(clock.monotonic())

    thread = clock.thread(wait, "waits")
    thread.start()
    assert clock.eventually(lambda: limiter.is_holding)
    end(limiter)
    thread.join(10)
    assert ended[0] - began < 2
    with pytest.raises(Stopped):
        limiter.check()


# The network of this machine.


def test_a_request_that_could_not_be_sent_is_not_counted_and_the_next_attempt_waits() -> None:
    limiter = limiter_of(MemoryStorage(), RateLimits(max_requests_per_minute=6000, min_delay_ms=200, max_delay_ms=400))
    began = clock.monotonic()
    with limiter.item("A"):
        with pytest.raises(LocalProblem), limiter.request("A"):
            raise LocalProblem("HTTPS_PROXY is wrong.")
        report = limiter.report()
        assert (report.requests_made, report.requests_this_minute, dict(report.answers)) == (0, 0, {})
        assert (report.waits_for, report.state) == (WaitReason.LOCAL, LimiterState.BACKING_OFF)
        assert report.waiting_until is not None
        assert "HTTPS_PROXY is wrong. This does not count against any item" in report.reason
        assert limiter.is_holding
        with limiter.request("A"):
            assert clock.monotonic() - began >= 0.2, "the attempts are spaced"
        report = limiter.report()
        assert limiter.failures("A") == 0
    assert (report.requests_made, dict(report.answers)) == (1, {"200": 1})
    assert report.waits_for is not WaitReason.LOCAL


def test_a_local_problem_charges_no_item_and_one_attempt_at_a_time_is_made() -> None:
    limiter = limiter_of(MemoryStorage(), replace(LIMITS, max_delay_ms=10))
    is_fixed, lock = threading.Event(), threading.Lock()
    attempts, in_flight, failures = [0], [0, 0], dict[str, int]()

    def do(item: str) -> None:
        with limiter.item(item):
            while True:
                with suppress(LocalProblem), limiter.request(item):
                    with lock:
                        attempts[0] += 1
                        in_flight[0] += 1
                        if limiter.report().waits_for is WaitReason.LOCAL:
                            in_flight[1] = max(in_flight)
                    clock.event().wait(0.005)
                    with lock:
                        in_flight[0] -= 1
                    if not is_fixed.is_set():
                        raise LocalProblem("DNS does not resolve it.")
                    failures[item] = limiter.failures(item)
                    return

    threads = [clock.thread(partial(do, item), f"item-{item}") for item in "ABCDEF"]
    for thread in threads:
        thread.start()
    assert clock.eventually(lambda: attempts[0] > 6 * ATTEMPTS)
    assert limiter.report().down_since is None
    is_fixed.set()
    for thread in threads:
        thread.join(10)
    assert failures == dict.fromkeys("ABCDEF", 0)
    assert in_flight[1] == 1
    assert limiter.report().requests_made == 6


def test_a_local_problem_is_logged_once_for_a_job_and_never_for_a_preview(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "backfill.rate_limit")
    job, preview = (limiter_of(MemoryStorage(), replace(LIMITS, max_delay_ms=10), max_wait=p) for p in (None, 5))
    for limiter in (preview, job):
        for _ in range(3):
            fail(limiter, LocalProblem("DNS does not resolve it."))
        with limiter.request():
            pass
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_cancelling_the_job_ends_the_wait_for_a_local_problem() -> None:
    limiter = limiter_of(MemoryStorage(), RateLimits(min_delay_ms=60_000, max_delay_ms=60_000))
    fail(limiter, LocalProblem("DNS does not resolve it."))
    limiter.drain()
    with pytest.raises(Stopped), limiter.request("A"):
        pytest.fail("no request may be sent")
