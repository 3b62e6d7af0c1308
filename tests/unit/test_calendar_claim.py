"""The claim of the process that reads the calendar: renewals, expiry, and giving way to other processes."""

from __future__ import annotations

from datetime import timedelta

from backfill.domain import CalendarClaim
from tests.unit.fakes import NOW


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def test_a_renewed_claim_keeps_its_beginning() -> None:
    claim = CalendarClaim().claimed("one", NOW).claimed("one", NOW + after(10))
    assert (claim.since, claim.expires_at) == (NOW, NOW + after(25))


def test_a_holder_gives_way_once_its_turn_is_over_and_another_process_waits() -> None:
    claim = CalendarClaim().claimed("one", NOW)
    assert not claim.must_give_way(NOW + after(60))
    wanted = claim.claimed("two", NOW + after(9))
    assert not wanted.must_give_way(NOW + after(9))
    assert wanted.must_give_way(NOW + after(10))
    # The other process has left.
    assert not wanted.must_give_way(NOW + after(18))


def test_a_claim_that_was_made_before_the_clock_was_set_back_is_expired() -> None:
    claim = CalendarClaim().claimed("one", NOW + timedelta(hours=1))
    assert claim.claimed("two", NOW).owner == "two"


def test_only_the_holder_releases_a_claim() -> None:
    claim = CalendarClaim().claimed("one", NOW)
    assert claim.released("two") == claim
    assert claim.released("one") == CalendarClaim()
