"""Cursors of lists: their form, their validation, and the pages behind them."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.domain import JobFilter, JobType, OutcomeFilter, OutcomeKind, Segment, SnapshotFilter, Status
from backfill.errors import InvalidRequest
from backfill.service.pagination import PLACES, SNAPSHOT_KEYS, TIMED_KEYS, Cursors, ListPage, scope_of
from tests.unit.fakes import DAY, NOW, a_job, a_snapshot, an_outcome
from tests.unit.test_service import ITEMS, Service

JOB_ID = UUID("0b7f4c1e-5a0c-4d38-9d0b-3f6f3c8e2a11")
SNAPSHOTS = Cursors(scope_of("snapshots", SnapshotFilter()), SNAPSHOT_KEYS)
JOBS = Cursors(scope_of("jobs", JobFilter()), TIMED_KEYS)
ITEMS_OF_JOB = Cursors(scope_of("items", OutcomeFilter(), job=str(JOB_ID), order="oldest"), PLACES)


def packed(*values: object) -> str:
    text = json.dumps(values, separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def refusal(cursors: Cursors[Any], cursor: str) -> str:
    with pytest.raises(InvalidRequest) as raised:
        cursors.decode(cursor)
    assert raised.value.details is not None
    assert list(raised.value.details) == ["cursor"]
    return str(raised.value.details["cursor"][0])


@given(day=st.dates(), district=st.from_regex("[A-Za-z0-9]{1,8}", fullmatch=True))
def test_a_cursor_of_snapshots_is_decoded_to_its_key(day: date, district: str) -> None:
    assert SNAPSHOTS.decode(SNAPSHOTS.encode((day, district))) == (day, district)


@given(at=st.datetimes(timezones=st.just(UTC)), row_id=st.uuids())
def test_a_cursor_of_jobs_is_decoded_to_its_key(at: datetime, row_id: UUID) -> None:
    assert JOBS.decode(JOBS.encode((at, row_id))) == (at, row_id)


def test_cursors_that_an_earlier_release_returned_stay_valid() -> None:
    """A walk may last through a deployment."""
    assert SNAPSHOTS.decode("WzEsImE2ZjkxZTYyY2MyZSIsIjIwMjQtMDEtMzEiLCIwMSJd") == (DAY, "01")
    assert JOBS.decode(
        "WzEsIjU2ZDYyN2Q1MmQzOCIsIjIwMjQtMDMtMTRUMDk6MjY6NTMuNTg5NzkzKzAwOjAwIiwiMGI3ZjRjMWUtNWEwYy00ZDM4LTlkMGItM2Y2ZjNjOGUyYTExIl0"
    ) == (NOW, JOB_ID)
    assert ITEMS_OF_JOB.decode("WzEsIjY1NTlhNzNhNzZhNyIsN10") == 7


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%00",
        "a b",
        "\u00e9",
        SNAPSHOTS.encode((DAY, "01"))[:-2],
        SNAPSHOTS.encode((DAY, "01")) + "=",
        "A" * 600,
        packed(),
        packed(1),
        packed(1, SNAPSHOTS.scope),
        packed(1, SNAPSHOTS.scope, "2024-01-31"),
        packed(1, SNAPSHOTS.scope, "2024-01-31", "01", "02"),
        packed(1, SNAPSHOTS.scope, "2024-02-30", "01"),
        packed(1, SNAPSHOTS.scope, "20240131", "01"),
        packed(1, SNAPSHOTS.scope, 20240131, "01"),
        packed(1, SNAPSHOTS.scope, "2024-01-31", "0/1"),
        packed(1, SNAPSHOTS.scope, "2024-01-31", "\x00"),
        packed(1, SNAPSHOTS.scope, "2024-01-31", 1),
        packed(2, SNAPSHOTS.scope, "2024-01-31", "01"),
        packed(True, SNAPSHOTS.scope, "2024-01-31", "01"),
        urlsafe_b64encode(b'{"1": 2}').decode().rstrip("="),
        urlsafe_b64encode(b"\xff\xfe").decode().rstrip("="),
        urlsafe_b64encode(json.dumps([1, SNAPSHOTS.scope, "2024-01-31", "01"]).encode()).decode().rstrip("="),
    ],
)
def test_a_text_that_is_no_cursor_is_refused(cursor: str) -> None:
    assert refusal(SNAPSHOTS, cursor).startswith("cursor must be the nextCursor of a response; it was ")


@pytest.mark.parametrize(
    "values",
    [
        (NOW.replace(tzinfo=None).isoformat(), str(JOB_ID)),
        (NOW.astimezone(timezone(timedelta(hours=2))).isoformat(), str(JOB_ID)),
        ("0001-01-01T00:00:00+14:00", str(JOB_ID)),
        (NOW.isoformat(), str(JOB_ID).upper()),
        (NOW.isoformat(), "1"),
        (NOW.isoformat(), 5),
    ],
)
def test_a_cursor_of_jobs_with_an_invalid_key_is_refused(values: tuple[Any, ...]) -> None:
    assert refusal(JOBS, packed(1, JOBS.scope, *values)).startswith("cursor must be")


@pytest.mark.parametrize("place", [-1, 1.0, True, "1", None])
def test_a_cursor_of_items_with_an_invalid_place_is_refused(place: object) -> None:
    assert refusal(ITEMS_OF_JOB, packed(1, ITEMS_OF_JOB.scope, place)).startswith("cursor must be")


@pytest.mark.parametrize(
    "other",
    [
        scope_of("snapshots", SnapshotFilter(district="01")),
        scope_of("snapshots", SnapshotFilter(first=DAY)),
        scope_of("snapshots", SnapshotFilter(last=DAY)),
        scope_of("jobs", JobFilter()),
        scope_of("audit", job=""),
    ],
)
def test_a_cursor_of_another_list_or_filter_is_refused(other: str) -> None:
    assert refusal(SNAPSHOTS, packed(1, other, "2024-01-31", "01")).startswith("cursor belongs to another list, or to ")


def test_equal_filters_have_equal_scopes() -> None:
    statuses = [Status.FAILED, Status.CANCELLED, Status.COMPLETED]
    scopes = {
        scope_of("jobs", JobFilter(statuses=frozenset(order), created_from=NOW)) for order in (statuses, statuses[::-1])
    }
    assert len(scopes) == 1
    assert scopes != {scope_of("jobs", JobFilter(statuses=frozenset(statuses)))}


def keys_of(page: ListPage[Any]) -> list[tuple[date, str]]:
    return [(row.date, row.district) for row in page.rows]


def test_only_pages_that_are_followed_by_rows_have_a_cursor() -> None:
    service = Service()
    for district in ("01", "02", "03", "F"):
        service.memory.snapshots.put(a_snapshot(district=district))
    first = service.history.page(SnapshotFilter(), limit=2)
    assert (keys_of(first), first.total, first.offset) == ([(DAY, "01"), (DAY, "02")], 4, 0)
    assert first.next_cursor is not None
    second = service.history.page(SnapshotFilter(), limit=2, cursor=first.next_cursor)
    assert (keys_of(second), second.total, second.offset) == ([(DAY, "03"), (DAY, "F")], 4, None)
    assert second.next_cursor is None
    assert service.history.page(SnapshotFilter(), limit=4).next_cursor is None
    assert service.history.page(SnapshotFilter(), limit=2, offset=1).next_cursor is not None
    assert service.history.page(SnapshotFilter(), limit=2, offset=2).next_cursor is None
    assert service.history.page(SnapshotFilter(), limit=2, offset=9).next_cursor is None


def test_a_cursor_and_an_offset_exclude_each_other() -> None:
    with pytest.raises(InvalidRequest) as raised:
        Service().history.page(SnapshotFilter(), limit=2, offset=2, cursor=SNAPSHOTS.encode((DAY, "01")))
    assert list(raised.value.details or ()) == ["offset"]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(
    "wanted",
    [OutcomeFilter(), OutcomeFilter(kind=OutcomeKind.FAILED), OutcomeFilter(district="F")],
    ids=["all", "failed", "district"],
)
@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_a_walk_over_items_has_each_item_once_while_outcomes_are_recorded(
    newest_first: bool, wanted: OutcomeFilter, limit: int
) -> None:
    """Pages by offset repeat items in the order newest first."""
    service = Service()
    job = service.memory.jobs.put_in(a_job(job_type=JobType.DATA_COLLECTION, status=Status.COMPLETED, ended_at=NOW))
    outcomes = [
        an_outcome(item, OutcomeKind.FAILED if number % 2 else OutcomeKind.PROCESSED)
        for number, item in enumerate(ITEMS)
    ]

    def record(number: int, count: int) -> None:
        segment = Segment(number, tuple(outcomes[:count]))
        service.memory.jobs.update(job.id, lambda held: held, segment=segment)

    record(0, 3)
    record(1, 4)
    whole = list(service.items(job.id, wanted, limit=100, newest_first=newest_first).rows)
    assert whole
    page = service.items(job.id, wanted, limit=limit, newest_first=newest_first)
    rows, pages = list(page.rows), 1
    while page.next_cursor is not None:
        record(1, min(4 + pages, len(outcomes)))  # the last segment grows, then others follow
        record(1 + pages, 2)
        page = service.items(job.id, wanted, limit=limit, newest_first=newest_first, cursor=page.next_cursor)
        assert (page.limit, page.offset) == (limit, None)
        assert len(page.rows) <= limit
        rows += page.rows
        pages += 1
        if not newest_first and pages > 6:
            break  # the end of the list grows with every page
    assert rows[: len(whole)] == whole
    if newest_first:
        assert len(rows) == len(whole)


def test_a_cursor_of_items_is_valid_for_its_job_and_order_only() -> None:
    service = Service()
    jobs = [service.ended() for _ in range(2)]
    cursor = service.items(jobs[0].id, OutcomeFilter(), limit=2).next_cursor
    assert cursor is not None
    assert service.items(jobs[0].id, OutcomeFilter(), limit=2, cursor=cursor).rows
    for job, newest_first, wanted in (
        (jobs[1], False, OutcomeFilter()),
        (jobs[0], True, OutcomeFilter()),
        (jobs[0], False, OutcomeFilter(district="F")),
    ):
        with pytest.raises(InvalidRequest, match="belongs to another list"):
            service.items(job.id, wanted, limit=2, newest_first=newest_first, cursor=cursor)
