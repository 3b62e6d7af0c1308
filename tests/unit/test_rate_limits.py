"""The operator's rate limits, the delays after failures, and the request schedule that all processes share."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.domain import BOUNDS, LIMIT_NAMES, RateLimits, RequestSchedule, camel
from backfill.errors import InvalidRequest
from tests.unit.fakes import NOW, limits_of

LIMITS = st.builds(
    lambda requests, concurrent, delays, multiplier: RateLimits(
        max_requests_per_minute=requests,
        max_concurrent=concurrent,
        min_delay_ms=min(delays),
        max_delay_ms=max(delays),
        backoff_multiplier=multiplier,
    ),
    st.integers(1, 6000),
    st.integers(1, 32),
    st.tuples(st.integers(0, 60_000), st.integers(0, 300_000)).map(lambda pair: (min(pair[0], pair[1]), pair[1])),
    st.floats(1, 10),
)


def test_the_default_limits_are_low() -> None:
    """R12.1"""
    assert RateLimits().to_dict() == {
        "max_requests_per_minute": 60,
        "max_concurrent": 3,
        "min_delay_ms": 500,
        "max_delay_ms": 30_000,
        "backoff_multiplier": 2,
    }
    assert set(LIMIT_NAMES) == set(BOUNDS)
    assert camel("max_requests_per_minute") == "maxRequestsPerMinute"


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_each_limit_is_accepted_up_to_its_bounds_and_refused_beyond(name: str) -> None:
    """R12.2"""
    low, high = BOUNDS[name]
    wide_limits = limits_of(min_delay_ms=0, max_delay_ms=300_000)
    for value in (low, high):
        limits = RateLimits(min_delay_ms=0) if name == "max_delay_ms" else wide_limits
        assert getattr(limits.changed({name: value}), name) == value
    for value in (low - 1, high + 1):
        with pytest.raises(InvalidRequest, match="must be between") as raised:
            wide_limits.changed({name: value})
        assert set(raised.value.details or ()) == {camel(name)}


def test_every_invalid_field_is_named() -> None:
    with pytest.raises(InvalidRequest) as raised:
        RateLimits().changed({"max_concurrent": 33, "max_requests_per_minute": 6001, "min_delay_ms": 1})
    assert set(raised.value.details or ()) == {"maxConcurrent", "maxRequestsPerMinute"}
    assert "maxConcurrent must be between 1 and 32; it was 33." in raised.value.message


@pytest.mark.parametrize(
    "changes", [{"min_delay_ms": 30_001}, {"max_delay_ms": 499}, {"min_delay_ms": 2, "max_delay_ms": 1}]
)
def test_the_shortest_delay_must_not_exceed_the_longest_delay(changes: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest, match="must not be greater than maxDelayMs"):
        RateLimits().changed(changes)


@given(LIMITS)
def test_the_interval_respects_the_rate_and_the_shortest_delay(limits: RateLimits) -> None:
    """R12.1: no period of 60 seconds contains more requests than the limit."""
    assert limits.interval * limits.max_requests_per_minute >= timedelta(seconds=60)
    assert limits.interval >= timedelta(milliseconds=limits.min_delay_ms)
    pace = timedelta(minutes=1) / limits.max_requests_per_minute
    assert limits.interval <= max(pace * 1.01, timedelta(milliseconds=limits.min_delay_ms))


@given(LIMITS)
def test_the_displayed_requests_per_minute_match_the_interval(limits: RateLimits) -> None:
    assert limits.max_per_minute == pytest.approx(timedelta(minutes=1) / limits.interval, rel=0.006)


@given(LIMITS, st.integers(1, 10_000), st.floats(0, 1))
def test_a_backoff_is_between_the_shortest_and_the_longest_delay(
    limits: RateLimits,
    failures: int,
    jitter: float,
) -> None:
    wait = limits.backoff(failures, jitter)
    assert wait >= timedelta(milliseconds=max(limits.min_delay_ms, min(limits.max_delay_ms, 100) / 2))
    assert wait <= timedelta(milliseconds=limits.max_delay_ms)


@given(LIMITS, st.integers(1, 60), st.floats(0, 1))
def test_a_backoff_grows_with_the_failures_up_to_the_longest_delay(
    limits: RateLimits,
    failures: int,
    jitter: float,
) -> None:
    assert limits.backoff(failures + 1, jitter) >= limits.backoff(failures, jitter)


def test_a_backoff_doubles_with_the_default_limits() -> None:
    waits = [RateLimits().backoff(failures, 1.0).total_seconds() for failures in range(1, 9)]
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    assert RateLimits().backoff(3, 0.0).total_seconds() == 2


@given(LIMITS, LIMITS)
def test_combining_two_limits_takes_the_lower_value_of_each_field(one: RateLimits, other: RateLimits) -> None:
    both = one.lowered(other)
    assert both == other.lowered(one)
    assert both.lowered(one) == both
    assert both.interval >= max(one.interval, other.interval)
    assert both.max_concurrent <= min(one.max_concurrent, other.max_concurrent)


# The request schedule.

SECONDS = st.floats(0, 90, allow_nan=False)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), SECONDS, st.floats(0.01, 3)),
        st.tuples(st.just("hold"), SECONDS, st.floats(0, 7200)),
        st.tuples(st.just("give back"), SECONDS, st.floats(0, 3)),
    ),
    max_size=40,
)


@given(STEPS)
def test_reservations_never_overlap_and_none_lies_in_a_known_hold(steps: list[tuple[str, float, float]]) -> None:
    """R12.1: this holds for any sequence of reservations, holds and returned reservations."""
    schedule, now = RequestSchedule(), NOW
    reservations: list[tuple[datetime, datetime]] = []
    for action, seconds, argument in steps:
        now += timedelta(seconds=seconds)
        if action == "reserve":
            schedule, reservation = schedule.reserved(timedelta(seconds=argument), now)
            assert reservation.starts_at >= now
            assert reservation.starts_at >= (schedule.hold(now) or now)
            assert reservation.ends_at - reservation.starts_at == timedelta(seconds=argument)
            reservations.append((reservation.starts_at, reservation.ends_at))
        elif action == "hold":
            schedule = schedule.held(now + timedelta(seconds=argument), "asked to wait", now)
        elif reservations:  # the owner returns the last reservation after some use
            starts, ends = reservations[-1]
            free = max(starts, min(ends, now + timedelta(seconds=argument)))
            schedule = schedule.given_back(ends, free)
            reservations[-1] = (starts, free)
    in_order = sorted(reservations)
    assert all(one[1] <= other[0] for one, other in pairwise(in_order))


def test_a_reservation_is_not_returned_if_a_later_one_follows_it() -> None:
    one, first = RequestSchedule().reserved(timedelta(seconds=2), NOW)
    two, second = one.reserved(timedelta(seconds=2), NOW)
    assert second.starts_at == first.ends_at
    assert two.given_back(first.ends_at, NOW) == two
    assert two.given_back(second.ends_at, first.ends_at).free_at(NOW) == first.ends_at


def test_returning_a_reservation_never_extends_it() -> None:
    schedule, reservation = RequestSchedule().reserved(timedelta(seconds=2), NOW)
    assert schedule.given_back(reservation.ends_at, NOW + timedelta(seconds=9)).reserved_until == reservation.ends_at


@given(st.floats(0, 300), st.floats(0, 10**7))
def test_a_clock_that_was_set_back_blocks_requests_for_at_most_five_minutes(ahead: float, back: float) -> None:
    schedule, _ = RequestSchedule().reserved(timedelta(seconds=ahead), NOW)
    earlier = NOW - timedelta(seconds=back)
    assert schedule.free_at(earlier) - earlier <= timedelta(minutes=5)


def test_a_hold_from_a_clock_that_is_fast_keeps_its_length_and_starts_now() -> None:
    """Found by the chaos campaign: a runner whose clock was an hour slow waited an hour instead of two seconds."""
    held = RequestSchedule().held(NOW + timedelta(seconds=2), "asked to wait", NOW)
    behind = NOW - timedelta(hours=1)
    assert held.hold(behind) == behind + timedelta(seconds=2)
    after, reservation = held.reserved(timedelta(seconds=1), behind)
    assert reservation.starts_at == behind + timedelta(seconds=2)
    assert after.hold(behind + timedelta(seconds=1)) == behind + timedelta(seconds=2)
    assert after.hold(behind + timedelta(seconds=2)) is None


def test_a_longer_hold_replaces_one_from_a_clock_that_is_fast() -> None:
    behind = NOW - timedelta(hours=1)
    held = RequestSchedule().held(NOW + timedelta(seconds=2), "a short one", NOW)
    longer = held.held(behind + timedelta(minutes=1), "a longer one", behind)
    assert (longer.hold(behind), longer.hold_reason) == (behind + timedelta(minutes=1), "a longer one")


def test_a_hold_ends_at_its_time_and_the_longest_hold_applies() -> None:
    schedule = (
        RequestSchedule().held(NOW + timedelta(seconds=9), "long", NOW).held(NOW + timedelta(seconds=3), "short", NOW)
    )
    assert schedule.hold_reason == "long"
    assert schedule.hold(NOW + timedelta(seconds=8)) == NOW + timedelta(seconds=9)
    assert schedule.hold(NOW + timedelta(seconds=9)) is None
    assert schedule.held(NOW + timedelta(seconds=10), "longer", NOW).hold_reason == "longer"


def test_a_hold_lasts_at_most_a_day() -> None:
    schedule = RequestSchedule().held(NOW + timedelta(days=30), "asked to wait for a month", NOW)
    assert schedule.hold(NOW) == NOW + timedelta(hours=24)
