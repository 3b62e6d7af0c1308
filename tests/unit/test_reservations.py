"""The starts of one process: the used share of the limit, and the requests in any minute."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import timedelta
from itertools import cycle, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.domain import RateLimits, RequestSchedule
from backfill.rate_limit.reservations import LATENESS, Reservations
from tests.unit.fakes import NOW


def starts(limits: RateLimits, seconds: float, lateness: Iterator[float]) -> list[float]:
    """The starts of a process that always has a request to send, whose thread wakes up late by these seconds."""
    reservations, schedule, now, times = Reservations(), RequestSchedule(), 0.0, []
    interval, shortest = limits.interval.total_seconds(), limits.min_delay_ms / 1000
    while now < seconds:
        wall = NOW + timedelta(seconds=now)
        if reservations.may_start(interval, now):
            reservations.started(interval, now, shortest=shortest)
            times.append(now)
        elif reservations.need_another(interval, now):
            schedule, reservation = schedule.reserved(reservations.length(interval), wall)
            reservations.taken(reservation, now, wall)
        else:
            reservations.is_awaited = True
            now = reservations.next_start + next(lateness) + 1e-6  # the time of day has whole microseconds
    return times


def most_in_a_minute(times: list[float]) -> int:
    return max(bisect_left(times, start + 60) - first for first, start in enumerate(times))


LIMITS = [RateLimits(max_requests_per_minute=600, min_delay_ms=0), RateLimits(max_requests_per_minute=60)]


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("lateness", [[0.0], [0.005], [LATENESS], [0.0, LATENESS]])
def test_a_job_uses_99_percent_of_the_limit_in_ten_minutes(limits: RateLimits, lateness: list[float]) -> None:
    """R12.1: from the first to the last start, also if each thread wakes up late."""
    times = starts(limits, 600, cycle(lateness))
    share = (len(times) - 1) / (times[-1] - times[0]) * 60 / limits.max_requests_per_minute
    assert 0.99 <= share <= 1


@given(
    st.sampled_from([*LIMITS, RateLimits(max_requests_per_minute=6000, min_delay_ms=0)]),
    st.lists(st.one_of(st.floats(0, LATENESS), st.floats(0, 2)), min_size=1, max_size=40),
)
def test_late_starts_never_exceed_the_limit_in_any_minute(limits: RateLimits, lateness: list[float]) -> None:
    """R12.1"""
    times = starts(limits, 130, cycle(lateness))
    assert most_in_a_minute(times) <= limits.max_requests_per_minute


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_late_starts_keep_the_shortest_delay(lateness: list[float]) -> None:
    limits = RateLimits(max_requests_per_minute=60, min_delay_ms=1000)
    times = starts(limits, 30, cycle(lateness))
    assert min(later - earlier for earlier, later in pairwise(times)) >= 1.0
