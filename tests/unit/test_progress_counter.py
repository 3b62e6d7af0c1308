"""The counters of a job's progress."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from backfill.domain import ERRORS_KEPT, SUMMARY, JobType, LimiterReport, Outcome, OutcomeKind, ProgressCounter
from tests.unit.fakes import NOW, a_plan, all_items, an_outcome, skipped

IDLE = LimiterReport()
requests_of = JobType.DATA_COLLECTION.description.requests_of
COUNTED = a_plan(4, (SUMMARY, "01", "F"))


@given(st.lists(st.sampled_from(OutcomeKind), max_size=COUNTED.total_items))
def test_counts_of_the_job_are_the_sums_of_its_districts(kinds: list[OutcomeKind]) -> None:
    """R5.1, R5.3: counts never exceed the total, and equal it when all items are settled."""
    progress_counter = ProgressCounter(COUNTED, requests_of)
    outcomes = [an_outcome(item, kind, reason="stored") for item, kind in zip(all_items(COUNTED), kinds, strict=False)]
    for outcome in outcomes:
        progress_counter.add([outcome])
    progress = progress_counter.progress((), IDLE, NOW)
    counts = Counter(kinds)
    assert (progress.processed, progress.failed, progress.skipped_items) == tuple(counts[kind] for kind in OutcomeKind)
    districts = progress.districts.values()
    assert progress.processed == sum(d.processed for d in districts)
    assert progress.failed == sum(d.failed for d in districts)
    assert progress.skipped_items == sum(d.skipped for d in districts)
    assert progress.settled_items == len(kinds) <= progress.total_items == sum(d.total for d in districts)
    at_once = ProgressCounter(COUNTED, requests_of)
    at_once.add(outcomes)
    assert at_once.progress((), IDLE, NOW) == progress


@given(st.lists(st.tuples(st.sampled_from(OutcomeKind), st.integers(0, 300)), max_size=COUNTED.total_items))
def test_outcomes_that_are_added_together_are_counted_as_one_by_one(ended: list[tuple[OutcomeKind, int]]) -> None:
    """The threads of a job settle items in any order, at times of several minutes."""
    outcomes = [
        an_outcome(item, kind, NOW + timedelta(seconds=seconds), reason="stored")
        for item, (kind, seconds) in zip(all_items(COUNTED), ended, strict=False)
    ]
    together, one_by_one = ProgressCounter(COUNTED, requests_of), ProgressCounter(COUNTED, requests_of)
    together.add(outcomes)
    for outcome in outcomes:
        one_by_one.add([outcome])
    now = NOW + timedelta(minutes=6)
    assert together.progress((), IDLE, now) == one_by_one.progress((), IDLE, now)
    assert together.work() == one_by_one.work()


def test_the_most_recent_errors_are_kept_newest_first() -> None:
    """R5.4"""
    plan = a_plan(ERRORS_KEPT, ("01", "02"))
    failures = [
        Outcome(item, OutcomeKind.FAILED, NOW, "TIMEOUT", item.key, 5, is_retryable=True) for item in all_items(plan)
    ]
    progress_counter = ProgressCounter(plan, requests_of)
    progress_counter.add(failures)
    errors = progress_counter.progress((), IDLE, NOW).errors
    assert [error.item_key for error in errors] == [o.item.key for o in reversed(failures[-ERRORS_KEPT:])]
    assert errors[0].attempts == 5


def test_all_failures_are_grouped_by_cause_with_the_most_frequent_first() -> None:
    plan = a_plan(2 * ERRORS_KEPT, ("02", "01"))
    progress_counter = ProgressCounter(plan, requests_of)
    for n, item in enumerate(all_items(plan)):
        at = NOW + timedelta(seconds=n)
        code, is_retryable = ("TIMEOUT", True) if item.district == "01" or n % 4 == 0 else ("WRONG_MONTH", False)
        progress_counter.add([an_outcome(item, OutcomeKind.FAILED, at, reason=code, is_retryable=is_retryable)])
    groups = progress_counter.progress((), IDLE, NOW).failures
    assert [(group.code, group.items, group.is_retryable) for group in groups] == [
        ("TIMEOUT", 3 * ERRORS_KEPT, True),
        ("WRONG_MONTH", ERRORS_KEPT, False),
    ]
    assert [group.districts for group in groups] == [("01", "02"), ("02",)]
    assert groups[0].latest_at == NOW + timedelta(seconds=4 * ERRORS_KEPT - 1)


def test_items_per_minute_are_kept_for_half_an_hour_without_skipped_items() -> None:
    """R5.5"""
    plan = a_plan(40, ("01",))
    items = all_items(plan)
    progress_counter, start = ProgressCounter(plan, requests_of), NOW.replace(second=0, microsecond=0)
    progress_counter.add(an_outcome(item, at=NOW + timedelta(minutes=n)) for n, item in enumerate(items[:3]))
    progress_counter.add([an_outcome(items[3], OutcomeKind.FAILED, at=NOW), *skipped(items[4:6])])
    assert progress_counter.progress((), IDLE, NOW + timedelta(minutes=3)).minutes == (
        (start, 2),
        (start + timedelta(minutes=1), 1),
        (start + timedelta(minutes=2), 1),
        (start + timedelta(minutes=3), 0),
    )
    later = progress_counter.progress((), IDLE, NOW + timedelta(minutes=31)).minutes
    assert (later[0], len(later)) == ((start + timedelta(minutes=1), 1), 31)
    assert progress_counter.progress((), IDLE, NOW + timedelta(hours=2)).minutes == ()
