"""The keeper: what it collects and computes, when it tries again, and when it waits."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from backfill.domain import (
    SUMMARY,
    AllowedHours,
    AuditAction,
    Cadence,
    CalendarAccess,
    CoverageRule,
    JobRequest,
    JobType,
    OutcomeKind,
    Status,
    TargetSettings,
    TargetState,
    WorkItem,
)
from backfill.errors import JobConflict, StorageUnavailable
from backfill.service.keeper import Keeper
from tests.unit.keeper_world import ADA, DISTRICTS, START, KeeperWorld

YEAR = CoverageRule(start=None, cadence=Cadence.DAILY)
MONTH_ENDS = CoverageRule(start=date(2026, 7, 1), cadence=Cadence.MONTH_ENDS)
RECENT = TargetSettings(enabled=True, rules=(CoverageRule(start=date(2026, 11, 1)),))
WITH_ANALYTICS = replace(RECENT, rules=(replace(RECENT.rules[0], analytics=True),))
ALL = (SUMMARY, *DISTRICTS)


def items(*days: date, districts: tuple[str, ...] = ALL) -> set[WorkItem]:
    return {WorkItem(day, district) for day in days for district in districts}


def published(*numbers: int) -> list[date]:
    return [date(2026, 11, number) for number in numbers]


def status_of(world: KeeperWorld) -> TargetState:
    return world.service.targets.get().status.state


def test_a_disabled_target_is_never_checked() -> None:
    world = KeeperWorld()
    world.keep(replace(RECENT, enabled=False))
    assert not world.keeper.look()
    assert (world.active, world.pages_read) == (None, 0)


def test_the_first_check_follows_the_change_of_the_target_and_collects_what_is_published() -> None:
    world = KeeperWorld()
    world.keep(RECENT)
    assert world.keeper.look()
    job = world.active
    assert job is not None
    assert (job.created_by, job.job_type, job.is_automatic) == ("keeper", JobType.DATA_COLLECTION, True)
    assert world.active_items() == items(*published(5, 7, 8, 9))  # the 5th is a closing date of October
    assert status_of(world) is TargetState.COLLECTING
    world.run_job()
    assert world.keeper.look()
    view = world.service.targets.get()
    assert (view.status.state, view.status.complete_until) == (TargetState.COMPLETE, date(2026, 11, 9))
    assert view.status.sentence == "Complete to 9 Nov 2026; next check tomorrow 06:00."


def test_each_day_only_the_new_items_are_collected_and_each_check_has_an_audit_entry() -> None:
    world = KeeperWorld()
    world.keep(RECENT)
    for _ in range(30):
        if world.keeper.look() and world.active:
            world.run_job()
            assert world.keeper.look()
        world.sleep(days=1)
    close = date(2026, 11, 30)  # collected again while it closes
    assert {item for item, times in Counter(world.fetched).items() if times > 1} == items(close)
    november, december = published(5, *range(7, 31)), [date(2026, 12, number) for number in (5, 7, 8)]
    assert world.stored() == items(*november, *december)
    checks = [entry for entry in world.storage.audit.entries if entry.action is AuditAction.CHECKED]
    assert len({entry.at.date() for entry in checks}) == len(checks) == 30
    assert {(entry.actor.operator, str(entry.actor.channel)) for entry in checks} == {("keeper", "schedule")}


def test_the_end_of_a_month_is_collected_again_while_it_closes_and_once_more_when_it_is_final() -> None:
    world = KeeperWorld(datetime(2026, 12, 1, 6, tzinfo=UTC))
    world.keep(TargetSettings(enabled=True, rules=(replace(MONTH_ENDS, start=date(2026, 11, 1)),)))
    tries = Counter[date]()
    for _ in range(25):
        if world.keeper.look() and world.active:
            tries[world.now.date()] += 1
            assert world.active_items() == items(date(2026, 11, 30))
            world.run_job()
            world.keeper.look()
        world.sleep(days=1)
    # First, then after each newer date of its closing (5, 10, 15 December), and when the month is closed.
    assert [day.day for day in tries] == [1, 6, 11, 16]
    assert all(day.is_final for day in world.storage.snapshots.editions(date(2026, 11, 30), date(2026, 11, 30)))


def test_overlapping_rules_are_one_union_of_items() -> None:
    world = KeeperWorld()
    rules = (
        MONTH_ENDS,
        CoverageRule(start=date(2026, 10, 25), districts=("02",)),
        replace(MONTH_ENDS, districts=("01",)),
    )
    world.keep(TargetSettings(enabled=True, rules=rules))
    world.keeper.look()
    collected = world.active_items()
    assert {item.district for item in collected if item.date == date(2026, 10, 31)} == {*ALL}
    assert {item.district for item in collected if item.date == date(2026, 10, 28)} == {SUMMARY, "02"}
    world.run_job()
    assert max(Counter(world.fetched).values()) == 1


def test_results_are_computed_after_the_collection_and_after_an_import() -> None:
    world = KeeperWorld()
    world.keep(WITH_ANALYTICS)
    world.keeper.look()
    world.run_job()
    assert world.keeper.look()
    job = world.active
    assert job is not None
    assert (job.job_type, job.created_by) == (JobType.ANALYTICS_GENERATION, "keeper")
    assert world.active_items() == items(*published(5, 7, 8, 9))
    world.run_job()
    world.keeper.look()
    assert (world.active, status_of(world)) == (None, TargetState.COMPLETE)
    world.storage.results.rows.clear()
    world.sleep(days=1)
    world.keeper.look()  # collects the 10th
    world.run_job()
    world.keeper.look()
    assert world.active_items() == items(*published(5, 7, 8, 9, 10))


def test_failed_items_are_tried_after_1_2_4_and_8_days_and_unpublished_ones_do_not_make_it_incomplete() -> None:
    world = KeeperWorld()
    world.keep(RECENT)
    failed, empty = WorkItem(date(2026, 11, 8), "01"), WorkItem(date(2026, 11, 7), "02")
    world.broken = {
        failed: (OutcomeKind.FAILED, "HTML_PAGE"),
        empty: (OutcomeKind.SKIPPED, "not-published"),
    }
    tried: dict[WorkItem, list[int]] = {failed: [], empty: []}
    for day in range(24):
        if world.keeper.look() and world.active:
            for item, days in tried.items():
                if item in world.active_items():
                    days.append(day)
            world.run_job()
            world.keeper.look()
        world.sleep(days=1)
    assert tried == {failed: [0, 1, 3, 7, 15, 23], empty: [0, 1, 3, 7, 15, 23]}
    view = world.service.targets.get()
    assert dict(view.status.missing) == {"HTML_PAGE": 1, "not-published": 1}
    assert view.status.complete_until == date(2026, 11, 7)
    assert "1 not published, 1 failed since 10 Nov 2026 (HTML_PAGE)" in view.status.sentence
    assert view.status.incomplete_since == START
    world.broken = {empty: (OutcomeKind.SKIPPED, "not-published")}
    while failed not in world.stored():
        if world.keeper.look() and world.active:
            world.run_job()
            world.keeper.look()
        world.sleep(days=1)
    assert status_of(world) is TargetState.COMPLETE
    assert world.service.targets.get().status.incomplete_since is None
    assert len(world.storage.targets.keeper().attempts) == 1


def test_a_check_waits_while_a_job_is_active_and_never_displaces_it() -> None:
    world = KeeperWorld()
    manual = JobRequest(job_type=JobType.ANALYTICS_GENERATION)
    manual_job = world.service.start(manual, by=ADA).job
    world.keep(RECENT)
    world.sleep(hours=5)  # the pending job is stale now
    assert world.service.is_stale(manual_job)
    assert not world.keeper.look()
    assert world.active == world.storage.jobs.get(manual_job.id)
    world.run_job()
    assert world.keeper.look()


def test_each_day_on_which_a_check_waits_for_a_job_has_an_audit_entry() -> None:
    world = KeeperWorld()
    world.keep(RECENT)
    world.keeper.look()
    job = world.active
    assert job is not None
    for _ in range(3 * 24):
        world.sleep(hours=1)
        assert not world.keeper.look()
    postponed = [entry for entry in world.storage.audit.entries if entry.action is AuditAction.POSTPONED_CHECK]
    assert [entry.at.day for entry in postponed] == [11, 12, 13]
    assert {entry.changes["waitsFor"] for entry in postponed} == {(None, str(job.id))}
    world.run_job()
    assert world.keeper.look()


def test_a_check_with_an_unexpected_error_is_repeated_after_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    world = KeeperWorld()
    world.keep(RECENT)
    with monkeypatch.context() as patch:
        patch.setattr(world, "read_calendar", None)
        with pytest.raises(TypeError):
            world.keeper.look()
        assert not world.keeper.look()
    world.sleep(minutes=10)
    assert world.keeper.look()


def test_a_manual_start_during_an_automatic_job_is_refused_with_the_offer_to_cancel_it() -> None:
    world = KeeperWorld()
    world.keep(RECENT)
    world.keeper.look()
    with pytest.raises(JobConflict, match="the remaining items are collected tomorrow") as caught:
        world.service.start(JobRequest(job_type=JobType.ANALYTICS_GENERATION), by=ADA)
    assert caught.value.details is not None
    assert caught.value.details["isAutomatic"] is True


def test_the_remaining_items_of_a_cancelled_job_are_collected_the_next_day() -> None:
    world = KeeperWorld()
    world.keep(RECENT)
    world.keeper.look()
    world.run_job(Status.CANCELLED)
    world.sleep(minutes=5)
    assert world.keeper.look()
    assert (world.active, status_of(world)) == (None, TargetState.INCOMPLETE)
    assert not world.keeper.look()
    world.sleep(days=1)
    assert world.keeper.look()
    assert world.active_items() == items(*published(5, 7, 8, 9, 10))


def test_a_requested_check_takes_place_at_once_and_once() -> None:
    world = KeeperWorld()
    world.keep(RECENT)
    world.keeper.look()
    world.run_job()
    world.keeper.look()
    world.sleep(hours=1)
    assert not world.keeper.look()
    world.service.targets.request_check(by=ADA)
    assert world.keeper.look()
    assert not world.keeper.look()


def test_after_an_outage_of_four_nights_one_check_collects_everything() -> None:
    world = KeeperWorld()
    world.keep(RECENT)
    world.keeper.look()
    world.run_job()
    world.keeper.look()
    world.sleep(days=4, hours=-2)
    assert world.keeper.look()
    assert world.active_items() == items(*published(10, 11, 12, 13))
    world.run_job()
    world.keeper.look()
    world.sleep(hours=1)
    assert not world.keeper.look()


def test_a_check_that_the_dashboard_prevents_is_repeated_after_ten_minutes() -> None:
    world = KeeperWorld()
    world.keep(RECENT)
    world.is_down = True
    assert not world.keeper.look()
    world.is_down = False
    assert not world.keeper.look()
    world.sleep(minutes=10)
    assert world.keeper.look()
    assert world.active is not None


def test_a_store_that_is_unavailable_at_the_time_of_the_check_is_checked_later_and_once() -> None:
    world = KeeperWorld()
    world.keep(RECENT)
    world.storage.store.is_down = True
    with pytest.raises(StorageUnavailable):
        world.keeper.look()
    world.storage.store.is_down = False
    world.sleep(hours=3)
    assert world.keeper.look()
    world.run_job()
    world.keeper.look()
    assert not world.keeper.look()


def test_of_two_keepers_one_makes_each_check() -> None:
    world = KeeperWorld()
    other = Keeper(world.service, "two")
    world.keep(RECENT)
    assert [world.keeper.look(), other.look()] == [True, False]
    world.run_job()
    assert [other.look(), world.keeper.look()] == [True, False]


def test_a_keeper_that_died_during_a_check_is_followed_by_another_after_its_lease() -> None:
    world = KeeperWorld()
    world.keep(RECENT)
    world.storage.targets.update_keeper(lambda state: state.claimed("dead", world.now))
    assert not world.keeper.look()
    world.sleep(minutes=2)
    assert world.keeper.look()


def test_a_job_whose_start_was_not_recorded_is_accounted_for() -> None:
    """The process died between the start of the job and the end of the check."""
    world = KeeperWorld()
    world.keep(RECENT)
    before = world.storage.targets.keeper()
    world.keeper.look()
    world.storage.targets.update_keeper(lambda _: before)
    failed = WorkItem(date(2026, 11, 8), "01")
    world.broken = {failed: (OutcomeKind.FAILED, "TIMEOUT")}
    world.run_job()
    assert world.keeper.look()
    assert world.active is None
    assert dict(world.service.targets.get().status.missing) == {"TIMEOUT": 1}


def test_a_monthly_budget_limits_the_requests_and_prefers_the_newest_dates() -> None:
    world = KeeperWorld()
    world.keep(replace(RECENT, monthly_requests=14))  # 10 for each date
    world.keeper.look()
    assert world.active_items() == items(date(2026, 11, 9)) | items(date(2026, 11, 8), districts=(SUMMARY, "01"))
    world.run_job(requests=14)
    world.keeper.look()
    assert "the requests of this month are used up" in world.service.targets.get().status.sentence
    world.sleep(days=1)
    world.keeper.look()
    assert world.active is None
    world.sleep(days=25)
    world.keeper.look()
    assert world.active is not None


def test_outside_the_allowed_hours_a_check_waits() -> None:
    hours = AllowedHours.parse("22:00-05:00")
    world = KeeperWorld(allowed_hours=hours)
    world.keep(RECENT)
    assert not world.keeper.look()
    assert world.service.targets.get().status.next_check_at == datetime(2026, 11, 10, 22, tzinfo=UTC)
    world.sleep(hours=16)
    assert world.keeper.look()


def test_the_time_of_the_check_is_local() -> None:
    world = KeeperWorld(datetime(2026, 11, 10, 12, tzinfo=UTC), time_zone=ZoneInfo("America/Los_Angeles"))
    world.keep(RECENT)
    world.keeper.look()
    world.run_job()
    world.keeper.look()
    assert world.service.targets.get().status.next_check_at == datetime(2026, 11, 10, 14, tzinfo=UTC)


def test_a_preview_shows_the_first_run_of_settings_that_are_not_enabled() -> None:
    world = KeeperWorld()
    preview = world.service.targets.preview(replace(WITH_ANALYTICS, enabled=False), CalendarAccess())
    assert (preview.items, preview.requests, preview.results) == (16, 40, 16)
    assert dict(preview.findings.missing) == {"not-collected": 16}
    assert preview.days == preview.duration.seconds / 86_400 > 0
    assert world.active is None
    limited = world.service.targets.preview(replace(WITH_ANALYTICS, monthly_requests=10), CalendarAccess())
    assert limited.days == 90
    assert world.storage.targets.target().version == 0


def test_a_closed_month_is_not_read_again() -> None:
    world = KeeperWorld()
    world.keep(TargetSettings(enabled=True, rules=(MONTH_ENDS,)))
    world.keeper.look()
    assert world.pages_read == 4  # July to October
    world.run_job()
    world.keeper.look()
    world.sleep(days=1)
    world.pages_read = 0
    world.keeper.look()
    assert world.pages_read == 1  # October is closing


def test_a_result_that_is_compared_with_a_new_snapshot_is_computed_again() -> None:
    world = KeeperWorld(datetime(2026, 12, 20, 6, tzinfo=UTC))
    rule = CoverageRule(start=date(2026, 11, 1), cadence=Cadence.MONTH_ENDS, analytics=True)
    world.keep(TargetSettings(enabled=True, rules=(rule,)))
    world.keeper.look()
    world.run_job()
    world.keeper.look()
    world.run_job()
    world.keeper.look()
    longer = replace(rule, start=date(2025, 11, 1))
    world.keep(TargetSettings(enabled=True, rules=(longer,)))
    world.keeper.look()
    world.run_job()
    world.keeper.look()
    computed = world.active_items()
    assert items(date(2026, 11, 30), districts=DISTRICTS) <= computed
    assert items(date(2025, 11, 30)) <= computed
