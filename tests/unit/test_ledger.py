"""Settled items, outcomes, progress, and which of two snapshots is newer."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.domain import (
    SUMMARY,
    DistrictProgress,
    OutcomeFilter,
    OutcomeKind,
    Plan,
    PlannedDay,
    Progress,
    ReportName,
    SettledItems,
    WorkItem,
    count_kinds,
    reports_of,
)
from tests.unit.fakes import DAY, NOW, a_plan, a_report, a_snapshot, all_items, an_outcome

PLAN = a_plan(3, (SUMMARY, "01", "F"))
ITEMS = all_items(PLAN)

# The set of settled items.


@given(st.lists(st.sampled_from(ITEMS)))
def test_settled_items_behave_like_a_set(items: list[WorkItem]) -> None:
    """R10.3"""
    settled, expected = SettledItems(PLAN), set[WorkItem]()
    for item in items:
        assert settled.add(item) == (item not in expected)
        expected.add(item)
    assert [item in settled for item in ITEMS] == [item in expected for item in ITEMS]


@given(st.lists(st.lists(st.sampled_from([*ITEMS, WorkItem(DAY, "99"), WorkItem(date(2001, 1, 1), "01")]))))
def test_outcomes_that_are_added_together_settle_the_same_items_as_one_by_one(segments: list[list[WorkItem]]) -> None:
    """R10.3"""
    together, one_by_one = SettledItems(PLAN), SettledItems(PLAN)
    for items in segments:
        added = together.add_outcomes(an_outcome(item) for item in items)
        assert [outcome.item for outcome in added] == [item for item in items if one_by_one.add(item)]
    assert [item in together for item in ITEMS] == [item in one_by_one for item in ITEMS]


@pytest.mark.parametrize("item", [WorkItem(DAY, "99"), WorkItem(date(2001, 1, 1), "01")])
def test_an_item_outside_the_plan_is_never_settled(item: WorkItem) -> None:
    settled = SettledItems(PLAN)
    assert not settled.add(item)
    assert item not in settled


def test_items_of_days_with_different_districts_are_not_confused() -> None:
    plan = Plan((PlannedDay(date(2024, 1, 30), ("01", "02")), PlannedDay(DAY, ("02", "01"))))
    settled = SettledItems(plan)
    settled.add(WorkItem(date(2024, 1, 30), "01"))
    assert [item.key for item in all_items(plan) if item in settled] == ["2024-01-30/01"]


def test_a_million_settled_items_take_less_than_a_megabyte() -> None:
    districts = tuple(f"{n:02d}" for n in range(1, 132))
    plan = Plan(tuple(PlannedDay(DAY + timedelta(days=n), districts) for n in range(1000)))
    tracemalloc.start()
    try:
        settled = SettledItems(plan)
        for item in plan.days[0].items():
            settled.add(item)
        before, _ = tracemalloc.get_traced_memory()
        for day in plan.days[1:200]:
            for item in day.items():
                settled.add(item)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / (199 * 131) < 1  # bytes per item


# Outcomes.


def test_outcomes_are_counted_by_kind_including_zeros() -> None:
    outcomes = [an_outcome(ITEMS[0]), an_outcome(ITEMS[1], OutcomeKind.FAILED), an_outcome(ITEMS[2])]
    assert count_kinds(outcomes) == {OutcomeKind.PROCESSED: 2, OutcomeKind.FAILED: 1, OutcomeKind.SKIPPED: 0}
    assert count_kinds([]) == dict.fromkeys(OutcomeKind, 0)


@pytest.mark.parametrize(
    ("outcome_filter", "matches"),
    [
        (OutcomeFilter(), True),
        (OutcomeFilter(district="01"), True),
        (OutcomeFilter(district="02"), False),
        (OutcomeFilter(kind=OutcomeKind.FAILED), True),
        (OutcomeFilter(kind=OutcomeKind.SKIPPED), False),
        (OutcomeFilter(district="02", kind=OutcomeKind.FAILED), False),
    ],
)
def test_a_filter_matches_outcomes_that_match_all_its_fields(outcome_filter: OutcomeFilter, *, matches: bool) -> None:
    assert outcome_filter.matches(an_outcome(WorkItem(DAY, "01"), OutcomeKind.FAILED)) == matches


# Progress.


@given(st.integers(0, 10**6), st.data())
def test_the_percentage_is_never_too_high_and_100_only_when_all_items_are_settled(
    total: int, data: st.DataObject
) -> None:
    """R5.2"""
    settled = data.draw(st.integers(0, total))
    percent = Progress(total_items=total, processed=settled).percent
    assert 0 <= percent <= 100
    assert (percent == 100) == (settled == total)
    assert total == 0 or percent <= 100 * settled / total + 1e-9


def minutes(*counts: int) -> Any:
    return tuple((NOW + timedelta(minutes=n), count) for n, count in enumerate(counts))


def test_items_per_minute_are_computed_from_complete_minutes() -> None:
    assert Progress(total_items=1000, minutes=minutes(9, 50, 40, 3)).items_per_minute == 45
    assert Progress(total_items=1000, minutes=minutes(9, 50)).items_per_minute is None


@pytest.mark.parametrize(
    ("district", "status"),
    [
        (DistrictProgress(total=3), "pending"),
        (DistrictProgress(total=3, is_in_progress=True), "processing"),
        (DistrictProgress(total=3, processed=1), "processing"),
        (DistrictProgress(total=3, failed=1), "processing"),
        (DistrictProgress(total=3, processed=2, failed=1), "failed"),
        (DistrictProgress(total=3, processed=2, skipped=1), "completed"),
        (DistrictProgress(total=3, processed=3), "completed"),
        (DistrictProgress(total=3, skipped=3), "skipped"),
    ],
)
def test_the_status_of_a_district_follows_from_its_counters(district: DistrictProgress, status: str) -> None:
    """R5.3"""
    assert district.status == status


# Snapshots.


def test_a_district_has_three_reports_and_the_summary_one() -> None:
    """R2.2"""
    assert reports_of(SUMMARY) == (ReportName.SUMMARY,)
    assert reports_of("01") == (ReportName.CLUBS, ReportName.DISTRICT, ReportName.DIVISIONS)


CHANGED = {name: a_report(b"changed") for name in reports_of("01")}
STORED = a_snapshot(as_of=date(2024, 2, 9), is_final=False)


@pytest.mark.parametrize(
    ("fields", "supersedes"),
    [
        ({}, False),
        ({"as_of": date(2024, 2, 10)}, True),
        ({"as_of": date(2024, 2, 8), "reports": CHANGED, "fetched_at": NOW + timedelta(days=1)}, False),
        ({"is_final": True}, True),
        ({"is_final": True, "as_of": date(2024, 2, 8)}, True),
        ({"fetched_at": NOW + timedelta(seconds=1)}, False),
        ({"fetched_at": NOW + timedelta(seconds=1), "reports": CHANGED}, True),
        ({"fetched_at": NOW, "reports": CHANGED}, False),
        ({"fetched_at": NOW - timedelta(seconds=1), "reports": CHANGED}, False),
    ],
)
def test_a_snapshot_supersedes_only_an_older_one(fields: dict[str, Any], *, supersedes: bool) -> None:
    assert replace(STORED, **fields).supersedes(STORED) == supersedes


def test_only_a_final_close_supersedes_a_final_close() -> None:
    final = replace(STORED, is_final=True)
    newer = replace(STORED, as_of=date(2024, 3, 9), reports=CHANGED, fetched_at=NOW + timedelta(days=1))
    assert not newer.supersedes(final)


def test_the_hash_of_a_snapshot_includes_all_reports_in_any_order() -> None:
    backwards = replace(STORED, reports=dict(reversed(list(STORED.reports.items()))))
    assert backwards.content_hash == STORED.content_hash
    hashes = {
        replace(STORED, reports={**STORED.reports, name: a_report(b"changed")}).content_hash for name in STORED.reports
    }
    assert len(hashes | {STORED.content_hash}) == 4
