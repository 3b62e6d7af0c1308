"""Outages, a pace that was lowered, and allowed hours, with real threads in virtual time."""

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
    WrongAsOf,
)
from backfill.rate_limit import ATTEMPTS, Limiter
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import FAST, NOW, limits_of
from tests.unit.virtual_clock import VirtualClock

clock = VirtualClock.at()


@pytest.fixture(autouse=True)
def virtual_time() -> None:
    """Each test begins with a clock of its own."""
    global clock  # noqa: PLW0603 - functions of this module ask it
    clock = VirtualClock.at()


LIMITS = RateLimits(max_requests_per_minute=6000, max_concurrent=3, min_delay_ms=0, max_delay_ms=400)


class ResponsePolicy:
    """Items that are asked for until they are answered or given up, each in a thread, of a source that may be down."""

    def __init__(self, limiter: Limiter, items: str, *, broken: str = "", is_known_good: bool = True) -> None:
        self.limiter, self.items, self.broken = limiter, items, broken
        self.is_down, self.is_known_good = False, is_known_good
        self.failed_at: list[float] = []
        self.ended: dict[str, str] = {}
        self.known_asked = self.in_flight = self.most_while_down = 0
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
                        self._ask(item, asks_for_known=asks_for_known)
                        if not asks_for_known:
                            self.ended[item] = f"done after {self.limiter.failures(item)}"
                except (GivenUp, Stopped) as exc:
                    self.ended[item] = f"{exc.code} after {self.limiter.failures(item)}"
                except DashboardError as exc:
                    try:
                        self.limiter.wait_after_failure(item, exc.message)
                    except Stopped:
                        self.ended[item] = "STOPPED"

    def _ask(self, item: str, *, asks_for_known: bool) -> None:
        with self._lock:
            self.in_flight += 1
            self.known_asked += asks_for_known
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


def refused(limiter: Limiter, error: Exception) -> None:
    with pytest.raises(type(error)), limiter.request():
        raise error


# Outages.


def test_while_the_source_is_down_one_request_at_a_time_probes_it_and_no_item_is_charged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "backfill.rate_limit")
    limiter = limiter_of(MemoryStorage())
    source = ResponsePolicy(limiter, "ABCDEF")
    source.is_down = True
    source.begin()
    assert clock.eventually(lambda: limiter.report().down_since is not None)
    assert clock.eventually(lambda: len(source.failed_at) >= 10)
    assert clock.eventually(lambda: limiter.report().waiting_until is not None)
    report = limiter.report()
    assert report.state is LimiterState.BACKING_OFF
    assert report.reason.startswith(f"No usable response since {report.down_since:%H:%M:%S} UTC; last error: ")
    assert "Connection refused. The next request is sent at " in report.reason
    assert limiter.is_holding
    source.is_down = False
    source.join()
    assert set(source.ended.values()) == {"done after 0"}
    assert source.most_while_down == 1
    after = limiter.report()
    assert (after.down_since, after.state) == (None, LimiterState.RUNNING)
    assert after.waited[WaitReason.DOWN] > 0.5
    messages = [record.getMessage() for record in caplog.records]
    assert [message.partition(" since")[0] for message in messages] == [
        "No usable response",
        "The dashboard responds again.",
    ]


def test_probes_are_further_and_further_apart_until_the_longest_delay() -> None:
    limits = RateLimits(max_requests_per_minute=6000, min_delay_ms=0, max_delay_ms=1600)
    limiter = limiter_of(MemoryStorage(), limits)
    source = ResponsePolicy(limiter, "ABC", is_known_good=False)
    source.is_down = True
    source.begin()
    assert clock.eventually(lambda: limiter.report().down_since is not None and not source.in_flight)
    before = len(source.failed_at)
    assert clock.eventually(lambda: len(source.failed_at) >= before + 6, within=15)
    source.is_down = False
    source.join()
    gaps = [later - sooner for sooner, later in pairwise(source.failed_at[before - 1 :])]
    # Each backoff keeps at least half of 200, 400, 800, 1600, 1600, ... ms.
    assert all(gap >= shortest for gap, shortest in zip(gaps, (0.1, 0.2, 0.4, 0.8, 0.8), strict=False)), gaps


def test_an_item_that_fails_while_others_succeed_is_given_up_after_five_attempts() -> None:
    source = ResponsePolicy(limiter_of(MemoryStorage()), "ABCDEFGH", broken="C")
    source.begin()
    source.join()
    assert source.ended.pop("C") == "GIVEN_UP after 5"
    assert set(source.ended.values()) == {"done after 0"}


@pytest.mark.parametrize("items", ["A", "ABC", "ABCDEFG"])
def test_items_that_are_all_broken_are_given_up_where_something_known_is_still_answered(items: str) -> None:
    source = ResponsePolicy(limiter_of(MemoryStorage()), items, broken=items)
    source.begin()
    source.join()
    assert source.ended == dict.fromkeys(items, "GIVEN_UP after 5")
    assert source.known_asked >= 1


def test_a_lone_item_is_not_given_up_where_nothing_is_answered() -> None:
    limiter = limiter_of(MemoryStorage())
    source = ResponsePolicy(limiter, "A")
    source.is_down = True
    source.begin()
    assert clock.eventually(lambda: len(source.failed_at) >= 9)
    source.is_down = False
    source.join()
    assert source.ended == {"A": "done after 0"}


def test_a_drain_ends_an_outage_at_once() -> None:
    """R7.2"""
    limiter = limiter_of(MemoryStorage(), RateLimits(max_requests_per_minute=6000, min_delay_ms=0, max_delay_ms=60_000))
    source = ResponsePolicy(limiter, "ABCDE")
    source.is_down = True
    source.begin()
    assert clock.eventually(lambda: limiter.report().down_since is not None)
    limiter.drain()
    source.join(1)
    assert {ended.partition(" ")[0] for ended in source.ended.values()} == {"STOPPED"}


def test_what_the_source_refuses_is_an_answer_and_no_outage() -> None:
    limiter = limiter_of(MemoryStorage())
    for _ in range(9):
        with limiter.item("A"):
            with pytest.raises(WrongAsOf), limiter.request("A"):
                raise WrongAsOf("Another day.")
            assert limiter.failures("A") == 1
    assert limiter.report().down_since is None


def test_a_runner_that_takes_over_in_an_outage_waits_for_the_stored_hold_and_probes_alone() -> None:
    storage = MemoryStorage()
    first = limiter_of(storage)
    first.hold(clock.now() + timedelta(seconds=0.3), "It is down.")
    began = clock.monotonic()
    second = limiter_of(storage, before=LimiterReport(down_since=clock.now(), requests_made=7))
    source = ResponsePolicy(second, "ABC")
    source.begin()
    assert clock.eventually(lambda: second.report().state is LimiterState.BACKING_OFF)
    assert second.report().reason.startswith("The dashboard was down at the last request")
    source.join()
    assert clock.monotonic() - began >= 0.29
    assert source.most_while_down == 1
    assert second.report().requests_made == 10


def test_a_source_that_asks_for_time_while_it_is_down_is_said_to_be_asked_again_after_that() -> None:
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


def test_what_is_refused_of_what_was_known_is_no_failure_of_the_item_that_waits() -> None:
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


def test_an_item_that_waits_for_a_verdict_lets_the_others_ask_where_the_longest_delay_is_none() -> None:
    limiter = limiter_of(MemoryStorage(), limits_of(max_requests_per_minute=6000, min_delay_ms=0, max_delay_ms=0))
    source = ResponsePolicy(limiter, "A", broken="A")
    with limiter.item("B"), limiter.request("B"):
        source.begin()
        assert clock.eventually(lambda: len(source.failed_at) == ATTEMPTS)
    source.join()
    assert source.ended == {"A": "GIVEN_UP after 5"}


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


# Waits that an operator ends.


def test_the_message_of_a_requested_pause_names_its_end() -> None:
    limiter = limiter_of(MemoryStorage())
    until = clock.now() + timedelta(hours=24)
    refused(limiter, Throttled('The dashboard answered "429".', retry_at=until))
    report = limiter.report()
    assert report.reason == f'The dashboard answered "429". No request is sent before {until:%Y-%m-%d %H:%M:%S} UTC.'
    assert report.waits_for is WaitReason.ASKED_TO_WAIT


def test_a_pause_that_an_operator_ends_is_over_for_every_process() -> None:
    storage = MemoryStorage()
    limiter, began = limiter_of(storage), clock.monotonic()
    refused(limiter, Throttled("429", retry_at=clock.now() + timedelta(hours=24)))
    source = ResponsePolicy(limiter, "AB")
    source.begin()
    clock.sleep(60)
    assert source.ended == {}
    limiter.end_hold()
    source.join(5)
    assert set(source.ended.values()) == {"done after 0"}
    other = limiter_of(storage, max_wait=5)
    with other.request():
        pass
    assert clock.monotonic() - began < 70


def test_an_outage_is_probed_at_once_if_an_operator_ends_the_wait() -> None:
    limiter = limiter_of(MemoryStorage(), replace(LIMITS, max_delay_ms=300_000, backoff_multiplier=10))
    source = ResponsePolicy(limiter, "ABC")
    source.is_down = True
    source.begin()
    assert clock.eventually(lambda: len(source.failed_at) >= 9, within=1000)
    source.is_down = False
    clock.sleep(1)
    limiter.end_hold()
    source.join(5)
    assert set(source.ended.values()) == {"done after 0"}


def test_the_wait_after_a_local_problem_and_for_a_dependency_can_be_ended() -> None:
    limiter = limiter_of(MemoryStorage(), replace(LIMITS, min_delay_ms=60_000, max_delay_ms=300_000))
    ended = []

    def wait() -> None:
        ended.append(limiter.hold_for(WaitReason.ROBOTS, "robots.txt does not allow it.", 86_400))
        limiter.resume()
        with limiter.request():
            pass

    refused(limiter, LocalProblem("DNS does not resolve it."))
    thread = clock.thread(wait, "waits")
    thread.start()
    clock.sleep(1)
    limiter.end_hold()
    thread.join(10)
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


# The rate.


@pytest.mark.parametrize("error", [Throttled("429"), Overloaded("503"), Throttled("429", retry_at=NOW)])
def test_a_source_that_asks_for_fewer_requests_halves_the_pace_of_every_process(error: Exception) -> None:
    storage = MemoryStorage()
    one, other = limiter_of(storage), limiter_of(storage)
    full = one.report().pace
    assert full is not None
    assert full == pytest.approx(60 / LIMITS.interval.total_seconds())
    refused(one, error)
    assert one.report().pace == pytest.approx(full / 2, rel=0.05)
    with other.request():  # whoever asks next, learns of it
        pass
    assert other.report().pace == pytest.approx(full / 2, rel=0.05)


def test_where_nothing_is_answered_the_rate_is_not_what_is_wrong() -> None:
    """An outage of 503s halves the pace once, not at each probe."""
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
                refused(limiter, Throttled("429"))
        with other.request():
            pass
        assert other.report().pace == pytest.approx(full / 4 if is_halved_since else full, rel=0.1)


def test_other_trouble_does_not_lower_the_pace() -> None:
    limiter = limiter_of(MemoryStorage())
    refused(limiter, ServerError("500"))
    assert limiter.report().pace == pytest.approx(60 / LIMITS.interval.total_seconds())


def test_a_pace_that_was_lowered_while_the_store_was_away_stays_lowered_for_every_process() -> None:
    storage = MemoryStorage()
    one, other = limiter_of(storage), limiter_of(storage)
    full = one.report().pace
    assert full is not None
    with suppress(Overloaded), one.request():
        storage.store.is_down = True
        raise Overloaded("503")
    assert one.report().pace == pytest.approx(full / 2, rel=0.05)
    storage.store.is_down = False
    one.give_back()  # as whatever it stores next
    with other.request():
        pass
    assert other.report().pace == pytest.approx(full / 2, rel=0.05)


@pytest.mark.parametrize(
    ("limits", "asked_for_less", "told"),
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
def test_the_pace_is_told_as_it_is(limits: RateLimits, told: str, *, asked_for_less: bool) -> None:
    limiter = limiter_of(MemoryStorage(), limits)
    with suppress(Overloaded), limiter.request():
        if asked_for_less:
            raise Overloaded("503")
    assert limiter.report().reason == f"The dashboard responds; the rate is {told}."


def test_a_lowered_pace_grows_back_is_told_and_counted() -> None:
    limiter = limiter_of(MemoryStorage(), RateLimits(min_delay_ms=0))
    refused(limiter, Overloaded("503"))
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


def test_the_starts_after_a_refusal_are_twice_as_far_apart() -> None:
    limiter = limiter_of(MemoryStorage(), FAST.changed({"max_requests_per_minute": 1200}))
    refused(limiter, Overloaded("503"))
    for _ in range(6):
        with limiter.request():
            pass
    starts = list(limiter._counts.starts)
    assert min(later - sooner for sooner, later in pairwise(starts)) >= 0.095


def test_what_held_the_job_back_before_is_counted_on() -> None:
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


def test_outside_the_allowed_hours_nothing_is_asked_and_it_says_until_when() -> None:
    clock.sleep((NOW.replace(hour=21, minute=30) - NOW).total_seconds())
    limiter = limiter_of(MemoryStorage(), hours=AllowedHours(time_of_day(22), time_of_day(6)))
    source = ResponsePolicy(limiter, "AB")
    source.begin()
    assert clock.eventually(lambda: limiter.report().state is LimiterState.THROTTLED)
    report = limiter.report()
    assert report.reason == "Requests are sent only within the allowed hours, 22:00-06:00 UTC."
    assert report.waiting_until is not None
    assert abs(report.waiting_until - NOW.replace(hour=22, minute=0, second=0, microsecond=0)) < timedelta(seconds=1)
    assert limiter.is_holding
    assert report.requests_made == 0
    clock.sleep((NOW.replace(hour=21, minute=59) - clock.now()).total_seconds())
    assert limiter.report().requests_made == 0
    source.join(60)
    assert set(source.ended.values()) == {"done after 0"}
    assert WaitReason.OUTSIDE_HOURS in limiter.report().waited


def test_outside_the_allowed_hours_it_says_so_also_where_the_source_is_down() -> None:
    """Else it would say when it is asked again while it is not, and a job of which nothing moves would be displaced."""
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
    source = ResponsePolicy(limiter, "C")
    source.begin()
    assert clock.eventually(lambda: limiter.report().waits_for is WaitReason.OUTSIDE_HOURS)
    report = limiter.report()
    assert report.reason == "Requests are sent only within the allowed hours, 22:00-06:00 UTC."
    assert report.waiting_until is not None
    opens = (NOW + timedelta(days=1)).replace(hour=22, minute=0, second=0, microsecond=0)
    assert abs(report.waiting_until - opens) < timedelta(milliseconds=1)
    limiter.stop()
    source.join()


def test_a_drain_does_not_wait_for_the_allowed_hours() -> None:
    """R7.2"""
    limiter = limiter_of(MemoryStorage(), hours=AllowedHours(time_of_day(22), time_of_day(6)))
    source = ResponsePolicy(limiter, "AB")
    source.begin()
    assert clock.eventually(lambda: limiter.report().state is LimiterState.THROTTLED)
    limiter.drain()
    source.join(1)
    assert set(source.ended.values()) == {"STOPPED after 0"}


def test_where_nothing_is_to_be_asked_the_hours_hold_nobody() -> None:
    """As of a job that computes."""
    limiter = limiter_of(MemoryStorage(), hours=AllowedHours(time_of_day(22), time_of_day(6)))
    assert limiter.report().state is LimiterState.IDLE
    assert not limiter.is_holding


# What is not the source.


def test_what_computes_may_be_away_too_and_the_limiter_says_so_until_it_is_back() -> None:
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
def test_a_wait_for_what_computes_ends_with_the_job(end: Callable[[Limiter], None]) -> None:
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


def test_a_request_that_was_never_sent_is_not_counted_and_the_next_attempt_waits() -> None:
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


def test_a_local_problem_charges_no_item_however_long_it_lasts_and_one_attempt_at_a_time_is_made() -> None:
    limiter = limiter_of(MemoryStorage(), replace(LIMITS, max_delay_ms=10))
    is_mended, lock = threading.Event(), threading.Lock()
    attempts, together, failures = [0], [0, 0], dict[str, int]()

    def do(item: str) -> None:
        with limiter.item(item):
            while True:
                with suppress(LocalProblem), limiter.request(item):
                    with lock:
                        attempts[0] += 1
                        together[0] += 1
                        if limiter.report().waits_for is WaitReason.LOCAL:
                            together[1] = max(together)
                    clock.event().wait(0.005)
                    with lock:
                        together[0] -= 1
                    if not is_mended.is_set():
                        raise LocalProblem("DNS does not resolve it.")
                    failures[item] = limiter.failures(item)
                    return

    threads = [clock.thread(partial(do, item), f"item-{item}") for item in "ABCDEF"]
    for thread in threads:
        thread.start()
    assert clock.eventually(lambda: attempts[0] > 6 * ATTEMPTS)
    assert limiter.report().down_since is None
    is_mended.set()
    for thread in threads:
        thread.join(10)
    assert failures == dict.fromkeys("ABCDEF", 0)
    assert together[1] == 1
    assert limiter.report().requests_made == 6


def test_a_local_problem_is_logged_once_for_a_job_and_not_at_all_for_a_preview(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "backfill.rate_limit")
    job, preview = (limiter_of(MemoryStorage(), replace(LIMITS, max_delay_ms=10), max_wait=p) for p in (None, 5))
    for limiter in (preview, job):
        for _ in range(3):
            refused(limiter, LocalProblem("DNS does not resolve it."))
        with limiter.request():
            pass
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_local_problem_ends_with_the_job_that_is_cancelled() -> None:
    limiter = limiter_of(MemoryStorage(), RateLimits(min_delay_ms=60_000, max_delay_ms=60_000))
    refused(limiter, LocalProblem("DNS does not resolve it."))
    limiter.drain()
    with pytest.raises(Stopped), limiter.request("A"):
        pytest.fail("nothing may be asked")
