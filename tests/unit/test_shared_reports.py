"""The close of a month and the as-of date on which it was published: the same reports, requested once."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from backfill.dashboard.protocol import ReportRequest
from backfill.domain import (
    DISTRICT_REPORTS,
    SUMMARY,
    Cadence,
    JobType,
    LimiterReport,
    Outcome,
    OutcomeKind,
    PlannedDay,
    ProgressCounter,
    Report,
    StoredEdition,
    WorkItem,
)
from backfill.domain.clock import SYSTEM_CLOCK, Clock
from backfill.errors import CorruptRecord, ServerError, WrongAsOf
from backfill.job_types.collection.plan import narrowed
from backfill.storage import Fence
from backfill.storage.serialization.packing import pack_plan, unpack_plan
from tests.memory_storage import MemorySnapshots
from tests.unit.fakes import (
    DAY,
    NOW,
    a_month,
    a_page,
    a_report,
    a_snapshot,
    an_edition,
    eventually,
)
from tests.unit.test_collection_jobs import CLUBS, Collecting
from tests.unit.test_collection_plan import FEBRUARY, JANUARY, held, plan_of

CLOSE = date(2024, 2, 9)
BEFORE = CLOSE - timedelta(days=1)
DISTRICTS = (SUMMARY, "01", "02", "F")


class Sharing(Collecting):
    """A job over the close of January, the day before it was published, and the day on which it was published."""

    def __init__(
        self,
        *,
        skip_existing: bool = True,
        is_closed: bool = True,
        cadence: Cadence = Cadence.DAILY,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(skip_existing=skip_existing, cadence=cadence, clock=clock)
        self.storage.calendars.save(a_month(DAY, BEFORE, CLOSE, is_closed=is_closed))
        self.close = PlannedDay(DAY, DISTRICTS, an_edition(is_final=is_closed))
        self.date = PlannedDay(CLOSE, DISTRICTS, an_edition(is_final=False))
        self.day_before = PlannedDay(BEFORE, DISTRICTS, an_edition(as_of=BEFORE, is_final=False))

    def collect(self, day: PlannedDay, district: str = "01") -> Outcome:
        (outcome,) = self.execution.process(day, [WorkItem(day.date, district)])
        return outcome

    def resumed(self) -> Sharing:
        self.execution = self.work.execute(self.job, Fence(self.job.id, 1), self.limiter)
        return self


@pytest.mark.parametrize("is_closed", [True, False])
@pytest.mark.parametrize("skip_existing", [True, False])
@pytest.mark.parametrize("is_close_first", [True, False])
def test_they_are_requested_once_and_stored_under_both_dates(
    *, is_closed: bool, skip_existing: bool, is_close_first: bool
) -> None:
    it = Sharing(skip_existing=skip_existing, is_closed=is_closed)
    days = [it.close, it.date] if is_close_first else [it.date, it.close]
    assert [it.collect(day).kind for day in days] == [OutcomeKind.PROCESSED] * 2
    assert it.asked == list(DISTRICT_REPORTS)
    close, same = it.storage.snapshots.rows[DAY, "01"], it.storage.snapshots.rows[CLOSE, "01"]
    assert (close.date, close.is_final, close.data_month, close.as_of) == (DAY, is_closed, DAY, CLOSE)
    assert (same.date, same.is_final, same.data_month, same.as_of) == (CLOSE, False, DAY, CLOSE)
    assert close.reports == same.reports
    assert close.job_id == same.job_id == it.job.id


def test_the_summary_is_shared_too_and_each_district_only_with_itself() -> None:
    it = Sharing()
    for day in (it.close, it.date):
        for district in (SUMMARY, "01"):
            it.collect(day, district)
    it.collect(it.date, "02")
    assert len(it.asked) == 1 + 3 + 3


def test_another_date_of_the_month_is_requested_by_itself() -> None:
    it = Sharing()
    for day in (it.close, it.day_before, it.date):
        assert it.collect(day).kind is OutcomeKind.PROCESSED
    assert len(it.asked) == 6
    assert (
        it.storage.snapshots.rows[BEFORE, "01"].reports[CLUBS].content
        == b"clubperformance~01~1/31/2024~2/8/2024~2023-2024"
    )


def test_an_item_without_a_request_says_that_it_took_no_attempt() -> None:
    it = Sharing()
    assert (it.collect(it.close).attempts, it.collect(it.date).attempts) == (1, 0)


@pytest.mark.parametrize("skip_existing", [True, False])
def test_they_are_shared_after_a_resume(*, skip_existing: bool) -> None:
    it = Sharing(skip_existing=skip_existing)
    it.collect(it.close)
    assert it.resumed().collect(it.date).kind is OutcomeKind.PROCESSED
    assert len(it.asked) == 3


def test_a_final_close_of_an_earlier_job_is_stored_under_the_other_date_without_a_request() -> None:
    it = Sharing()
    it.storage.snapshots.put(stored := a_snapshot())
    assert it.collect(it.date) == Outcome(WorkItem(CLOSE, "01"), OutcomeKind.PROCESSED, NOW)
    assert it.asked == []
    assert it.storage.snapshots.rows[CLOSE, "01"].reports == stored.reports


def test_where_stored_ones_are_to_be_collected_again_both_are_fetched_once() -> None:
    """Also where the figures have not changed, so that what is stored stays that of the earlier job."""
    it = Sharing(skip_existing=False)
    reports = {
        name: a_report(ReportRequest(report=name, district="01", edition=an_edition()).report_string.encode())
        for name in DISTRICT_REPORTS
    }
    earlier = a_snapshot(reports=reports, fetched_at=NOW - timedelta(days=9))
    it.storage.snapshots.put(earlier)
    it.storage.snapshots.put(replace(earlier, date=CLOSE, is_final=False))
    it.collect(it.close)
    it.collect(it.date)
    assert len(it.asked) == 3
    assert it.storage.snapshots.rows[DAY, "01"] == earlier


@pytest.mark.parametrize(
    "fields",
    [
        {"is_final": False},  # the month was open: its figures may have changed since
        {"as_of": BEFORE},
        {"data_month": date(2023, 12, 31)},
    ],
)
def test_what_an_earlier_job_stored_is_used_only_if_it_is_that_very_final_close(fields: dict[str, Any]) -> None:
    it = Sharing()
    it.storage.snapshots.put(a_snapshot(**fields))
    it.collect(it.date)
    assert len(it.asked) == 3


def test_a_date_that_was_stored_while_the_month_was_open_does_not_become_its_close() -> None:
    it = Sharing()
    it.storage.snapshots.put(a_snapshot(CLOSE, data_month=DAY, is_final=False))
    it.collect(it.close)
    assert len(it.asked) == 3


def test_a_stored_close_that_cannot_be_read_is_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Sharing()

    def get(*_: object) -> None:
        raise CorruptRecord("The snapshot cannot be read.")

    monkeypatch.setattr(MemorySnapshots, "get", get)
    assert it.collect(it.date).attempts == 1
    assert len(it.asked) == 3


def test_if_the_first_fails_the_second_is_requested_by_itself() -> None:
    it = Sharing()
    it.told(*[ServerError("500")] * 5)
    assert it.collect(it.close).kind is OutcomeKind.FAILED
    it.asked.clear()
    assert it.collect(it.date).kind is OutcomeKind.PROCESSED


def test_a_close_that_moved_to_the_archive_is_not_taken_from_what_the_live_year_had() -> None:
    """June is requested with an empty as-of day there, and only that gives the final figures."""
    it = Sharing(is_closed=False)
    it.collect(it.date)
    it.dashboard.pages[DAY, False] = [a_page(date(2024, 8, 31), date(2024, 8, 1))]
    it.dashboard.pages[DAY, True] = [a_page(DAY, BEFORE, CLOSE, has_blank_close=True, close=CLOSE)]
    it.dashboard.answers[CLUBS, "02"] += [WrongAsOf("day"), WrongAsOf("day")]
    assert it.collect(it.day_before, "02").kind is OutcomeKind.PROCESSED  # learns of the move
    assert it.collect(it.close).kind is OutcomeKind.PROCESSED
    assert it.storage.snapshots.rows[DAY, "01"].reports[CLUBS].content == b"clubperformance~01~1/31/2024~~2023-2024"
    assert it.storage.snapshots.rows[DAY, "01"].is_final


def test_the_two_are_not_at_work_at_once() -> None:
    it, asks, may_answer = Sharing(clock=SYSTEM_CLOCK), threading.Event(), threading.Event()
    answer = it.dashboard.report

    def report(request: ReportRequest) -> Report:
        asks.set()
        assert may_answer.wait(5)
        return answer(request)

    it.dashboard.report = report  # type: ignore[method-assign]
    outcomes: list[Outcome] = []
    threads = [threading.Thread(target=lambda day=day: outcomes.append(it.collect(day))) for day in (it.close, it.date)]
    threads[0].start()
    assert asks.wait(5)
    threads[1].start()
    other = threading.Thread(target=lambda: outcomes.append(it.collect(it.date, "02")))
    other.start()  # another district need not wait
    assert eventually(lambda: it.limiter.report().requests_made == 2)
    assert not eventually(lambda: it.limiter.report().requests_made > 2, within=0.1)
    may_answer.set()
    for thread in (*threads, other):
        thread.join(5)
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.PROCESSED] * 3
    assert len(it.asked) == 6


def test_other_cadences_look_for_no_other_date(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Sharing(cadence=Cadence.MONTH_ENDS)
    monkeypatch.setattr(MemorySnapshots, "get", None)
    assert it.collect(it.close).kind is OutcomeKind.PROCESSED


# The plan.


def requests(*stored: StoredEdition, first: date = DAY, skip_existing: bool = True) -> int:
    return plan_of(first, CLOSE, JANUARY, stored=stored, skip_existing=skip_existing).requests


def test_a_plan_counts_them_once() -> None:
    assert requests() == 10
    assert requests(first=CLOSE) == 10
    plan = plan_of(date(2024, 1, 30), date(2024, 3, 8), JANUARY, FEBRUARY)  # two pairs
    assert plan.requests == (len(plan.days) - 2) * 10
    assert unpack_plan(pack_plan(plan), "plan").requests == plan.requests


@pytest.mark.parametrize(
    ("stored", "skip_existing", "expected"),
    [
        (held(DAY, CLOSE, *DISTRICTS, is_final=True), True, 0),
        (held(DAY, CLOSE, "01", is_final=True), True, 7),
        (held(DAY, CLOSE, *DISTRICTS, is_final=True), False, 10),
        (held(DAY, CLOSE, *DISTRICTS, is_final=False), True, 10),
        (held(CLOSE, CLOSE, *DISTRICTS, is_final=False), True, 10),  # the close is requested, the date is there
    ],
)
def test_a_plan_counts_no_request_for_what_is_stored(
    stored: StoredEdition, expected: int, *, skip_existing: bool
) -> None:
    assert requests(stored, skip_existing=skip_existing) == expected


def test_a_close_that_is_stored_and_lies_before_the_range_is_counted_too() -> None:
    assert requests(held(DAY, CLOSE, *DISTRICTS, is_final=True), first=CLOSE) == 0


def test_a_retry_of_both_counts_them_once() -> None:
    plan = plan_of(DAY, CLOSE, JANUARY)
    items = [WorkItem(DAY, "01"), WorkItem(CLOSE, "01"), WorkItem(CLOSE, "F")]
    assert narrowed(plan, items).requests == 6


def test_the_work_that_is_done_does_not_pass_the_work_that_is_planned() -> None:
    plan = plan_of(DAY, CLOSE, JANUARY)
    progress_counter = ProgressCounter(plan, JobType.DATA_COLLECTION.description.requests_of)
    for day, attempts in zip(plan.days, (1, 0), strict=True):
        progress_counter.add([Outcome(item, OutcomeKind.PROCESSED, NOW, attempts=attempts) for item in day.items()])
    assert progress_counter.work() == (10, 10)
    assert progress_counter.progress((), LimiterReport(), NOW).processed == 8
