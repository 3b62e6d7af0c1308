"""The contract of every storage for results and for the metadata of snapshots (R1.1)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import pytest

from backfill.domain import SUMMARY, Point, ProgramYear, Result, ResultMetadata, SnapshotMetadata, StoredDay
from backfill.errors import CorruptRecord, LeaseLost
from backfill.storage import Fence, Storage
from tests.contract.backends import Backend
from tests.factories import CLOSE, DAY, NOW, JobFactory, PlanFactory, ResultFactory, SnapshotFactory

NEXT_DAY = DAY + timedelta(days=1)
YEAR = ProgramYear.of(DAY)


def put(storage: Storage, *results: Result) -> None:
    storage.results.put(results)


def results_of(keys: Iterable[tuple[date, str]]) -> list[Result]:
    return [ResultFactory.build(date=day, district=district) for day, district in keys]


def point_of(result: Result) -> Point:
    assert result.point is not None
    return Point(result.date, result.district, result.source_hash, result.schema_version, result.point)


# Metadata of snapshots


def test_the_metadata_of_snapshots_is_ordered_by_date_and_district(storage: Storage) -> None:
    """R5.2"""
    stored = [
        SnapshotFactory.build(district="91"),
        SnapshotFactory.build(district=SUMMARY, is_final=False),
        SnapshotFactory.build(date=NEXT_DAY, district="F", data_month=DAY, as_of=NEXT_DAY, is_final=False),
    ]
    for snapshot in [*reversed(stored), SnapshotFactory.build(date=DAY - timedelta(days=1))]:
        storage.snapshots.put(snapshot)
    in_order = sorted(stored, key=lambda snapshot: (snapshot.date, snapshot.district))
    assert list(storage.snapshots.metadata(DAY, NEXT_DAY)) == [
        SnapshotMetadata(s.date, s.district, s.data_month, s.as_of, s.is_final, s.content_hash) for s in in_order
    ]
    assert list(storage.snapshots.metadata(NEXT_DAY + timedelta(days=1), NEXT_DAY + timedelta(days=9))) == []


def test_the_metadata_changes_when_a_snapshot_is_superseded(storage: Storage) -> None:
    storage.snapshots.put(SnapshotFactory.build(as_of=CLOSE - timedelta(days=1), is_final=False))
    newer = SnapshotFactory.build()
    storage.snapshots.put(newer)
    (facts,) = storage.snapshots.metadata(DAY, DAY)
    assert (facts.as_of, facts.is_final, facts.content_hash) == (CLOSE, True, newer.content_hash)


def test_the_span_is_from_the_first_to_the_last_stored_date(storage: Storage) -> None:
    assert storage.snapshots.span() is None
    storage.snapshots.put(SnapshotFactory.build(date=NEXT_DAY))
    assert storage.snapshots.span() == (NEXT_DAY, NEXT_DAY)
    storage.snapshots.put(SnapshotFactory.build())
    assert storage.snapshots.span() == (DAY, NEXT_DAY)


def test_the_days_list_the_stored_final_and_computed_districts_of_each_date(storage: Storage) -> None:
    """A result that was computed from an earlier version of a snapshot does not count."""
    close, day = SnapshotFactory.build(), SnapshotFactory.build(date=NEXT_DAY, district="F", is_final=False)
    for snapshot in [close, day, SnapshotFactory.build(district="02"), SnapshotFactory.build(date=DAY - timedelta(1))]:
        storage.snapshots.put(snapshot)
    put(
        storage,
        ResultFactory.build(source_hash=close.content_hash),
        ResultFactory.build(district="02", source_hash="of another content"),
        ResultFactory.build(date=NEXT_DAY, district="F", source_hash=day.content_hash),
        ResultFactory.build(district="77"),
    )
    assert list(storage.snapshots.days(DAY, NEXT_DAY)) == [
        StoredDay(
            date=DAY, snapshots=frozenset({"01", "02"}), final=frozenset({"01", "02"}), analysed=frozenset({"01"})
        ),
        StoredDay(date=NEXT_DAY, snapshots=frozenset({"F"}), final=frozenset(), analysed=frozenset({"F"})),
    ]
    assert list(storage.snapshots.days(NEXT_DAY + timedelta(days=1), NEXT_DAY + timedelta(days=9))) == []


# Results


@pytest.mark.parametrize("district", ["01", "F", SUMMARY])
def test_a_result_is_stored_unchanged(storage: Storage, district: str) -> None:
    """R1.1, R2.3"""
    result = ResultFactory.build(district=district)
    put(storage, result)
    assert storage.results.get(DAY, district) == result
    assert storage.results.get(NEXT_DAY, district) is None


def test_a_result_replaces_the_previous_one(storage: Storage) -> None:
    before = ResultFactory.build(quality={"ROW_REPEATED": 2})
    after = ResultFactory.build(
        program_year=ProgramYear(before.program_year.start + 1),
        source_hash="c" * 64,
        schema_version=before.schema_version + 1,
        input_digest="d" * 64,
        computed_at=before.computed_at + timedelta(days=1),
        quality={},
        point=None,
        body=b"{}",
    )
    put(storage, before, ResultFactory.build(district="02"))
    put(storage, after)
    put(storage, after)
    assert storage.results.get(DAY, "01") == after
    assert len(list(storage.results.metadata(DAY, DAY))) == 2


def test_several_results_of_a_date_are_read_at_once_without_missing_and_damaged_ones(
    storage: Storage, backend: Backend
) -> None:
    results = results_of([(DAY, "01"), (DAY, "02"), (DAY, "F")])
    put(storage, *results, ResultFactory.build(date=NEXT_DAY))
    backend.damage_result(DAY, "02")
    assert storage.results.get_several(DAY, ["01", "02", "F", "77"]) == {"01": results[0], "F": results[2]}
    assert storage.results.get_several(DAY, []) == {}


def test_an_empty_list_of_results_can_be_stored(storage: Storage) -> None:
    put(storage)
    assert list(storage.results.metadata(DAY, DAY)) == []


def test_a_runner_that_lost_its_claim_cannot_store_results(storage: Storage) -> None:
    """R3.3"""
    job = storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job
    held = storage.jobs.update(job.id, lambda job: job.claimed("one", NOW)).after
    results = results_of([(DAY, "01"), (DAY, "02")])
    storage.results.put(results[:1], fence=Fence(job.id, held.token))
    with pytest.raises(LeaseLost):
        storage.results.put(results, fence=Fence(job.id, held.token - 1))
    assert [facts.district for facts in storage.results.metadata(DAY, DAY)] == ["01"]


def test_the_metadata_of_results_is_ordered_by_date_and_district(storage: Storage) -> None:
    results = results_of([(NEXT_DAY, "01"), (DAY, "F"), (DAY, SUMMARY), (DAY, "02"), (DAY - timedelta(days=1), "01")])
    put(storage, *results)
    in_order = sorted(results[:4], key=lambda result: (result.date, result.district))
    assert list(storage.results.metadata(DAY, NEXT_DAY)) == [
        ResultMetadata(r.date, r.district, r.input_digest, r.source_hash, r.schema_version, r.job_id) for r in in_order
    ]


def test_points_are_found_by_date_and_district(storage: Storage) -> None:
    stored = results_of([(DAY, "01"), (NEXT_DAY, "02"), (DAY, "02"), (DAY, SUMMARY)])
    put(storage, *stored)
    requested = [(DAY, "01"), (NEXT_DAY, "02"), (NEXT_DAY, "01"), (DAY, "77"), (DAY, SUMMARY)]
    assert dict(storage.results.points(requested)) == {
        (DAY, "01"): point_of(stored[0]),
        (NEXT_DAY, "02"): point_of(stored[1]),
    }
    assert dict(storage.results.points([])) == {}


def test_the_points_of_many_keys_are_found(storage: Storage) -> None:
    keys = [(DAY + timedelta(days=n), f"{district:02d}") for n in range(5) for district in range(1, 61)]
    put(storage, *results_of(keys))
    assert set(storage.results.points(keys)) == set(keys)


def test_a_series_contains_one_district_and_one_program_year_oldest_first(storage: Storage) -> None:
    results = results_of(
        [(NEXT_DAY, "01"), (DAY, "01"), (DAY, "02"), (date(2024, 7, 31), "01"), (date(2023, 6, 30), "01")]
    )
    early_july = ResultFactory.build(date=date(2024, 7, 4), program_year=YEAR)
    put(storage, *results, early_july)
    assert storage.results.series("01", YEAR) == [point_of(results[1]), point_of(results[0]), point_of(early_july)]
    assert storage.results.series("77", YEAR) == []


def test_the_years_of_a_district_are_the_distinct_years_of_its_results_newest_first(storage: Storage) -> None:
    july = date(2022, 7, 31)
    put(storage, *results_of([(date(2019, 6, 30), "01"), (DAY, "01"), (july, "01"), (date(2022, 8, 31), "01")]))
    put(storage, *results_of([(july, "02"), (DAY, SUMMARY)]))
    assert list(storage.results.years("01")) == [YEAR, ProgramYear(2022), ProgramYear(2018)]
    assert list(storage.results.years("02")) == [ProgramYear(2022)]
    assert list(storage.results.years(SUMMARY)) == [YEAR]
    assert next(storage.results.years("77"), None) is None


def test_the_error_for_an_unreadable_result_names_it_and_the_others_stay_readable(
    storage: Storage, backend: Backend
) -> None:
    put(storage, *results_of([(DAY, "01"), (DAY, "02")]))
    backend.damage_result(DAY, "01")
    with pytest.raises(CorruptRecord, match=f"result {DAY}/01"):
        storage.results.get(DAY, "01")
    assert len(list(storage.results.metadata(DAY, DAY))) == 2
    put(storage, ResultFactory.build())
    assert storage.results.get(DAY, "01") is not None
