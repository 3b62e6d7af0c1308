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
from tests.unit.test_collection_jobs import CLUBS, CollectionScenario
from tests.unit.test_collection_plan import FEBRUARY, JANUARY, plan_of, stored_on

CLOSE = date(2024, 2, 9)
BEFORE = CLOSE - timedelta(days=1)
DISTRICTS = (SUMMARY, "01", "02", "F")


class SharedReportsScenario(CollectionScenario):
    """A job over the close of January, the date of its publication, and the day before that date."""

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

    def resumed(self) -> SharedReportsScenario:
        self.execution = self.handler.execute(self.job, Fence(self.job.id, 1), self.limiter)
        return self


@pytest.mark.parametrize("is_closed", [True, False])
@pytest.mark.parametrize("skip_existing", [True, False])
@pytest.mark.parametrize("is_close_first", [True, False])
def test_the_reports_are_requested_once_and_stored_under_both_dates(
    *, is_closed: bool, skip_existing: bool, is_close_first: bool
) -> None:
    scenario = SharedReportsScenario(skip_existing=skip_existing, is_closed=is_closed)
    days = [scenario.close, scenario.date] if is_close_first else [scenario.date, scenario.close]
    assert [scenario.collect(day).kind for day in days] == [OutcomeKind.PROCESSED] * 2
    assert scenario.requested_reports == list(DISTRICT_REPORTS)
    close, same = scenario.storage.snapshots.rows[DAY, "01"], scenario.storage.snapshots.rows[CLOSE, "01"]
    assert (close.date, close.is_final, close.data_month, close.as_of) == (DAY, is_closed, DAY, CLOSE)
    assert (same.date, same.is_final, same.data_month, same.as_of) == (CLOSE, False, DAY, CLOSE)
    assert close.reports == same.reports
    assert close.job_id == same.job_id == scenario.job.id


def test_the_summary_is_shared_and_districts_share_only_their_own_reports() -> None:
    scenario = SharedReportsScenario()
    for day in (scenario.close, scenario.date):
        for district in (SUMMARY, "01"):
            scenario.collect(day, district)
    scenario.collect(scenario.date, "02")
    assert len(scenario.requested_reports) == 1 + 3 + 3


def test_another_date_of_the_month_is_requested_separately() -> None:
    scenario = SharedReportsScenario()
    for day in (scenario.close, scenario.day_before, scenario.date):
        assert scenario.collect(day).kind is OutcomeKind.PROCESSED
    assert len(scenario.requested_reports) == 6
    assert (
        scenario.storage.snapshots.rows[BEFORE, "01"].reports[CLUBS].content
        == b"clubperformance~01~1/31/2024~2/8/2024~2023-2024"
    )


def test_an_item_without_a_request_has_no_attempts() -> None:
    scenario = SharedReportsScenario()
    assert (scenario.collect(scenario.close).attempts, scenario.collect(scenario.date).attempts) == (1, 0)


@pytest.mark.parametrize("skip_existing", [True, False])
def test_reports_are_shared_after_a_resume(*, skip_existing: bool) -> None:
    scenario = SharedReportsScenario(skip_existing=skip_existing)
    scenario.collect(scenario.close)
    assert scenario.resumed().collect(scenario.date).kind is OutcomeKind.PROCESSED
    assert len(scenario.requested_reports) == 3


def test_a_final_close_of_an_earlier_job_is_copied_to_the_other_date_without_a_request() -> None:
    scenario = SharedReportsScenario()
    scenario.storage.snapshots.put(stored := a_snapshot())
    assert scenario.collect(scenario.date) == Outcome(WorkItem(CLOSE, "01"), OutcomeKind.PROCESSED, NOW)
    assert scenario.requested_reports == []
    assert scenario.storage.snapshots.rows[CLOSE, "01"].reports == stored.reports


def test_both_are_fetched_once_if_stored_items_are_fetched_again() -> None:
    """This includes unchanged figures, for which the snapshot of the earlier job stays stored."""
    scenario = SharedReportsScenario(skip_existing=False)
    reports = {
        name: a_report(ReportRequest(report=name, district="01", edition=an_edition()).report_string.encode())
        for name in DISTRICT_REPORTS
    }
    earlier = a_snapshot(reports=reports, fetched_at=NOW - timedelta(days=9))
    scenario.storage.snapshots.put(earlier)
    scenario.storage.snapshots.put(replace(earlier, date=CLOSE, is_final=False))
    scenario.collect(scenario.close)
    scenario.collect(scenario.date)
    assert len(scenario.requested_reports) == 3
    assert scenario.storage.snapshots.rows[DAY, "01"] == earlier


@pytest.mark.parametrize(
    "fields",
    [
        {"is_final": False},  # the month was open: its figures may have changed since
        {"as_of": BEFORE},
        {"data_month": date(2023, 12, 31)},
    ],
)
def test_a_snapshot_of_an_earlier_job_is_used_only_if_it_is_the_same_final_close(fields: dict[str, Any]) -> None:
    scenario = SharedReportsScenario()
    scenario.storage.snapshots.put(a_snapshot(**fields))
    scenario.collect(scenario.date)
    assert len(scenario.requested_reports) == 3


def test_a_date_that_was_stored_while_the_month_was_open_does_not_become_its_close() -> None:
    scenario = SharedReportsScenario()
    scenario.storage.snapshots.put(a_snapshot(CLOSE, data_month=DAY, is_final=False))
    scenario.collect(scenario.close)
    assert len(scenario.requested_reports) == 3


def test_a_stored_close_that_cannot_be_read_is_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = SharedReportsScenario()

    def get(*_: object) -> None:
        raise CorruptRecord("The snapshot cannot be read.")

    monkeypatch.setattr(MemorySnapshots, "get", get)
    assert scenario.collect(scenario.date).attempts == 1
    assert len(scenario.requested_reports) == 3


def test_the_second_item_is_requested_separately_if_the_first_fails() -> None:
    scenario = SharedReportsScenario()
    scenario.respond_with(*[ServerError("500")] * 5)
    assert scenario.collect(scenario.close).kind is OutcomeKind.FAILED
    scenario.requested_reports.clear()
    assert scenario.collect(scenario.date).kind is OutcomeKind.PROCESSED


def test_a_close_that_moved_to_the_archive_does_not_use_reports_of_the_live_year() -> None:
    """In the archive, June is requested with a blank as-of date, and only this returns the final figures."""
    scenario = SharedReportsScenario(is_closed=False)
    scenario.collect(scenario.date)
    scenario.dashboard.pages[DAY, False] = [a_page(date(2024, 8, 31), date(2024, 8, 1))]
    scenario.dashboard.pages[DAY, True] = [a_page(DAY, BEFORE, CLOSE, has_blank_close=True, close=CLOSE)]
    scenario.dashboard.answers[CLUBS, "02"] += [WrongAsOf("day"), WrongAsOf("day")]
    assert scenario.collect(scenario.day_before, "02").kind is OutcomeKind.PROCESSED  # detects the move
    assert scenario.collect(scenario.close).kind is OutcomeKind.PROCESSED
    assert (
        scenario.storage.snapshots.rows[DAY, "01"].reports[CLUBS].content == b"clubperformance~01~1/31/2024~~2023-2024"
    )
    assert scenario.storage.snapshots.rows[DAY, "01"].is_final


def test_the_two_items_are_not_processed_at_the_same_time() -> None:
    scenario, has_requested, may_respond = (
        SharedReportsScenario(clock=SYSTEM_CLOCK),
        threading.Event(),
        threading.Event(),
    )
    answer = scenario.dashboard.report

    def report(request: ReportRequest) -> Report:
        has_requested.set()
        assert may_respond.wait(5)
        return answer(request)

    scenario.dashboard.report = report  # type: ignore[method-assign]
    outcomes: list[Outcome] = []
    threads = [
        threading.Thread(target=lambda day=day: outcomes.append(scenario.collect(day)))
        for day in (scenario.close, scenario.date)
    ]
    threads[0].start()
    assert has_requested.wait(5)
    threads[1].start()
    other = threading.Thread(target=lambda: outcomes.append(scenario.collect(scenario.date, "02")))
    other.start()  # another district does not wait
    assert eventually(lambda: scenario.limiter.report().requests_made == 2)
    assert not eventually(lambda: scenario.limiter.report().requests_made > 2, within=0.1)
    may_respond.set()
    for thread in (*threads, other):
        thread.join(5)
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.PROCESSED] * 3
    assert len(scenario.requested_reports) == 6


def test_other_cadences_do_not_search_for_the_other_date(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = SharedReportsScenario(cadence=Cadence.MONTH_ENDS)
    monkeypatch.setattr(MemorySnapshots, "get", None)
    assert scenario.collect(scenario.close).kind is OutcomeKind.PROCESSED


# The plan.


def requests(*stored: StoredEdition, first: date = DAY, skip_existing: bool = True) -> int:
    return plan_of(first, CLOSE, JANUARY, stored=stored, skip_existing=skip_existing).requests


def test_a_plan_counts_the_shared_requests_once() -> None:
    assert requests() == 10
    assert requests(first=CLOSE) == 10
    plan = plan_of(date(2024, 1, 30), date(2024, 3, 8), JANUARY, FEBRUARY)  # two pairs
    assert plan.requests == (len(plan.days) - 2) * 10
    assert unpack_plan(pack_plan(plan), "plan").requests == plan.requests


@pytest.mark.parametrize(
    ("stored", "skip_existing", "expected"),
    [
        (stored_on(DAY, CLOSE, *DISTRICTS, is_final=True), True, 0),
        (stored_on(DAY, CLOSE, "01", is_final=True), True, 7),
        (stored_on(DAY, CLOSE, *DISTRICTS, is_final=True), False, 10),
        (stored_on(DAY, CLOSE, *DISTRICTS, is_final=False), True, 10),
        (
            stored_on(CLOSE, CLOSE, *DISTRICTS, is_final=False),
            True,
            10,
        ),  # the close is requested, the date is there
    ],
)
def test_a_plan_counts_no_requests_for_stored_snapshots(
    stored: StoredEdition, expected: int, *, skip_existing: bool
) -> None:
    assert requests(stored, skip_existing=skip_existing) == expected


def test_a_stored_close_before_the_date_range_saves_requests() -> None:
    assert requests(stored_on(DAY, CLOSE, *DISTRICTS, is_final=True), first=CLOSE) == 0


def test_a_retry_of_both_items_counts_the_requests_once() -> None:
    plan = plan_of(DAY, CLOSE, JANUARY)
    items = [WorkItem(DAY, "01"), WorkItem(CLOSE, "01"), WorkItem(CLOSE, "F")]
    assert narrowed(plan, items).requests == 6


def test_the_work_done_does_not_exceed_the_planned_work() -> None:
    plan = plan_of(DAY, CLOSE, JANUARY)
    progress_counter = ProgressCounter(plan, JobType.DATA_COLLECTION.description.requests_of)
    for day, attempts in zip(plan.days, (1, 0), strict=True):
        progress_counter.add([Outcome(item, OutcomeKind.PROCESSED, NOW, attempts=attempts) for item in day.items()])
    assert progress_counter.work() == (10, 10)
    assert progress_counter.progress((), LimiterReport(), NOW).processed == 8
