"""The contract of every snapshot storage. The fixture `storage` is parametrized by adapter (R1.1)."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest

from backfill.domain import (
    SUMMARY,
    CalendarMonth,
    Report,
    ReportName,
    Snapshot,
    SnapshotFilter,
    StoredEdition,
    month_ends,
)
from backfill.errors import CorruptRecord, JobConflict, LeaseLost
from backfill.storage import Fence, Storage
from tests.contract.backends import Backend
from tests.factories import (
    CLOSE,
    DAY,
    NOW,
    AuditEntryFactory,
    CalendarMonthFactory,
    JobFactory,
    PlanFactory,
    SnapshotFactory,
    named_job,
    report_of,
    reports_for,
)

LATER = NOW + timedelta(hours=1)


def without_bytes(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot as in a list: without the bytes."""
    return replace(snapshot, reports={name: replace(r, content=b"") for name, r in snapshot.reports.items()})


def put_all(storage: Storage, snapshots: Iterable[Snapshot]) -> None:
    for snapshot in snapshots:
        assert storage.snapshots.put(snapshot)


# Put and get


@pytest.mark.parametrize("district", ["01", "F", SUMMARY])
def test_a_snapshot_is_stored_unchanged(storage: Storage, district: str) -> None:
    """R1.1, R1.5"""
    snapshot = SnapshotFactory.build(district=district)
    assert storage.snapshots.put(snapshot)
    assert storage.snapshots.get(DAY, district) == snapshot


def test_the_exact_bytes_of_reports_are_stored(storage: Storage) -> None:
    """R1.1: any bytes, each report under its own name."""
    contents = {
        ReportName.DIVISIONS: b"",
        ReportName.CLUBS: bytes(range(256)) * 20 + b"\r\n\r\n",
        ReportName.DISTRICT: '\ufeff"Caf\u00e9"\r\n'.encode(),
    }
    snapshot = SnapshotFactory.build(reports={name: report_of(content) for name, content in contents.items()})
    storage.snapshots.put(snapshot)
    stored = storage.snapshots.get(DAY, "01")
    assert stored is not None
    assert {name: report.content for name, report in stored.reports.items()} == contents
    assert stored.content_hash == snapshot.content_hash


def test_the_result_for_a_missing_snapshot_is_none(storage: Storage) -> None:
    storage.snapshots.put(SnapshotFactory.build())
    assert storage.snapshots.get(DAY, "02") is None
    assert storage.snapshots.get(DAY - timedelta(days=1), "01") is None


def test_storing_the_same_snapshot_again_changes_nothing(storage: Storage) -> None:
    """R1.1: items may run twice after a kill."""
    first = SnapshotFactory.build()
    assert storage.snapshots.put(first)
    assert not storage.snapshots.put(first)
    assert not storage.snapshots.put(replace(first, fetched_at=LATER, job_id=uuid4()))
    assert storage.snapshots.get(DAY, "01") == first


def snapshot_of_open_month(as_of: date = CLOSE, mark: str = "", **changes: object) -> Snapshot:
    return SnapshotFactory.build(is_final=False, as_of=as_of, reports=reports_for("01", mark), **changes)


BEFORE, AFTER = CLOSE - timedelta(days=1), CLOSE + timedelta(days=1)
SUPERSEDING = {
    "a final close beats an open month": (snapshot_of_open_month(AFTER), SnapshotFactory.build()),
    "a newer as-of wins": (snapshot_of_open_month(BEFORE), snapshot_of_open_month(CLOSE)),
    "a newer as-of wins though it was fetched earlier": (
        snapshot_of_open_month(BEFORE, fetched_at=LATER),
        snapshot_of_open_month(CLOSE),
    ),
    "a newer as-of wins with equal figures": (snapshot_of_open_month(BEFORE, "x"), snapshot_of_open_month(CLOSE, "x")),
    "a later fetch of other figures wins under one as-of": (
        snapshot_of_open_month(),
        snapshot_of_open_month(mark="x", fetched_at=LATER),
    ),
    "a later fetch wins in a final month too": (
        SnapshotFactory.build(),
        SnapshotFactory.build(reports=reports_for("01", "x"), fetched_at=LATER),
    ),
}
KEEPING = {
    "an open month does not beat a final close": (
        SnapshotFactory.build(),
        snapshot_of_open_month(AFTER, fetched_at=LATER),
    ),
    "an older as-of changes nothing": (
        snapshot_of_open_month(CLOSE),
        snapshot_of_open_month(BEFORE, "x", fetched_at=LATER),
    ),
    "an equal one changes nothing": (snapshot_of_open_month(), snapshot_of_open_month(fetched_at=LATER)),
    "an earlier fetch of other figures changes nothing": (
        snapshot_of_open_month(fetched_at=LATER),
        snapshot_of_open_month(mark="x"),
    ),
    "a fetch at the same time changes nothing": (snapshot_of_open_month(), snapshot_of_open_month(mark="x")),
}


@pytest.mark.parametrize(("stored", "new"), SUPERSEDING.values(), ids=list(SUPERSEDING))
def test_a_superseding_snapshot_replaces_the_stored_one(storage: Storage, stored: Snapshot, new: Snapshot) -> None:
    """R1.1"""
    put_all(storage, [stored, new])
    assert storage.snapshots.get(DAY, "01") == new
    assert storage.snapshots.page(SnapshotFilter(), limit=5, offset=0).total == 1


@pytest.mark.parametrize(("stored", "new"), KEEPING.values(), ids=list(KEEPING))
def test_a_snapshot_that_does_not_supersede_changes_nothing(storage: Storage, stored: Snapshot, new: Snapshot) -> None:
    """R1.1"""
    storage.snapshots.put(stored)
    assert not storage.snapshots.put(new)
    assert storage.snapshots.get(DAY, "01") == stored


def test_the_newest_of_concurrently_stored_snapshots_is_kept(storage: Storage) -> None:
    """R1.1"""
    days = [CLOSE - timedelta(days=n) for n in range(12)]

    def put(start: int) -> None:
        try:
            for as_of in days[start::4]:
                storage.snapshots.put(snapshot_of_open_month(as_of, str(as_of)))
        finally:
            storage.control.disconnect()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(4)))
    stored = storage.snapshots.get(DAY, "01")
    assert stored is not None
    assert (stored.as_of, stored.reports) == (CLOSE, reports_for("01", str(CLOSE)))


# The fence


def test_a_snapshot_is_stored_under_a_valid_claim_and_refused_under_a_lost_claim(storage: Storage) -> None:
    """R3.3: a former runner stores neither a new snapshot nor a superseding one."""
    job = storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job
    with pytest.raises(LeaseLost):
        storage.snapshots.put(SnapshotFactory.build(), fence=Fence(job.id, job.token))  # the job is not claimed
    first = storage.jobs.update(job.id, lambda job: job.claimed("host-1", NOW)).after
    stored = snapshot_of_open_month(BEFORE)
    assert storage.snapshots.put(stored, fence=Fence(job.id, first.token))
    second = storage.jobs.update(job.id, lambda job: job.claimed("host-2", NOW + timedelta(minutes=1))).after
    for fence in (Fence(job.id, first.token), Fence(uuid4(), second.token)):
        for snapshot in (snapshot_of_open_month(CLOSE), SnapshotFactory.build(district="02")):
            with pytest.raises(LeaseLost, match=str(fence.job_id)):
                storage.snapshots.put(snapshot, fence=fence)
    assert storage.snapshots.get(DAY, "01") == stored
    assert storage.snapshots.get(DAY, "02") is None
    assert storage.snapshots.put(snapshot_of_open_month(CLOSE), fence=Fence(job.id, second.token))


# Lists


def test_a_page_is_ordered_by_date_and_district_and_omits_the_bytes(storage: Storage) -> None:
    days = [DAY - timedelta(days=n) for n in range(3)]
    snapshots = [
        SnapshotFactory.build(date=day, district=district) for day in days for district in ("F", "02", SUMMARY)
    ]
    put_all(storage, snapshots)
    expected = [without_bytes(s) for s in sorted(snapshots, key=lambda s: (s.date, s.district))]

    def page(limit: int = 100, offset: int = 0, **wanted: object) -> tuple[list[Snapshot], int]:
        found = storage.snapshots.page(SnapshotFilter(**wanted), limit=limit, offset=offset)  # type: ignore[arg-type]
        return list(found.rows), found.total

    whole, total = page()
    assert total == 9
    assert [s.date for s in whole] == [s.date for s in expected]
    assert sorted(whole, key=lambda s: (s.date, s.district)) == expected
    assert page(4, 0)[0] + page(4, 4)[0] + page(4, 8)[0] == whole
    assert page(4, 9) == ([], 9)
    assert page(first=days[1]) == ([s for s in whole if s.date >= days[1]], 6)
    assert page(last=days[1]) == ([s for s in whole if s.date <= days[1]], 6)
    assert page(first=days[1], last=days[1]) == ([s for s in whole if s.date == days[1]], 3)
    assert page(2, 1, district="F") == ([s for s in whole if s.district == "F"][1:], 3)
    assert page(district="99") == ([], 0)


def test_editions_are_grouped_by_as_of_date_finality_and_job_in_date_order(storage: Storage) -> None:
    """R1.1"""
    one, two = uuid4(), uuid4()
    days = [DAY - timedelta(days=n) for n in range(4)]
    put_all(
        storage,
        [
            SnapshotFactory.build(date=days[0], district="01", job_id=one),
            SnapshotFactory.build(date=days[0], district="F", job_id=one),
            SnapshotFactory.build(date=days[0], district=SUMMARY, job_id=two),
            SnapshotFactory.build(date=days[0], district="02", job_id=one, is_final=False),
            SnapshotFactory.build(date=days[0], district="03", job_id=one, as_of=BEFORE),
            SnapshotFactory.build(date=days[1], district="01", job_id=two),
            SnapshotFactory.build(date=days[2], district="01", job_id=two),
            SnapshotFactory.build(date=days[3], district="01", job_id=two),
        ],
    )

    def edition(day: date, job: object, *districts: str, as_of: date = CLOSE, is_final: bool = True) -> StoredEdition:
        return StoredEdition(
            date=day,
            as_of=as_of,
            is_final=is_final,
            job_id=job,  # type: ignore[arg-type]
            districts=frozenset(districts),
        )

    editions = list(storage.snapshots.editions(days[2], days[0]))
    assert all(before.date <= after.date for before, after in pairwise(editions))
    assert set(editions) == {
        edition(days[2], two, "01"),
        edition(days[1], two, "01"),
        edition(days[0], one, "01", "F"),
        edition(days[0], two, SUMMARY),
        edition(days[0], one, "02", is_final=False),
        edition(days[0], one, "03", as_of=BEFORE),
    }
    assert len(editions) == 6
    assert list(storage.snapshots.editions(DAY + timedelta(days=1), DAY + timedelta(days=9))) == []


def test_an_edition_names_the_job_that_stored_its_current_snapshots(storage: Storage) -> None:
    first, second = snapshot_of_open_month(BEFORE), snapshot_of_open_month(CLOSE)
    put_all(storage, [first, second])
    assert [(edition.job_id, edition.as_of) for edition in storage.snapshots.editions(DAY, DAY)] == [
        (second.job_id, CLOSE)
    ]


def test_several_snapshots_of_a_date_are_read_together_without_unreadable_ones(
    storage: Storage, backend: Backend
) -> None:
    snapshots = [SnapshotFactory.build(district=district) for district in ("01", "02", "F")]
    put_all(storage, [*snapshots, SnapshotFactory.build(date=DAY + timedelta(days=1))])
    backend.damage_snapshot(DAY, "02")
    found = storage.snapshots.get_several(DAY, ["01", "02", "F", "77"])
    assert found == {"01": snapshots[0], "F": snapshots[2]}
    assert storage.snapshots.get_several(DAY, []) == {}


# Unreadable


def test_the_error_for_an_unreadable_snapshot_names_it_and_lists_still_contain_it(
    storage: Storage, backend: Backend
) -> None:
    """R1.1: a damaged snapshot does not hide the others, and the same content replaces it when it is fetched again."""
    damaged, whole = snapshot_of_open_month(), SnapshotFactory.build(district="02")
    put_all(storage, [damaged, whole])
    backend.damage_snapshot(DAY, "01")
    with pytest.raises(CorruptRecord, match=f"snapshot {DAY}/01"):
        storage.snapshots.get(DAY, "01")
    assert list(storage.snapshots.page(SnapshotFilter(), limit=5, offset=0).rows) == [
        without_bytes(damaged),
        without_bytes(whole),
    ]
    assert sum(len(edition.districts) for edition in storage.snapshots.editions(DAY, DAY)) == 2
    again = replace(damaged, fetched_at=LATER)
    assert storage.snapshots.put(again)
    assert storage.snapshots.get(DAY, "01") == again
    assert not storage.snapshots.put(replace(again, fetched_at=LATER + timedelta(days=1)))


# The calendar


def test_a_calendar_month_is_stored_unchanged(storage: Storage) -> None:
    """R1.1"""
    months = [
        CalendarMonthFactory.build(),
        CalendarMonthFactory.build(month_end=date(2024, 2, 29), as_of_days=(), districts=(), is_closed=False),
        CalendarMonthFactory.build(month_end=date(2023, 6, 30), is_archived=True, has_blank_close=True),
    ]
    for month in months:
        storage.calendars.save(month)
    for month in months:
        assert storage.calendars.months(month.month_end, month.month_end) == [month]


def test_a_calendar_contains_the_months_that_end_in_the_range_oldest_first(storage: Storage) -> None:
    ends = month_ends(date(2023, 11, 1), date(2024, 4, 1))
    months = [CalendarMonthFactory.build(month_end=end) for end in ends]
    for month in reversed(months):
        storage.calendars.save(month)
    assert storage.calendars.months(ends[0], ends[-1]) == months
    assert storage.calendars.months(ends[1], ends[3]) == months[1:4]
    assert storage.calendars.months(ends[1] + timedelta(days=1), ends[3] - timedelta(days=1)) == months[2:3]
    assert storage.calendars.months(date(2000, 1, 1), date(2000, 12, 31)) == []


def test_a_calendar_month_that_is_saved_again_replaces_the_stored_one(storage: Storage) -> None:
    month: CalendarMonth = CalendarMonthFactory.build(is_closed=False)
    closed = replace(month, is_closed=True, as_of_days=(*month.as_of_days, AFTER), districts=("01",), fetched_at=LATER)
    storage.calendars.save(month)
    storage.calendars.save(closed)
    storage.calendars.save(closed)
    assert storage.calendars.months(DAY, DAY) == [closed]


def test_a_report_of_several_megabytes_is_stored_unchanged(storage: Storage) -> None:
    content = b'"a cell of the report","another","and a third"\r\n' * 60_000
    report: Report = report_of(content, rows=60_000)
    storage.snapshots.put(SnapshotFactory.build(district=SUMMARY, reports={ReportName.SUMMARY: report}))
    stored = storage.snapshots.get(DAY, SUMMARY)
    assert stored is not None
    assert stored.reports[ReportName.SUMMARY] == report


# Imported snapshots


def test_imported_snapshots_are_stored_as_fetched_ones_with_the_audit_entry(storage: Storage) -> None:
    first, second = SnapshotFactory.build(district="01"), SnapshotFactory.build(district=SUMMARY)
    entry = AuditEntryFactory.build(job_id=None)
    assert list(storage.snapshots.put_imported([first, second], audit_entries=[entry])) == [True, True]
    assert storage.snapshots.get(DAY, "01") == first
    assert storage.snapshots.get(DAY, SUMMARY) == second
    assert storage.audit.page(None, limit=10, offset=0).rows == [entry]


def test_an_imported_snapshot_that_supersedes_nothing_is_not_stored_and_not_audited(storage: Storage) -> None:
    stored = SnapshotFactory.build()
    storage.snapshots.put(stored)
    older = replace(stored, reports=reports_for("01", "x"), fetched_at=NOW - timedelta(days=1))
    entry = AuditEntryFactory.build(job_id=None)
    assert list(storage.snapshots.put_imported([older], audit_entries=[entry])) == [False]
    assert storage.snapshots.get(DAY, "01") == stored
    assert storage.audit.page(None, limit=10, offset=0).total == 0


def test_no_imported_snapshot_is_stored_while_a_job_is_active(storage: Storage) -> None:
    """The check and the snapshot are one transaction, so a job that starts at the same time has no second writer."""
    storage.snapshots.put_imported([SnapshotFactory.build(district="01")])
    job = JobFactory.build()
    storage.jobs.create(job, PlanFactory.build(), displace=lambda _: None)
    with pytest.raises(JobConflict) as caught:
        storage.snapshots.put_imported(
            [SnapshotFactory.build(district="02")], audit_entries=[AuditEntryFactory.build(job_id=None)]
        )
    assert named_job(caught.value) == str(job.id)
    assert storage.snapshots.get(DAY, "02") is None
    assert storage.audit.page(None, limit=10, offset=0).total == 0
    storage.jobs.update(job.id, lambda job: job.cancel_requested(NOW))
    assert list(storage.snapshots.put_imported([SnapshotFactory.build(district="02")])) == [True]
