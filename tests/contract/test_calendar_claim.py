"""The claim of the process that reads the calendar for previews."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from backfill.domain import CalendarClaim
from backfill.storage import Storage
from tests.factories import NOW


def claim(storage: Storage, owner: str, seconds: float = 0) -> CalendarClaim:
    return storage.calendars.update_claim(lambda claim: claim.claimed(owner, NOW + timedelta(seconds=seconds)))


def now_stored(storage: Storage) -> CalendarClaim:
    return storage.calendars.update_claim(lambda claim: claim)


def test_at_first_no_process_reads_the_calendar(storage: Storage) -> None:
    assert now_stored(storage) == CalendarClaim()


def test_a_claim_is_stored_to_the_microsecond_and_released(storage: Storage) -> None:
    """R1.1"""
    claimed = claim(storage, "one", seconds=0.000001)
    assert now_stored(storage) == claimed
    wanted = claim(storage, "two", seconds=1)
    assert (wanted.owner, wanted.wanted_at) == ("one", NOW + timedelta(seconds=1))
    assert now_stored(storage) == wanted
    assert storage.calendars.update_claim(lambda claim: claim.released("two")) == wanted
    assert storage.calendars.update_claim(lambda claim: claim.released("one")) == CalendarClaim()
    assert now_stored(storage) == CalendarClaim()


def test_an_expired_claim_is_taken_over(storage: Storage) -> None:
    claim(storage, "one")
    assert claim(storage, "two", seconds=14.9).owner == "one"
    assert claim(storage, "two", seconds=15).owner == "two"
    assert claim(storage, "one", seconds=16).owner == "two"


def test_of_processes_that_claim_at_once_one_gets_the_claim(storage: Storage) -> None:
    def compete(owner: str) -> str:
        try:
            return claim(storage, owner).owner
        finally:
            storage.control.disconnect()

    with ThreadPoolExecutor(4) as pool:
        assert len({*pool.map(compete, ("a", "b", "c", "d"))}) == 1
