"""The reduced rate: halved if the dashboard asks for fewer requests, restored by a tenth of the limit each minute."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.domain import Pace, RateLimits, RequestSchedule
from tests.unit.fakes import NOW

MINUTE = timedelta(minutes=1)


def test_the_rate_is_not_reduced_by_default() -> None:
    assert Pace().share(NOW) == 1
    assert Pace().recovers_at(NOW) is None


def test_the_rate_halves_and_recovers_by_a_tenth_a_minute() -> None:
    pace = Pace().slowed(NOW, NOW)
    shares = [round(pace.share(NOW + n * MINUTE), 6) for n in range(7)]
    assert shares == [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0]
    assert pace.recovers_at(NOW) == NOW + 5 * MINUTE
    assert pace.recovers_at(NOW + 5 * MINUTE) is None


def test_the_next_reduction_halves_the_recovered_rate() -> None:
    later = NOW + 2 * MINUTE
    assert Pace().slowed(NOW, NOW).slowed(later, later).share(later) == pytest.approx(0.35)


def test_refusals_of_concurrent_requests_reduce_the_rate_only_once() -> None:
    answered = NOW + timedelta(seconds=3)
    pace = Pace().slowed(NOW, answered)
    assert pace.slowed(NOW + timedelta(seconds=1), answered + timedelta(seconds=1)) is pace
    again = answered + timedelta(seconds=2)
    assert pace.slowed(again, again).share(again) < 0.26


def test_a_reduction_with_a_time_in_the_future_expires() -> None:
    pace = Pace().slowed(NOW, NOW)
    assert pace.share(NOW - timedelta(hours=1)) == 1
    assert pace.share(NOW - MINUTE) == 0.5


@given(st.lists(st.floats(0, 20), max_size=30))
def test_the_share_stays_above_zero_and_at_most_half_after_a_reduction(minutes: list[float]) -> None:
    pace, now = Pace(), NOW
    for after in minutes:
        now += after * MINUTE
        pace = pace.slowed(now, now)
        assert 0 < pace.share(now) <= 0.5
    assert pace.share(now + 10 * MINUTE) == 1


@pytest.mark.parametrize("requests", [1, 30, 6000])
def test_the_reduced_rate_is_at_least_one_request_a_minute(requests: int) -> None:
    limits = RateLimits(max_requests_per_minute=requests, min_delay_ms=0)
    assert limits.interval_at(1) == limits.interval
    assert limits.interval_at(0.5) == max(min(2 * limits.interval, MINUTE), limits.interval)
    assert limits.interval_at(1e-9) == max(MINUTE, limits.interval)


def test_the_request_schedule_keeps_the_reduced_rate_with_reservations_and_holds() -> None:
    schedule, _ = RequestSchedule().slowed(NOW, NOW).held(NOW + MINUTE, "asked to wait", NOW).reserved(MINUTE, NOW)
    assert schedule.given_back(NOW + MINUTE, NOW).pace.share(NOW) == 0.5
