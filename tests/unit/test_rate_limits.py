"""The limits an operator sets, how long failures wait, and the timeline that all processes share."""

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


def test_the_limits_that_nobody_has_set_are_gentle() -> None:
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
def test_each_limit_can_be_set_to_its_bounds_and_no_further(name: str) -> None:
    """R12.2"""
    low, high = BOUNDS[name]
    roomy = limits_of(min_delay_ms=0, max_delay_ms=300_000)
    for value in (low, high):
        limits = RateLimits(min_delay_ms=0) if name == "max_delay_ms" else roomy
        assert getattr(limits.changed({name: value}), name) == value
    for value in (low - 1, high + 1):
        with pytest.raises(InvalidRequest, match="must be between") as refused:
            roomy.changed({name: value})
        assert set(refused.value.details or ()) == {camel(name)}


def test_every_field_that_is_wrong_is_named() -> None:
    with pytest.raises(InvalidRequest) as refused:
        RateLimits().changed({"max_concurrent": 33, "max_requests_per_minute": 6001, "min_delay_ms": 1})
    assert set(refused.value.details or ()) == {"maxConcurrent", "maxRequestsPerMinute"}
    assert "maxConcurrent must be between 1 and 32; it was 33." in refused.value.message


@pytest.mark.parametrize(
    "changes", [{"min_delay_ms": 30_001}, {"max_delay_ms": 499}, {"min_delay_ms": 2, "max_delay_ms": 1}]
)
def test_the_shortest_delay_must_not_be_longer_than_the_longest(changes: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest, match="must not be greater than maxDelayMs"):
        RateLimits().changed(changes)


@given(LIMITS)
def test_an_interval_keeps_to_the_pace_and_to_the_shortest_delay(limits: RateLimits) -> None:
    """R12.1: no 60 seconds see more starts than the limit."""
    assert limits.interval * limits.max_requests_per_minute >= timedelta(seconds=60)
    assert limits.interval >= timedelta(milliseconds=limits.min_delay_ms)
    pace = timedelta(minutes=1) / limits.max_requests_per_minute
    assert limits.interval <= max(pace * 1.01, timedelta(milliseconds=limits.min_delay_ms))


@given(LIMITS)
def test_what_is_said_to_be_allowed_a_minute_is_what_the_interval_allows(limits: RateLimits) -> None:
    assert limits.max_per_minute == pytest.approx(timedelta(minutes=1) / limits.interval, rel=0.006)


@given(LIMITS, st.integers(1, 10_000), st.floats(0, 1))
def test_a_backoff_stays_between_the_shortest_and_the_longest_delay(
    limits: RateLimits,
    failures: int,
    jitter: float,
) -> None:
    wait = limits.backoff(failures, jitter)
    assert wait >= timedelta(milliseconds=max(limits.min_delay_ms, min(limits.max_delay_ms, 100) / 2))
    assert wait <= timedelta(milliseconds=limits.max_delay_ms)


@given(LIMITS, st.integers(1, 60), st.floats(0, 1))
def test_a_backoff_grows_with_the_failures_until_it_is_the_longest(
    limits: RateLimits,
    failures: int,
    jitter: float,
) -> None:
    assert limits.backoff(failures + 1, jitter) >= limits.backoff(failures, jitter)


def test_a_backoff_doubles_under_the_limits_that_nobody_has_set() -> None:
    waits = [RateLimits().backoff(failures, 1.0).total_seconds() for failures in range(1, 9)]
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    assert RateLimits().backoff(3, 0.0).total_seconds() == 2


@given(LIMITS, LIMITS)
def test_the_gentler_of_two_limits_is_gentle_in_every_respect(one: RateLimits, other: RateLimits) -> None:
    both = one.lowered(other)
    assert both == other.lowered(one)
    assert both.lowered(one) == both
    assert both.interval >= max(one.interval, other.interval)
    assert both.max_concurrent <= min(one.max_concurrent, other.max_concurrent)


# The timeline.

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
def test_turns_never_overlap_and_none_lies_in_a_hold_that_was_known(steps: list[tuple[str, float, float]]) -> None:
    """R12.1: whoever reserves, holds or gives back at whatever time."""
    schedule, now = RequestSchedule(), NOW
    reservations: list[tuple[datetime, datetime]] = []
    for verb, seconds, argument in steps:
        now += timedelta(seconds=seconds)
        if verb == "reserve":
            schedule, reservation = schedule.reserved(timedelta(seconds=argument), now)
            assert reservation.starts_at >= now
            assert reservation.starts_at >= (schedule.hold(now) or now)
            assert reservation.ends_at - reservation.starts_at == timedelta(seconds=argument)
            reservations.append((reservation.starts_at, reservation.ends_at))
        elif verb == "hold":
            schedule = schedule.held(now + timedelta(seconds=argument), "asked to wait", now)
        elif reservations:  # the last turn's owner has used it for a while, and not beyond now
            starts, ends = reservations[-1]
            free = max(starts, min(ends, now + timedelta(seconds=argument)))
            schedule = schedule.given_back(ends, free)
            reservations[-1] = (starts, free)
    in_order = sorted(reservations)
    assert all(one[1] <= other[0] for one, other in pairwise(in_order))


def test_a_turn_that_somebody_reserved_behind_is_not_taken_back() -> None:
    one, first = RequestSchedule().reserved(timedelta(seconds=2), NOW)
    two, second = one.reserved(timedelta(seconds=2), NOW)
    assert second.starts_at == first.ends_at
    assert two.given_back(first.ends_at, NOW) == two
    assert two.given_back(second.ends_at, first.ends_at).free_at(NOW) == first.ends_at


def test_giving_back_never_reserves_more() -> None:
    schedule, reservation = RequestSchedule().reserved(timedelta(seconds=2), NOW)
    assert schedule.given_back(reservation.ends_at, NOW + timedelta(seconds=9)).reserved_until == reservation.ends_at


@given(st.floats(0, 300), st.floats(0, 10**7))
def test_a_clock_that_was_set_back_blocks_for_five_minutes_at_most(ahead: float, back: float) -> None:
    schedule, _ = RequestSchedule().reserved(timedelta(seconds=ahead), NOW)
    earlier = NOW - timedelta(seconds=back)
    assert schedule.free_at(earlier) - earlier <= timedelta(minutes=5)


def test_a_hold_said_by_a_clock_that_is_ahead_is_as_long_as_it_was_and_counts_from_now() -> None:
    """Found by the campaign: a runner whose clock was an hour behind took two seconds of waiting for an hour."""
    said = RequestSchedule().held(NOW + timedelta(seconds=2), "asked to wait", NOW)
    behind = NOW - timedelta(hours=1)
    assert said.hold(behind) == behind + timedelta(seconds=2)
    after, reservation = said.reserved(timedelta(seconds=1), behind)
    assert reservation.starts_at == behind + timedelta(seconds=2)
    assert after.hold(behind + timedelta(seconds=1)) == behind + timedelta(seconds=2)
    assert after.hold(behind + timedelta(seconds=2)) is None


def test_a_longer_hold_replaces_one_that_was_said_by_a_clock_that_is_ahead() -> None:
    behind = NOW - timedelta(hours=1)
    said = RequestSchedule().held(NOW + timedelta(seconds=2), "a short one", NOW)
    longer = said.held(behind + timedelta(minutes=1), "a longer one", behind)
    assert (longer.hold(behind), longer.hold_reason) == (behind + timedelta(minutes=1), "a longer one")


def test_a_hold_ends_in_its_moment_and_the_longer_one_wins() -> None:
    schedule = (
        RequestSchedule().held(NOW + timedelta(seconds=9), "long", NOW).held(NOW + timedelta(seconds=3), "short", NOW)
    )
    assert schedule.hold_reason == "long"
    assert schedule.hold(NOW + timedelta(seconds=8)) == NOW + timedelta(seconds=9)
    assert schedule.hold(NOW + timedelta(seconds=9)) is None
    assert schedule.held(NOW + timedelta(seconds=10), "longer", NOW).hold_reason == "longer"


def test_nobody_is_left_alone_for_longer_than_a_day() -> None:
    schedule = RequestSchedule().held(NOW + timedelta(days=30), "asked to wait for a month", NOW)
    assert schedule.hold(NOW) == NOW + timedelta(hours=24)
