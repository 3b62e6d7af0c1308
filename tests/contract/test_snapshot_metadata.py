"""The metadata of years of snapshots and results, with any index that an adapter keeps for it (R1.1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import groupby

from backfill.domain import SUMMARY, Result, ResultMetadata, Snapshot, SnapshotMetadata
from backfill.storage import Storage
from tests.factories import NOW, ResultFactory, SnapshotFactory, reports_for

EVERYTHING = date.min, date.max
DAYS = [date(2022, 11, 30), date(2023, 1, 31), date(2023, 2, 1), date(2023, 2, 28), date(2024, 7, 5)]
DISTRICTS = ("01", "F", SUMMARY)

Snapshots = dict[tuple[date, str], Snapshot]
Results = dict[tuple[date, str], Result]


def snapshot_of(day: date, district: str, mark: str = "", **fields: object) -> Snapshot:
    return SnapshotFactory.build(
        date=day, district=district, as_of=day, is_final=False, reports=reports_for(district, mark), **fields
    )


def fill_all(storage: Storage) -> tuple[Snapshots, Results]:
    snapshots = {(day, district): snapshot_of(day, district) for day in DAYS for district in DISTRICTS}
    results = {
        key: ResultFactory.build(date=key[0], district=key[1], source_hash=snapshot.content_hash)
        for key, snapshot in snapshots.items()
    }
    for snapshot in snapshots.values():
        assert storage.snapshots.put(snapshot)
    storage.results.put([*results.values()])
    return snapshots, results


def facts_of(snapshots: Snapshots, first: date = date.min, last: date = date.max) -> list[SnapshotMetadata]:
    return [
        SnapshotMetadata(s.date, s.district, s.data_month, s.as_of, s.is_final, s.content_hash)
        for (day, _), s in sorted(snapshots.items())
        if first <= day <= last
    ]


def assert_metadata(storage: Storage, snapshots: Snapshots, results: Results) -> None:
    """Assert that each list contains what was stored, for all dates and for parts of them, at repeated reads."""
    parts = [EVERYTHING, (DAYS[1], DAYS[3]), (DAYS[2], DAYS[-1] - timedelta(days=1)), (DAYS[0], DAYS[0])]
    for first, last in [*parts, *parts]:
        assert list(storage.snapshots.metadata(first, last)) == facts_of(snapshots, first, last)
        assert list(storage.results.metadata(first, last)) == [
            ResultMetadata(r.date, r.district, r.input_digest, r.source_hash, r.schema_version, r.job_id)
            for (day, _), r in sorted(results.items())
            if first <= day <= last
        ]
        editions = {
            (edition.date, district, edition.as_of, edition.is_final, edition.job_id)
            for edition in storage.snapshots.editions(first, last)
            for district in edition.districts
        }
        assert editions == {
            (s.date, s.district, s.as_of, s.is_final, s.job_id) for s in snapshots.values() if first <= s.date <= last
        }
        days = {day.date: day for day in storage.snapshots.days(first, last)}
        assert [*days] == sorted({facts.date for facts in facts_of(snapshots, first, last)})
        for day, group in groupby(facts_of(snapshots, first, last), key=lambda facts: facts.date):
            stored = {facts.district: facts.content_hash for facts in group}
            assert days[day].snapshots == stored.keys()
            assert days[day].analysed == {
                district
                for district, content in stored.items()
                if (day, district) in results and results[day, district].source_hash == content
            }


def test_the_metadata_of_years_reflects_each_stored_and_replaced_snapshot(storage: Storage) -> None:
    snapshots, results = fill_all(storage)
    assert_metadata(storage, snapshots, results)

    def put(snapshot: Snapshot) -> None:
        assert storage.snapshots.put(snapshot)
        snapshots[snapshot.date, snapshot.district] = snapshot

    put(snapshot_of(DAYS[1], "F", "other figures", fetched_at=NOW + timedelta(days=1)))
    assert_metadata(storage, snapshots, results)
    put(snapshot_of(date(2023, 2, 14), "01"))
    put(snapshot_of(date(2021, 1, 1), "99"))
    put(snapshot_of(date(2025, 12, 31), "99"))
    assert_metadata(storage, snapshots, results)
    kept = snapshots[DAYS[1], "F"]
    assert not storage.snapshots.put(replace(kept, as_of=kept.as_of - timedelta(days=1)))
    assert_metadata(storage, snapshots, results)
    replaced = ResultFactory.build(date=DAYS[3], district="01", source_hash="of nothing stored", input_digest="d" * 32)
    without_snapshots = [
        ResultFactory.build(date=day, district="01") for day in (date(2022, 11, 29), date(2023, 1, 15))
    ]
    storage.results.put([replaced, *without_snapshots])
    results.update({(result.date, result.district): result for result in [replaced, *without_snapshots]})
    assert_metadata(storage, snapshots, results)


def test_an_empty_store_has_no_metadata(storage: Storage) -> None:
    assert_metadata(storage, {}, {})
