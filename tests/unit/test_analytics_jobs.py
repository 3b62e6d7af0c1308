"""Analytics jobs over stored snapshots: their items, results, skipped items and failures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from backfill.analytics import SCHEMA_VERSION, district_result
from backfill.domain import (
    DISTRICT_REPORTS,
    SUMMARY,
    Cadence,
    Job,
    JobConfig,
    JobType,
    Lease,
    Outcome,
    OutcomeKind,
    Plan,
    RateLimits,
    Result,
    SkipReason,
    Snapshot,
)
from backfill.errors import CorruptRecord, InvalidRequest, LeaseLost, StorageUnavailable
from backfill.job_types.analytics import related_snapshots
from backfill.job_types.analytics.handler import AnalyticsHandler
from backfill.job_types.analytics.related_snapshots import LastOfMonth, year_before
from backfill.job_types.compute.local import LocalCompute
from backfill.storage import Fence
from tests.memory_storage import MemoryResults, MemoryStorage
from tests.unit.analytics.builders import AClub, some_clubs
from tests.unit.fakes import DAY, NOW, FakeClock, RecordingLimiter, a_report, a_running_job
from tests.unit.stored_snapshots import BROKEN, a_district, a_summary, broken

NEXT = DAY + timedelta(days=1)
A_YEAR_AGO = date(2023, 1, 31)


class AnalyticsScenario:
    """A store with snapshots, and an analytics job that runs one bundle at a time."""

    def __init__(self, *snapshots: Snapshot) -> None:
        self.storage, self.clock = MemoryStorage(), FakeClock()
        self.put(*snapshots)
        self.handler = AnalyticsHandler(self.storage, lambda _: LocalCompute(), now=self.clock)

    def put(self, *snapshots: Snapshot) -> None:
        for snapshot in snapshots:
            self.storage.snapshots.rows[snapshot.date, snapshot.district] = snapshot

    def plan(self, first: date | None = None, last: date | None = None, **config: Any) -> Plan:
        return self.handler.plan(JobConfig(start_date=first, end_date=last, **config), NOW)

    def job(self, **config: Any) -> Job:
        lease = Lease(owner="runner", expires_at=NOW + timedelta(days=1))
        job = a_running_job(job_type=JobType.ANALYTICS_GENERATION, lease=lease)
        return self.storage.jobs.put_in(replace(job, config=JobConfig(start_date=None, end_date=None, **config)))

    def run(self, job: Job | None = None, plan: Plan | None = None) -> dict[str, Outcome]:
        """Processes all items of a plan as a runner does, and returns the outcomes by item key."""
        job = job or self.job()
        execution = self.handler.execute(job, Fence(job.id, job.token), RecordingLimiter(self.storage))
        outcomes: list[Outcome] = []
        for day in (plan or self.plan()).days:
            done = list(execution.skips(day))
            settled = {outcome.item for outcome in done}
            outcomes += done
            left = [item for item in day.items() if item not in settled]
            for start in range(0, len(left), execution.bundle_size):
                outcomes += execution.process(day, left[start : start + execution.bundle_size])
        execution.close()
        return {outcome.item.key: outcome for outcome in outcomes}

    def result(self, day: date = DAY, district: str = "91") -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.storage.results.rows[day, district].body)
        return body


def items(plan: Plan) -> list[str]:
    return [item.key for day in plan.days for item in day.items()]


def kinds(outcomes: dict[str, Outcome]) -> dict[str, str]:
    return {key: str(outcome.kind) for key, outcome in outcomes.items()}


# Items.


def test_items_are_the_stored_snapshots_by_date_with_the_summary_first() -> None:
    """R2.3, R4.5: without a date range, all snapshots are items."""
    scenario = AnalyticsScenario(a_district(NEXT, "91"), a_district(DAY, "F"), a_district(DAY, "91"), a_summary(DAY))
    plan = scenario.plan()
    assert items(plan) == ["2024-01-31/all", "2024-01-31/91", "2024-01-31/F", "2024-02-01/91"]
    assert (plan.requests, plan.unpublished_dates) == (0, 0)


def test_a_date_range_a_cadence_and_districts_limit_the_items() -> None:
    """R4.2"""
    june = date(2023, 6, 30)
    scenario = AnalyticsScenario(
        *(a_district(day, d) for day in (june, DAY, NEXT) for d in ("91", "F")), a_summary(DAY)
    )
    assert items(scenario.plan(first=DAY, last=DAY)) == ["2024-01-31/all", "2024-01-31/91", "2024-01-31/F"]
    assert {day.date for day in scenario.plan(cadence=Cadence.MONTH_ENDS).days} == {june, DAY}
    assert {day.date for day in scenario.plan(cadence=Cadence.YEAR_ENDS).days} == {june}
    assert items(scenario.plan(first=DAY, target_districts=("F",))) == [
        "2024-01-31/all",
        "2024-01-31/F",
        "2024-02-01/F",
    ]


def test_a_district_without_a_stored_snapshot_is_refused_by_name() -> None:
    scenario = AnalyticsScenario(a_district())
    with pytest.raises(InvalidRequest, match="No snapshot of district 77 is stored for these dates; collect it first"):
        scenario.plan(target_districts=("77",))


def test_an_empty_store_has_no_items() -> None:
    assert items(AnalyticsScenario().plan()) == []


def test_a_snapshot_that_was_just_stored_is_an_item() -> None:
    scenario = AnalyticsScenario(a_district())
    assert len(items(scenario.plan())) == 1
    scenario.put(a_district(NEXT))
    assert len(items(scenario.plan())) == 2


# Results.


def test_district_and_world_results_are_computed_and_stored() -> None:
    """R2.3"""
    scenario = AnalyticsScenario(a_district(clubs=some_clubs(4, members="21")), a_summary(DAY, {"Active Clubs": "4"}))
    assert kinds(scenario.run()) == {"2024-01-31/all": "processed", "2024-01-31/91": "processed"}
    result = scenario.result()
    assert (result["membership"]["total"], result["clubs"]["open"], result["quality"]) == (84, 4, [])
    assert result["sourceHash"] == scenario.storage.snapshots.rows[DAY, "91"].content_hash
    world = scenario.result(district=SUMMARY)
    assert result["rankings"] == world["districts"]["91"]
    stored = scenario.storage.results.rows[DAY, "91"]
    assert stored.point == result["point"]
    assert (stored.schema_version, stored.computed_at, str(stored.program_year)) == (SCHEMA_VERSION, NOW, "2023-2024")


def test_the_same_snapshots_produce_identical_bytes() -> None:
    snapshots = [a_district(), a_summary(), a_district(A_YEAR_AGO)]
    first, second = AnalyticsScenario(*snapshots), AnalyticsScenario(*snapshots)
    second.clock.forward(days=3)
    first.run()
    second.run()
    assert {key: r.body for key, r in first.storage.results.rows.items()} == {
        key: r.body for key, r in second.storage.results.rows.items()
    }


def test_quality_notes_are_counted_in_the_outcome_and_listed_in_the_result() -> None:
    scenario = AnalyticsScenario(a_district())
    outcome = scenario.run()["2024-01-31/91"]
    assert outcome.quality == {"SUMMARY_MISSING": 1}
    assert [note["code"] for note in scenario.result()["quality"]] == ["SUMMARY_MISSING"]
    assert scenario.storage.results.rows[DAY, "91"].quality == {"SUMMARY_MISSING": 1}


# The previous year.


def test_a_result_is_compared_with_the_same_month_of_the_previous_year() -> None:
    scenario = AnalyticsScenario(
        a_district(A_YEAR_AGO, clubs=some_clubs(4, members="15")), a_district(clubs=some_clubs(4, members="18"))
    )
    scenario.run()
    assert scenario.result()["yearOverYear"]["members"] == {
        "current": 72,
        "previous": 60,
        "change": 12,
        "percent": 20.0,
    }
    assert scenario.result(A_YEAR_AGO)["yearOverYear"] is None


def test_the_comparison_does_not_need_a_result_of_the_previous_year() -> None:
    """A job with a later start date compares with the snapshot of the previous year."""
    scenario = AnalyticsScenario(a_district(A_YEAR_AGO, clubs=some_clubs(4, members="15")), a_district())
    scenario.run(plan=scenario.plan(first=DAY))
    assert (A_YEAR_AGO, "91") not in scenario.storage.results.rows
    assert scenario.result()["yearOverYear"]["members"]["previous"] == 60


@pytest.mark.parametrize("changes", [{"source_hash": "of another content"}, {"schema_version": SCHEMA_VERSION - 1}])
def test_an_outdated_result_of_the_previous_year_is_not_used(changes: dict[str, Any]) -> None:
    scenario = AnalyticsScenario(a_district(A_YEAR_AGO, clubs=some_clubs(4, members="15")), a_district())
    scenario.run(plan=scenario.plan(last=A_YEAR_AGO))
    stored = scenario.storage.results.rows[A_YEAR_AGO, "91"]
    scenario.storage.results.put([replace(stored, point={**(stored.point or {}), "members": 999}, **changes)])
    scenario.run(plan=scenario.plan(first=DAY))
    assert scenario.result()["yearOverYear"]["members"]["previous"] == 60


@pytest.mark.parametrize("in_another_job", [False, True], ids=["computed by this job", "read from the snapshot"])
def test_joined_and_left_clubs_are_computed_from_both_snapshots(in_another_job: bool) -> None:
    """This holds if this job, another job, or no job computed the result of the previous year."""
    clubs = some_clubs(10)
    before = [*clubs[2:], AClub(number="77", status="Suspended"), AClub(number="78")]
    scenario = AnalyticsScenario(a_district(A_YEAR_AGO, clubs=before), a_district(clubs=clubs))
    if in_another_job:
        scenario.run(plan=scenario.plan(last=A_YEAR_AGO))
        scenario.run(plan=scenario.plan(first=DAY))
    else:
        scenario.run()
    compared = scenario.result()["yearOverYear"]
    assert (compared["comparable"], compared["clubsJoined"], compared["clubsLeft"]) == (False, 2, 1)
    alone = AnalyticsScenario(a_district(A_YEAR_AGO, clubs=before), a_district(clubs=clubs))
    alone.run(plan=alone.plan(first=DAY))
    assert alone.storage.results.rows[DAY, "91"].body == scenario.storage.results.rows[DAY, "91"].body


def test_comparisons_are_correct_if_the_cache_of_the_previous_year_overflows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(related_snapshots, "_CACHE_SIZE", 2)
    scenario = AnalyticsScenario(*(a_district(day, d) for day in (A_YEAR_AGO, DAY) for d in ("91", "92", "93", "F")))
    scenario.run()
    for district in ("91", "92", "93", "F"):
        assert scenario.result(district=district)["yearOverYear"]["comparable"] is True


# Columns that are blank on the whole date.


def blank(district: str, day: date = DAY) -> Snapshot:
    return a_district(day, district, dates=False)


def test_charter_dates_that_are_blank_in_every_district_are_null_with_a_note() -> None:
    scenario = AnalyticsScenario(blank("91"), blank("F"), a_summary(DAY, {"Active Clubs": "4"}))
    outcomes = scenario.run()
    assert scenario.result()["clubs"]["chartered"] is None
    assert outcomes["2024-01-31/91"].quality == {"COLUMN_BLANK": 1}


@pytest.mark.parametrize("others", [("F",), tuple(f"{n:02d}" for n in range(1, 41))], ids=["bundle", "other bundle"])
def test_charter_dates_are_known_if_another_district_of_the_date_has_them(others: tuple[str, ...]) -> None:
    *rest, last = others
    scenario = AnalyticsScenario(blank("91"), *map(blank, rest), a_district(district=last))
    scenario.run()
    assert scenario.result()["clubs"]["chartered"] == 0


def test_charter_dates_are_not_blank_while_a_district_of_the_summary_is_not_stored() -> None:
    scenario = AnalyticsScenario(blank("91"), a_summary(DAY, {"Active Clubs": "4"}, {"DISTRICT": "F"}))
    scenario.run()
    assert (scenario.result()["clubs"]["chartered"], scenario.result()["quality"]) == (0, [])


def test_a_snapshot_stored_later_decides_whether_the_dates_of_another_district_are_blank() -> None:
    """The results equal those of one job over the same snapshots, regardless of earlier results."""
    summary = a_summary(DAY, {"Active Clubs": "4"}, {"DISTRICT": "F", "Active Clubs": "4"})
    scenario = completed(AnalyticsScenario(blank("91"), summary))
    scenario.put(blank("F"))
    assert kinds(scenario.run())["2024-01-31/91"] == "processed"
    assert scenario.result()["clubs"]["chartered"] is None
    scenario.put(a_district(district="F"))
    assert kinds(scenario.run())["2024-01-31/91"] == "processed"
    assert scenario.result()["clubs"]["chartered"] == 0
    assert scenario.plan().skipped == {SkipReason.UNCHANGED: 3}


def test_blank_charter_dates_are_null_if_the_only_other_district_is_unreadable() -> None:
    unreadable = replace(a_district(district="F"), reports={name: a_report(BROKEN) for name in DISTRICT_REPORTS})
    scenario = AnalyticsScenario(blank("91"), unreadable)
    scenario.run()
    assert scenario.result()["clubs"]["chartered"] is None


def test_the_last_snapshot_of_a_month_is_its_close_or_has_the_newest_as_of_date() -> None:
    early = a_district(date(2023, 2, 3), data_month=A_YEAR_AGO, as_of=date(2023, 2, 3), is_final=False)
    late = a_district(date(2023, 2, 7), data_month=A_YEAR_AGO, as_of=date(2023, 2, 7), is_final=False)
    close = a_district(A_YEAR_AGO, as_of=date(2023, 2, 6))
    scenario = AnalyticsScenario(early, late)
    own = next(scenario.storage.snapshots.metadata(early.date, early.date))
    target = replace(a_district(), data_month=DAY)
    target_metadata = own._replace(date=target.date, data_month=DAY)
    last = LastOfMonth(scenario.storage.snapshots.metadata(date(2023, 1, 1), date(2023, 3, 1))).before(target_metadata)
    assert last is not None
    assert last.date == late.date
    scenario.put(close)
    last = LastOfMonth(scenario.storage.snapshots.metadata(date(2023, 1, 1), date(2023, 3, 1))).before(target_metadata)
    assert last is not None
    assert last.date == A_YEAR_AGO


def test_a_year_before_february_29_is_february_28() -> None:
    assert year_before(date(2024, 2, 29)) == date(2023, 2, 28)
    assert year_before(date(2025, 2, 28)) == date(2024, 2, 29)


# Skipped and stale results.


def completed(scenario: AnalyticsScenario) -> AnalyticsScenario:
    scenario.run()
    return scenario


EVERYTHING = (a_district(A_YEAR_AGO), a_summary(A_YEAR_AGO), a_district(), a_district(district="F"), a_summary())


def test_computed_results_are_skipped_as_unchanged() -> None:
    """R2.3, R11.2"""
    scenario = completed(AnalyticsScenario(*EVERYTHING))
    plan = scenario.plan()
    assert (plan.skipped, plan.stale) == ({SkipReason.UNCHANGED: 5}, 0)
    outcomes = scenario.run()
    assert {(outcome.kind, outcome.reason) for outcome in outcomes.values()} == {
        (OutcomeKind.SKIPPED, SkipReason.UNCHANGED)
    }


def test_all_results_are_computed_again_if_stored_ones_are_not_skipped() -> None:
    scenario = completed(AnalyticsScenario(*EVERYTHING))
    assert scenario.plan(skip_existing=False).skipped == {}
    assert set(kinds(scenario.run(scenario.job(skip_existing=False))).values()) == {"processed"}


@pytest.mark.parametrize(
    ("changed", "stale"),
    [
        (a_district(clubs=some_clubs(4, members="9")), {"2024-01-31/91"}),
        (
            a_district(A_YEAR_AGO, clubs=some_clubs(4, members="9")),
            {"2023-01-31/91", "2024-01-31/91"},  # the following year depends on it
        ),
        (
            a_summary(DAY, {"Active Clubs": "9"}),
            {"2024-01-31/all", "2024-01-31/91", "2024-01-31/F"},  # every district of the date depends on it
        ),
        (a_district(as_of=date(2024, 2, 10)), {"2024-01-31/91"}),  # the same figures with another as-of date
    ],
    ids=["its own snapshot", "that of the previous year", "the summary", "another as-of date"],
)
def test_results_that_depend_on_a_changed_snapshot_are_stale(changed: Snapshot, stale: set[str]) -> None:
    scenario = completed(AnalyticsScenario(*EVERYTHING))
    scenario.put(changed)
    plan = scenario.plan()
    assert (plan.stale, plan.skipped) == (len(stale), {SkipReason.UNCHANGED: 5 - len(stale)})
    assert {key for key, outcome in scenario.run().items() if outcome.kind is OutcomeKind.PROCESSED} == stale
    assert scenario.plan().skipped == {SkipReason.UNCHANGED: 5}


def test_a_snapshot_stored_later_makes_only_the_following_year_stale() -> None:
    scenario = completed(AnalyticsScenario(a_district(), a_district(NEXT, data_month=date(2024, 2, 29))))
    scenario.put(a_district(A_YEAR_AGO))
    assert scenario.plan().stale == 1
    assert set(kinds(scenario.run()).values()) == {"processed", "skipped"}


def test_results_of_older_rules_are_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = completed(AnalyticsScenario(a_district()))
    monkeypatch.setattr("backfill.job_types.analytics.plan.SCHEMA_VERSION", SCHEMA_VERSION + 1)
    assert scenario.plan().stale == 1


def test_results_stored_by_this_job_before_a_kill_count_as_processed() -> None:
    """R10.3"""
    scenario = AnalyticsScenario(*EVERYTHING)
    job = scenario.job()
    scenario.run(job)
    again = scenario.run(job)
    assert set(kinds(again).values()) == {"processed"}
    assert again["2024-01-31/91"].quality == scenario.storage.results.rows[DAY, "91"].quality


def test_unreadable_results_stored_by_this_job_are_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = AnalyticsScenario(*EVERYTHING)
    job = scenario.job()
    before = scenario.run(job)

    def damaged(_: object, day: date, district: str) -> Result | None:
        raise CorruptRecord(f"The result {day}/{district} cannot be read: damaged.")

    monkeypatch.setattr(MemoryResults, "get", damaged)
    scenario.storage.results.rows = {key: replace(r, body=b"?") for key, r in scenario.storage.results.rows.items()}
    assert kinds(scenario.run(job)) == kinds(before)
    assert scenario.result()["districtId"] == "91"


# Invalid input.


def only_failure(outcomes: dict[str, Outcome]) -> Outcome:
    (failure,) = [outcome for outcome in outcomes.values() if outcome.kind is OutcomeKind.FAILED]
    return failure


def test_a_broken_snapshot_fails_its_item_with_the_reason_and_the_job_continues() -> None:
    """R5.4"""
    scenario = AnalyticsScenario(broken(a_district()), a_district(district="F"), a_summary(), a_district(NEXT))
    outcomes = scenario.run()
    failure = only_failure(outcomes)
    assert (failure.item.key, failure.reason, failure.is_retryable) == ("2024-01-31/91", "MALFORMED_ROW", False)
    assert "clubperformance of snapshot 2024-01-31/91 has 1 cells in row 1, and 2 in its header" in failure.message
    assert len(scenario.storage.results.rows) == 3


def test_a_broken_snapshot_of_the_previous_year_fails_only_its_own_item() -> None:
    scenario = AnalyticsScenario(broken(a_district(A_YEAR_AGO)), a_summary(DAY, {"Active Clubs": "4"}), a_district())
    outcomes = scenario.run()
    assert only_failure(outcomes).item.key == "2023-01-31/91"
    assert outcomes["2024-01-31/91"].quality == {"YEAR_BEFORE_UNREADABLE": 1}
    result = scenario.result()
    assert result["yearOverYear"] is None
    assert "clubperformance of snapshot 2023-01-31/91 has 1 cells in row 1" in result["quality"][0]["message"]
    scenario.put(a_district(A_YEAR_AGO))
    scenario.run()
    assert scenario.result()["yearOverYear"]["members"]["change"] == 0
    assert scenario.result()["quality"] == []


def test_an_unreadable_summary_fails_its_item_and_is_noted_in_each_district() -> None:
    scenario = AnalyticsScenario(a_district(), a_summary(DAY, {"DISTRICT": "?"}))
    outcomes = scenario.run()
    assert only_failure(outcomes).reason == "UNREADABLE_SNAPSHOT"
    assert outcomes["2024-01-31/91"].quality == {"SUMMARY_MISSING": 1}


def test_a_corrupt_record_fails_its_item(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = AnalyticsScenario(a_district(), a_district(district="F"))
    get = scenario.storage.snapshots.get

    def damaged(day: date, district: str) -> Snapshot | None:
        if district == "F":
            raise CorruptRecord(f"The snapshot {day}/{district} cannot be read: damaged.")
        return get(day, district)

    monkeypatch.setattr(scenario.storage.snapshots, "get", damaged)
    failure = only_failure(scenario.run())
    assert (failure.item.key, failure.reason) == ("2024-01-31/F", "CORRUPT_RECORD")


def test_a_deleted_snapshot_fails_its_item() -> None:
    scenario = AnalyticsScenario(a_district(), a_district(district="F"))
    plan = scenario.plan()
    del scenario.storage.snapshots.rows[DAY, "F"]
    failure = only_failure(scenario.run(plan=plan))
    assert (failure.item.key, failure.reason) == ("2024-01-31/F", "SNAPSHOT_NOT_FOUND")


def test_an_unexpected_error_fails_only_its_item(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scenario = AnalyticsScenario(a_district(), a_district(district="F"))

    def faulty(source: Any) -> dict[str, Any]:
        if source.district == "F":
            raise ZeroDivisionError("a fault")
        return district_result(source)

    monkeypatch.setattr("backfill.job_types.compute.tasks.district_result", faulty)
    failure = only_failure(scenario.run())
    assert (failure.reason, failure.is_retryable) == ("UNEXPECTED_ERROR", True)
    assert "Traceback" in caplog.text
    assert len(scenario.storage.results.rows) == 1


def test_a_store_outage_leaves_the_bundle_unprocessed() -> None:
    scenario = AnalyticsScenario(a_district())
    job, plan = scenario.job(), scenario.plan()
    execution = scenario.handler.execute(job, Fence(job.id, job.token), RecordingLimiter(scenario.storage))
    list(execution.skips(plan.days[0]))
    scenario.storage.store.is_down = True
    with pytest.raises(StorageUnavailable):
        execution.process(plan.days[0], list(plan.days[0].items()))
    scenario.storage.store.is_down = False
    assert scenario.storage.results.rows == {}


def test_a_former_runner_stores_nothing() -> None:
    scenario = AnalyticsScenario(a_district())
    job, plan = scenario.job(), scenario.plan()
    execution = scenario.handler.execute(job, Fence(job.id, job.token - 1), RecordingLimiter(scenario.storage))
    with pytest.raises(LeaseLost):
        execution.process(plan.days[0], list(plan.days[0].items()))
    assert scenario.storage.results.rows == {}


def test_the_rate_limits_do_not_limit_analytics_jobs() -> None:
    scenario = AnalyticsScenario()
    job = scenario.job()
    execution = scenario.handler.execute(job, Fence(job.id, 1), RecordingLimiter(scenario.storage))
    slow, fast = RateLimits(max_concurrent=1), RateLimits(max_concurrent=32)
    assert execution.concurrency(slow) == execution.concurrency(fast) == LocalCompute.concurrency


def test_a_job_has_one_more_bundle_in_progress_if_the_store_waits_for_a_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario = AnalyticsScenario()
    monkeypatch.setattr(scenario.storage.results, "bundles_ahead", 1)
    job = scenario.job()
    execution = scenario.handler.execute(job, Fence(job.id, 1), RecordingLimiter(scenario.storage))
    assert execution.concurrency(RateLimits()) == LocalCompute.concurrency + 1


def bundles(count: int) -> Sequence[Snapshot]:
    return [a_district(district=f"{n:02d}") for n in range(1, count + 1)]


def test_more_districts_than_fit_into_a_bundle_are_all_computed() -> None:
    scenario = AnalyticsScenario(*bundles(40), a_summary())
    assert len(scenario.run()) == len(scenario.storage.results.rows) == 41
