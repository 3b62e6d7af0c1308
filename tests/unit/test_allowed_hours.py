"""The hours of the day, in local time, in which jobs may send requests."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.domain import AllowedHours

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = timedelta(minutes=1)
NIGHT = AllowedHours(time(22), time(6), BERLIN)

TIMES = st.times().map(lambda at: at.replace(second=0, microsecond=0))
HOURS = st.builds(
    lambda pair, zone: AllowedHours(pair[0], pair[1], ZoneInfo(zone)),
    st.tuples(TIMES, TIMES).filter(lambda pair: pair[0] != pair[1]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
MOMENTS = st.one_of(
    st.timedeltas(timedelta(0), timedelta(days=700)).map(lambda after: datetime(2023, 1, 1, tzinfo=UTC) + after),
    # Around the days on which daylight saving time begins or ends.
    st.builds(
        lambda day, minutes: datetime.fromisoformat(f"{day}T00:00Z") + timedelta(minutes=minutes),
        st.sampled_from(["2024-03-31", "2024-10-27", "2024-03-10", "2024-11-03", "2024-04-06", "2024-10-05"]),
        st.integers(-600, 1800),
    ),
)


def test_allowed_hours_are_parsed_with_their_time_zone() -> None:
    assert AllowedHours.parse("22:00-06:00", "Europe/Berlin") == NIGHT
    assert AllowedHours.parse(" 9:30 - 17:45 ") == AllowedHours(time(9, 30), time(17, 45), ZoneInfo("UTC"))
    assert str(NIGHT) == "22:00-06:00 Europe/Berlin"


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_value_allows_every_hour(text: str) -> None:
    assert AllowedHours.parse(text) is None


@pytest.mark.parametrize("text", ["22-06", "22:00", "24:00-06:00", "22:60-06:00", "night", "22:00-06:00-07:00"])
def test_invalid_allowed_hours_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a period of a day; write one like 22:00-06:00"):
        AllowedHours.parse(text)


def test_a_period_with_equal_start_and_end_is_refused() -> None:
    with pytest.raises(ValueError, match="leave it empty to allow every hour"):
        AllowedHours.parse("06:00-06:00")


@pytest.mark.parametrize("zone", ["", "Berlin", "../etc/passwd", "Europe", "x" * 500, "\0"])
def test_an_invalid_time_zone_is_refused_with_an_example(zone: str) -> None:
    with pytest.raises(ValueError, match="is not a time zone; use a name like UTC or Europe/Berlin"):
        AllowedHours.parse("", zone)


def test_allowed_hours_can_include_midnight() -> None:
    def local(hour: int, minute: int = 0, day: int = 10) -> datetime:
        return datetime(2024, 1, day, hour, minute, tzinfo=BERLIN)

    assert not NIGHT.is_open(local(21, 59))
    assert NIGHT.is_open(local(22))
    assert NIGHT.is_open(local(5, 59))
    assert not NIGHT.is_open(local(6))
    assert NIGHT.opens_at(local(12)) == local(22)
    assert NIGHT.closes_at(local(23)) == local(6, day=11)
    assert NIGHT.opens_at(local(23)) == local(23)


def test_a_change_of_daylight_saving_time_makes_a_night_an_hour_shorter_or_longer() -> None:
    spring, autumn = datetime(2024, 3, 30, 12, tzinfo=UTC), datetime(2024, 10, 26, 12, tzinfo=UTC)
    assert NIGHT.closes_at(NIGHT.opens_at(spring)) - NIGHT.opens_at(spring) == timedelta(hours=7)
    assert NIGHT.closes_at(NIGHT.opens_at(autumn)) - NIGHT.opens_at(autumn) == timedelta(hours=9)


@given(HOURS, MOMENTS)
def test_the_allowed_hours_begin_and_end_in_the_exact_minute_of_local_time(hours: AllowedHours, now: datetime) -> None:
    was_open = hours.is_open(now)
    minute = now.replace(second=0, microsecond=0) + MINUTE
    while hours.is_open(minute) is was_open:
        minute += MINUTE
    assert (hours.closes_at(now) if was_open else hours.opens_at(now)) == minute


@given(HOURS, MOMENTS, st.floats(0, 40))
def test_work_ends_when_its_duration_has_passed_within_the_allowed_hours(
    hours: AllowedHours, now: datetime, periods: float
) -> None:
    opens = hours.opens_at(now)
    working = left = periods * (hours.closes_at(opens) - opens)
    done = hours.after(working, now)
    while True:
        opens = hours.opens_at(now)
        closes = hours.closes_at(opens)
        if left <= closes - opens:
            break
        left, now = left - (closes - opens), closes
    assert done == opens + left


def test_a_wait_of_many_years_is_computed_quickly_and_is_limited_to_valid_dates() -> None:
    """The end is estimated for each record of a job, and a slow first hour can lead to such a long estimate."""
    now = datetime(2024, 1, 10, 12, tzinfo=BERLIN)
    began = process_time()
    decade = NIGHT.after(timedelta(days=10 * 365.25 / 3), now)
    assert abs(decade - datetime(2034, 1, 10, tzinfo=BERLIN)) < timedelta(days=2)
    assert NIGHT.is_open(decade)
    assert NIGHT.after(timedelta.max, now).year == 2125
    assert process_time() - began < 1
