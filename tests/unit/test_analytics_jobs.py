"""How results are computed from what is stored: which items there are, what is skipped, what fails and why."""

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


class Generating:
    """A store with snapshots, and a job over it that is run bundle by bundle."""

    def __init__(self, *snapshots: Snapshot) -> None:
        self.storage, self.clock = MemoryStorage(), FakeClock()
        self.put(*snapshots)
        self.work = AnalyticsHandler(self.storage, lambda _: LocalCompute(), now=self.clock)

    def put(self, *snapshots: Snapshot) -> None:
        for snapshot in snapshots:
            self.storage.snapshots.rows[snapshot.date, snapshot.district] = snapshot

    def plan(self, first: date | None = None, last: date | None = None, **config: Any) -> Plan:
        return self.work.plan(JobConfig(start_date=first, end_date=last, **config), NOW)

    def job(self, **config: Any) -> Job:
        lease = Lease(owner="runner", expires_at=NOW + timedelta(days=1))
        job = a_running_job(job_type=JobType.ANALYTICS_GENERATION, lease=lease)
        return self.storage.jobs.put_in(replace(job, config=JobConfig(start_date=None, end_date=None, **config)))

    def run(self, job: Job | None = None, plan: Plan | None = None) -> dict[str, Outcome]:
        """Every item of the plan by its key, as a runner would do them."""
        job = job or self.job()
        execution = self.work.execute(job, Fence(job.id, job.token), RecordingLimiter(self.storage))
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


# Which items.


def test_items_are_the_stored_snapshots_in_date_order_with_the_world_first() -> None:
    """R2.3, R4.5: without a range every snapshot."""
    it = Generating(a_district(NEXT, "91"), a_district(DAY, "F"), a_district(DAY, "91"), a_summary(DAY))
    plan = it.plan()
    assert items(plan) == ["2024-01-31/all", "2024-01-31/91", "2024-01-31/F", "2024-02-01/91"]
    assert (plan.requests, plan.unpublished_dates) == (0, 0)


def test_a_range_a_cadence_and_districts_narrow_the_items() -> None:
    """R4.2"""
    june = date(2023, 6, 30)
    it = Generating(*(a_district(day, d) for day in (june, DAY, NEXT) for d in ("91", "F")), a_summary(DAY))
    assert items(it.plan(first=DAY, last=DAY)) == ["2024-01-31/all", "2024-01-31/91", "2024-01-31/F"]
    assert {day.date for day in it.plan(cadence=Cadence.MONTH_ENDS).days} == {june, DAY}
    assert {day.date for day in it.plan(cadence=Cadence.YEAR_ENDS).days} == {june}
    assert items(it.plan(first=DAY, target_districts=("F",))) == [
        "2024-01-31/all",
        "2024-01-31/F",
        "2024-02-01/F",
    ]


def test_a_district_of_which_nothing_is_stored_is_refused_by_name() -> None:
    it = Generating(a_district())
    with pytest.raises(InvalidRequest, match="No snapshot of district 77 is stored for these dates; collect it first"):
        it.plan(target_districts=("77",))


def test_where_nothing_is_stored_there_is_no_item() -> None:
    assert items(Generating().plan()) == []


def test_a_snapshot_of_this_very_moment_is_an_item() -> None:
    it = Generating(a_district())
    assert len(items(it.plan())) == 1
    it.put(a_district(NEXT))
    assert len(items(it.plan())) == 2


# What is computed.


def test_a_district_and_the_world_are_computed_and_stored() -> None:
    """R2.3"""
    it = Generating(a_district(clubs=some_clubs(4, members="21")), a_summary(DAY, {"Active Clubs": "4"}))
    assert kinds(it.run()) == {"2024-01-31/all": "processed", "2024-01-31/91": "processed"}
    result = it.result()
    assert (result["membership"]["total"], result["clubs"]["open"], result["quality"]) == (84, 4, [])
    assert result["sourceHash"] == it.storage.snapshots.rows[DAY, "91"].content_hash
    world = it.result(district=SUMMARY)
    assert result["rankings"] == world["districts"]["91"]
    stored = it.storage.results.rows[DAY, "91"]
    assert stored.point == result["point"]
    assert (stored.schema_version, stored.computed_at, str(stored.program_year)) == (SCHEMA_VERSION, NOW, "2023-2024")


def test_the_same_snapshots_give_the_same_bytes() -> None:
    snapshots = [a_district(), a_summary(), a_district(A_YEAR_AGO)]
    first, second = Generating(*snapshots), Generating(*snapshots)
    second.clock.forward(days=3)
    first.run()
    second.run()
    assert {key: r.body for key, r in first.storage.results.rows.items()} == {
        key: r.body for key, r in second.storage.results.rows.items()
    }


def test_notes_on_quality_are_counted_in_the_outcome_and_listed_in_the_result() -> None:
    it = Generating(a_district())
    outcome = it.run()["2024-01-31/91"]
    assert outcome.quality == {"SUMMARY_MISSING": 1}
    assert [note["code"] for note in it.result()["quality"]] == ["SUMMARY_MISSING"]
    assert it.storage.results.rows[DAY, "91"].quality == {"SUMMARY_MISSING": 1}


# The year before.


def test_a_result_is_compared_with_the_same_month_of_the_year_before() -> None:
    it = Generating(
        a_district(A_YEAR_AGO, clubs=some_clubs(4, members="15")), a_district(clubs=some_clubs(4, members="18"))
    )
    it.run()
    assert it.result()["yearOverYear"]["members"] == {"current": 72, "previous": 60, "change": 12, "percent": 20.0}
    assert it.result(A_YEAR_AGO)["yearOverYear"] is None


def test_the_comparison_needs_no_result_of_the_year_before() -> None:
    """A job over a range that begins later computes it from the snapshot."""
    it = Generating(a_district(A_YEAR_AGO, clubs=some_clubs(4, members="15")), a_district())
    it.run(plan=it.plan(first=DAY))
    assert (A_YEAR_AGO, "91") not in it.storage.results.rows
    assert it.result()["yearOverYear"]["members"]["previous"] == 60


@pytest.mark.parametrize("wrong", [{"source_hash": "of another content"}, {"schema_version": SCHEMA_VERSION - 1}])
def test_an_outdated_result_of_the_year_before_is_not_believed(wrong: dict[str, Any]) -> None:
    it = Generating(a_district(A_YEAR_AGO, clubs=some_clubs(4, members="15")), a_district())
    it.run(plan=it.plan(last=A_YEAR_AGO))
    stored = it.storage.results.rows[A_YEAR_AGO, "91"]
    it.storage.results.put([replace(stored, point={**(stored.point or {}), "members": 999}, **wrong)])
    it.run(plan=it.plan(first=DAY))
    assert it.result()["yearOverYear"]["members"]["previous"] == 60


@pytest.mark.parametrize("anew", [False, True], ids=["computed by this job", "read from the snapshot"])
def test_the_clubs_that_joined_and_left_are_those_of_both_snapshots(anew: bool) -> None:
    """Whether this job computed the year before, another one did, or none has."""
    clubs = some_clubs(10)
    before = [*clubs[2:], AClub(number="77", status="Suspended"), AClub(number="78")]
    it = Generating(a_district(A_YEAR_AGO, clubs=before), a_district(clubs=clubs))
    if anew:
        it.run(plan=it.plan(last=A_YEAR_AGO))
        it.run(plan=it.plan(first=DAY))
    else:
        it.run()
    compared = it.result()["yearOverYear"]
    assert (compared["comparable"], compared["clubsJoined"], compared["clubsLeft"]) == (False, 2, 1)
    alone = Generating(a_district(A_YEAR_AGO, clubs=before), a_district(clubs=clubs))
    alone.run(plan=alone.plan(first=DAY))
    assert alone.storage.results.rows[DAY, "91"].body == it.storage.results.rows[DAY, "91"].body


def test_no_club_of_the_year_before_is_remembered_longer_than_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(related_snapshots, "_CACHE_SIZE", 2)
    it = Generating(*(a_district(day, d) for day in (A_YEAR_AGO, DAY) for d in ("91", "92", "93", "F")))
    it.run()
    for district in ("91", "92", "93", "F"):
        assert it.result(district=district)["yearOverYear"]["comparable"] is True


# Columns that are blank on the whole date.


def blank(district: str, day: date = DAY) -> Snapshot:
    return a_district(day, district, dates=False)


def test_charter_dates_that_are_blank_in_every_district_of_the_date_are_null_with_a_note() -> None:
    it = Generating(blank("91"), blank("F"), a_summary(DAY, {"Active Clubs": "4"}))
    outcomes = it.run()
    assert it.result()["clubs"]["chartered"] is None
    assert outcomes["2024-01-31/91"].quality == {"COLUMN_BLANK": 1}


@pytest.mark.parametrize("others", [("F",), tuple(f"{n:02d}" for n in range(1, 41))], ids=["bundle", "other bundle"])
def test_charter_dates_that_another_district_of_the_date_has_are_known_here_too(others: tuple[str, ...]) -> None:
    *rest, last = others
    it = Generating(blank("91"), *map(blank, rest), a_district(district=last))
    it.run()
    assert it.result()["clubs"]["chartered"] == 0


def test_charter_dates_are_not_taken_for_blank_while_a_district_of_the_summary_is_not_stored() -> None:
    it = Generating(blank("91"), a_summary(DAY, {"Active Clubs": "4"}, {"DISTRICT": "F"}))
    it.run()
    assert (it.result()["clubs"]["chartered"], it.result()["quality"]) == (0, [])


def test_a_district_that_comes_later_settles_whether_the_dates_of_another_are_blank() -> None:
    """The results are those of one job over the same snapshots, whatever was computed before."""
    summary = a_summary(DAY, {"Active Clubs": "4"}, {"DISTRICT": "F", "Active Clubs": "4"})
    it = done(Generating(blank("91"), summary))
    it.put(blank("F"))
    assert kinds(it.run())["2024-01-31/91"] == "processed"
    assert it.result()["clubs"]["chartered"] is None
    it.put(a_district(district="F"))
    assert kinds(it.run())["2024-01-31/91"] == "processed"
    assert it.result()["clubs"]["chartered"] == 0
    assert it.plan().skipped == {SkipReason.UNCHANGED: 3}


def test_blank_dates_beside_a_district_that_cannot_be_read_are_null() -> None:
    unreadable = replace(a_district(district="F"), reports={name: a_report(BROKEN) for name in DISTRICT_REPORTS})
    it = Generating(blank("91"), unreadable)
    it.run()
    assert it.result()["clubs"]["chartered"] is None


def test_the_last_of_a_month_is_its_close_else_its_newest_as_of() -> None:
    early = a_district(date(2023, 2, 3), data_month=A_YEAR_AGO, as_of=date(2023, 2, 3), is_final=False)
    late = a_district(date(2023, 2, 7), data_month=A_YEAR_AGO, as_of=date(2023, 2, 7), is_final=False)
    close = a_district(A_YEAR_AGO, as_of=date(2023, 2, 6))
    it = Generating(early, late)
    own = next(it.storage.snapshots.metadata(early.date, early.date))
    asks = replace(a_district(), data_month=DAY)
    asked = own._replace(date=asks.date, data_month=DAY)
    last = LastOfMonth(it.storage.snapshots.metadata(date(2023, 1, 1), date(2023, 3, 1))).before(asked)
    assert last is not None
    assert last.date == late.date
    it.put(close)
    last = LastOfMonth(it.storage.snapshots.metadata(date(2023, 1, 1), date(2023, 3, 1))).before(asked)
    assert last is not None
    assert last.date == A_YEAR_AGO


def test_the_month_before_a_leap_day_ends_on_the_28th() -> None:
    assert year_before(date(2024, 2, 29)) == date(2023, 2, 28)
    assert year_before(date(2025, 2, 28)) == date(2024, 2, 29)


# What is skipped, and what is stale.


def done(it: Generating) -> Generating:
    it.run()
    return it


EVERYTHING = (a_district(A_YEAR_AGO), a_summary(A_YEAR_AGO), a_district(), a_district(district="F"), a_summary())


def test_what_is_computed_is_skipped_as_unchanged() -> None:
    """R2.3, R11.2"""
    it = done(Generating(*EVERYTHING))
    plan = it.plan()
    assert (plan.skipped, plan.stale) == ({SkipReason.UNCHANGED: 5}, 0)
    outcomes = it.run()
    assert {(outcome.kind, outcome.reason) for outcome in outcomes.values()} == {
        (OutcomeKind.SKIPPED, SkipReason.UNCHANGED)
    }


def test_where_stored_results_are_not_to_be_skipped_all_are_computed_anew() -> None:
    it = done(Generating(*EVERYTHING))
    assert it.plan(skip_existing=False).skipped == {}
    assert set(kinds(it.run(it.job(skip_existing=False))).values()) == {"processed"}


@pytest.mark.parametrize(
    ("anew", "stale"),
    [
        (a_district(clubs=some_clubs(4, members="9")), {"2024-01-31/91"}),
        (
            a_district(A_YEAR_AGO, clubs=some_clubs(4, members="9")),
            {"2023-01-31/91", "2024-01-31/91"},  # the year after rests on it
        ),
        (
            a_summary(DAY, {"Active Clubs": "9"}),
            {"2024-01-31/all", "2024-01-31/91", "2024-01-31/F"},  # every district of the date rests on it
        ),
        (a_district(as_of=date(2024, 2, 10)), {"2024-01-31/91"}),  # the same figures as of another day
    ],
    ids=["its own snapshot", "that of the year before", "the summary", "another as-of"],
)
def test_what_rests_on_a_snapshot_that_is_collected_anew_is_stale(anew: Snapshot, stale: set[str]) -> None:
    it = done(Generating(*EVERYTHING))
    it.put(anew)
    plan = it.plan()
    assert (plan.stale, plan.skipped) == (len(stale), {SkipReason.UNCHANGED: 5 - len(stale)})
    assert {key for key, outcome in it.run().items() if outcome.kind is OutcomeKind.PROCESSED} == stale
    assert it.plan().skipped == {SkipReason.UNCHANGED: 5}


def test_a_snapshot_that_comes_late_makes_only_the_year_after_stale() -> None:
    it = done(Generating(a_district(), a_district(NEXT, data_month=date(2024, 2, 29))))
    it.put(a_district(A_YEAR_AGO))
    assert it.plan().stale == 1
    assert set(kinds(it.run()).values()) == {"processed", "skipped"}


def test_results_of_older_rules_are_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    it = done(Generating(a_district()))
    monkeypatch.setattr("backfill.job_types.analytics.plan.SCHEMA_VERSION", SCHEMA_VERSION + 1)
    assert it.plan().stale == 1


def test_what_this_job_stored_before_it_was_killed_counts_as_processed_by_it() -> None:
    """R10.3"""
    it = Generating(*EVERYTHING)
    job = it.job()
    it.run(job)
    again = it.run(job)
    assert set(kinds(again).values()) == {"processed"}
    assert again["2024-01-31/91"].quality == it.storage.results.rows[DAY, "91"].quality


def test_what_this_job_stored_and_nobody_can_read_is_computed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Generating(*EVERYTHING)
    job = it.job()
    before = it.run(job)

    def damaged(_: object, day: date, district: str) -> Result | None:
        raise CorruptRecord(f"The result {day}/{district} cannot be read: damaged.")

    monkeypatch.setattr(MemoryResults, "get", damaged)
    it.storage.results.rows = {key: replace(r, body=b"?") for key, r in it.storage.results.rows.items()}
    assert kinds(it.run(job)) == kinds(before)
    assert it.result()["districtId"] == "91"


# Bad input.


def only_failure(outcomes: dict[str, Outcome]) -> Outcome:
    (failure,) = [outcome for outcome in outcomes.values() if outcome.kind is OutcomeKind.FAILED]
    return failure


def test_a_broken_snapshot_fails_its_item_with_the_reason_and_the_job_goes_on() -> None:
    """R5.4"""
    it = Generating(broken(a_district()), a_district(district="F"), a_summary(), a_district(NEXT))
    outcomes = it.run()
    failure = only_failure(outcomes)
    assert (failure.item.key, failure.reason, failure.is_retryable) == ("2024-01-31/91", "MALFORMED_ROW", False)
    assert "clubperformance of snapshot 2024-01-31/91 has 1 cells in row 1, and 2 in its header" in failure.message
    assert len(it.storage.results.rows) == 3


def test_a_broken_snapshot_of_the_year_before_fails_no_item_but_its_own() -> None:
    it = Generating(broken(a_district(A_YEAR_AGO)), a_summary(DAY, {"Active Clubs": "4"}), a_district())
    outcomes = it.run()
    assert only_failure(outcomes).item.key == "2023-01-31/91"
    assert outcomes["2024-01-31/91"].quality == {"YEAR_BEFORE_UNREADABLE": 1}
    result = it.result()
    assert result["yearOverYear"] is None
    assert "clubperformance of snapshot 2023-01-31/91 has 1 cells in row 1" in result["quality"][0]["message"]
    it.put(a_district(A_YEAR_AGO))
    it.run()
    assert it.result()["yearOverYear"]["members"]["change"] == 0
    assert it.result()["quality"] == []


def test_an_unreadable_summary_fails_its_own_item_and_is_noted_with_each_district() -> None:
    it = Generating(a_district(), a_summary(DAY, {"DISTRICT": "?"}))
    outcomes = it.run()
    assert only_failure(outcomes).reason == "UNREADABLE_SNAPSHOT"
    assert outcomes["2024-01-31/91"].quality == {"SUMMARY_MISSING": 1}


def test_a_record_that_cannot_be_unpacked_fails_its_item(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Generating(a_district(), a_district(district="F"))
    get = it.storage.snapshots.get

    def damaged(day: date, district: str) -> Snapshot | None:
        if district == "F":
            raise CorruptRecord(f"The snapshot {day}/{district} cannot be read: damaged.")
        return get(day, district)

    monkeypatch.setattr(it.storage.snapshots, "get", damaged)
    failure = only_failure(it.run())
    assert (failure.item.key, failure.reason) == ("2024-01-31/F", "CORRUPT_RECORD")


def test_a_snapshot_that_is_gone_fails_its_item() -> None:
    it = Generating(a_district(), a_district(district="F"))
    plan = it.plan()
    del it.storage.snapshots.rows[DAY, "F"]
    failure = only_failure(it.run(plan=plan))
    assert (failure.item.key, failure.reason) == ("2024-01-31/F", "SNAPSHOT_NOT_FOUND")


def test_a_fault_of_the_program_fails_its_item_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    it = Generating(a_district(), a_district(district="F"))

    def faulty(source: Any) -> dict[str, Any]:
        if source.district == "F":
            raise ZeroDivisionError("a fault")
        return district_result(source)

    monkeypatch.setattr("backfill.job_types.compute.tasks.district_result", faulty)
    failure = only_failure(it.run())
    assert (failure.reason, failure.is_retryable) == ("UNEXPECTED_ERROR", True)
    assert "Traceback" in caplog.text
    assert len(it.storage.results.rows) == 1


def test_a_store_that_does_not_answer_leaves_the_bundle_undone() -> None:
    it = Generating(a_district())
    job, plan = it.job(), it.plan()
    execution = it.work.execute(job, Fence(job.id, job.token), RecordingLimiter(it.storage))
    list(execution.skips(plan.days[0]))
    it.storage.store.is_down = True
    with pytest.raises(StorageUnavailable):
        execution.process(plan.days[0], list(plan.days[0].items()))
    it.storage.store.is_down = False
    assert it.storage.results.rows == {}


def test_a_runner_that_was_fenced_off_stores_nothing() -> None:
    it = Generating(a_district())
    job, plan = it.job(), it.plan()
    execution = it.work.execute(job, Fence(job.id, job.token - 1), RecordingLimiter(it.storage))
    with pytest.raises(LeaseLost):
        execution.process(plan.days[0], list(plan.days[0].items()))
    assert it.storage.results.rows == {}


def test_the_limits_of_the_dashboard_do_not_slow_what_asks_it_nothing() -> None:
    it = Generating()
    job = it.job()
    execution = it.work.execute(job, Fence(job.id, 1), RecordingLimiter(it.storage))
    slow, fast = RateLimits(max_concurrent=1), RateLimits(max_concurrent=32)
    assert execution.concurrency(slow) == execution.concurrency(fast) == LocalCompute.concurrency


def bundles(count: int) -> Sequence[Snapshot]:
    return [a_district(district=f"{n:02d}") for n in range(1, count + 1)]


def test_more_districts_than_a_bundle_holds_are_all_computed() -> None:
    it = Generating(*bundles(40), a_summary())
    assert len(it.run()) == len(it.storage.results.rows) == 41
