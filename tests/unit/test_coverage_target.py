"""The coverage target: validation, its versions, its daily check, and its status."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from backfill.domain import (
    Actor,
    AuditAction,
    Cadence,
    Channel,
    CoverageRule,
    CoverageTarget,
    DailySchedule,
    FailedAttempts,
    Findings,
    JobType,
    KeeperState,
    TargetSettings,
    TargetState,
    TargetStatus,
    WorkItem,
    target_status,
)
from backfill.domain.clock import Clock
from backfill.domain.coverage_target import parsed_cadence, parsed_rule_start, parsed_time
from backfill.domain.failed_attempts import MOST_ATTEMPTS, AttemptKey
from backfill.domain.runtime_config import RuntimeConfig
from backfill.errors import InvalidRequest, TargetChanged
from backfill.serializers.targets import CoverageTargetResponseSerializer
from backfill.service.planning import Planner
from backfill.service.targets import TargetService
from tests.memory_storage import MemoryStorage

TODAY = date(2026, 11, 27)
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
DAILY = CoverageRule(start=None)
SETTINGS = TargetSettings(enabled=True, rules=(DAILY,))
ADA = Actor("ada", Channel.API)


def problems(settings: TargetSettings, known: tuple[str, ...] = ()) -> dict[str, list[str]]:
    with pytest.raises(InvalidRequest) as caught:
        settings.checked(TODAY, known)
    return dict(caught.value.details or {})


def test_the_default_target_is_disabled_and_checks_at_six() -> None:
    target = CoverageTarget()
    assert (target.settings.enabled, target.settings.daily_at, target.version) == (False, time(6), 0)


def test_districts_are_normalised_sorted_and_named_once() -> None:
    rule = CoverageRule(start=date(2012, 7, 1), districts=("f", "1", "91", "01"))
    checked = TargetSettings(rules=(rule,), note="  why  ").checked(TODAY, ())
    assert checked.rules[0].districts == ("01", "91", "F")
    assert checked.note == "why"


def test_each_invalid_rule_is_named_with_what_is_wrong() -> None:
    rules = (
        CoverageRule(start=date(2008, 6, 30)),
        CoverageRule(start=date(2026, 11, 28)),
        CoverageRule(start=None, districts=("91", "no", "07", "99")),
    )
    found = problems(TargetSettings(rules=rules, monthly_requests=0, note="a\nb"), known=("07", "91"))
    assert found["rules"] == [
        "rules[0].from must not be before 2008-07-01, the first day on the dashboard.",
        "rules[1].from must not be after today (2026-11-27, UTC); it was 2026-11-28.",
        "rules[2].districts: the dashboard has no district 'no', 99; leave it out.",
    ]
    assert found["monthlyRequests"] == ["monthlyRequests must be between 1 and 10,000,000; it was 0."]
    assert found["note"] == ["note must be one line without control characters."]


def test_an_enabled_target_needs_a_rule_and_no_target_has_more_than_twenty() -> None:
    assert "at least one rule" in problems(TargetSettings(enabled=True))["rules"][0]
    assert "more than 20 rules; it has 21" in problems(TargetSettings(rules=(DAILY,) * 21))["rules"][0]


def test_unknown_districts_are_accepted_until_a_calendar_is_stored() -> None:
    rule = CoverageRule(start=None, districts=("99",))
    assert TargetSettings(rules=(rule,)).checked(TODAY, ()).rules == (rule,)


@pytest.mark.parametrize("text", ["24:00", "6:00", "06:60", "0600", "noon", "06:00:00", "\u0660\u0666:00", ""])
def test_an_invalid_time_of_day_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidRequest, match="like 06:00"):
        parsed_time(text)


def test_times_cadences_and_starts_are_parsed_or_refused() -> None:
    assert parsed_time("23:59") == time(23, 59)
    assert parsed_cadence("month-ends") is Cadence.MONTH_ENDS
    assert (parsed_rule_start("program-year"), parsed_rule_start("2012-07-01")) == (None, date(2012, 7, 1))
    with pytest.raises(InvalidRequest, match="must be one of daily, month-ends, year-ends"):
        parsed_cadence("weekly")
    with pytest.raises(InvalidRequest, match="program-year"):
        parsed_rule_start("2024-02-30")


def test_a_rule_of_the_program_year_starts_with_the_current_one() -> None:
    assert DAILY.first_day(TODAY) == date(2026, 7, 1)
    assert DAILY.first_day(date(2027, 6, 30)) == date(2026, 7, 1)
    assert DAILY.first_day(date(2027, 7, 1)) == date(2027, 7, 1)


def test_a_changed_target_has_the_next_version_and_an_equal_one_the_same() -> None:
    first = CoverageTarget().replaced(SETTINGS, NOON, "ada")
    assert (first.version, first.updated_by) == (1, "ada")
    assert first.replaced(SETTINGS, NOON + timedelta(days=1), "bob") is first


# The daily check.


def due_times(schedule: DailySchedule, first: datetime, days: int) -> list[datetime]:
    """The times of the checks of a keeper that looks every ten minutes."""
    checks, checked_at = [], first
    for minute in range(0, days * 24 * 60, 10):
        now = first + timedelta(minutes=minute)
        if schedule.is_due(checked_at, now):
            checks.append(now)
            checked_at = now
    return checks


@pytest.mark.parametrize(
    ("at", "first"),
    [
        (time(2, 30), datetime(2026, 3, 27, 12, tzinfo=UTC)),  # skipped on 29 March
        (time(2, 30), datetime(2026, 10, 23, 12, tzinfo=UTC)),  # twice on 25 October
        (time(0), datetime(2026, 10, 23, 12, tzinfo=UTC)),
        (time(23, 50), datetime(2026, 3, 27, 12, tzinfo=UTC)),
    ],
)
def test_each_local_day_has_one_check_also_when_daylight_saving_time_changes(at: time, first: datetime) -> None:
    checks = due_times(DailySchedule(at, BERLIN), first, 6)
    local_dates = [check.astimezone(BERLIN).date() for check in checks]
    assert len(local_dates) == len(set(local_dates)) == 6


def test_a_missed_check_is_due_once_when_the_service_is_back() -> None:
    schedule = DailySchedule(time(6), UTC)
    checked = datetime(2026, 11, 23, 6, 0, 5, tzinfo=UTC)
    back = datetime(2026, 11, 27, 3, tzinfo=UTC)
    assert schedule.is_due(checked, back)
    assert not schedule.is_due(back, datetime(2026, 11, 27, 5, 59, tzinfo=UTC))
    assert schedule.is_due(back, datetime(2026, 11, 27, 6, tzinfo=UTC))


def test_a_clock_that_is_set_back_causes_no_second_check_and_a_far_one_is_no_obstacle() -> None:
    schedule = DailySchedule(time(6), UTC)
    checked = datetime(2026, 11, 27, 6, 0, 5, tzinfo=UTC)
    assert not schedule.is_due(checked, datetime(2026, 11, 27, 5, 50, tzinfo=UTC))
    assert not schedule.is_due(checked, datetime(2026, 11, 27, 6, 0, 1, tzinfo=UTC))
    assert schedule.is_due(datetime(2031, 1, 1, tzinfo=UTC), checked)


def test_the_next_check_is_now_if_one_is_due() -> None:
    schedule = DailySchedule(time(6), BERLIN)
    assert schedule.next_check(None, NOON) == NOON
    assert schedule.next_check(NOON, NOON) == datetime(2026, 11, 28, 5, tzinfo=UTC)


# Failed attempts.


def test_failed_items_are_tried_again_after_1_2_4_and_then_every_8_days() -> None:
    item, kind = WorkItem(date(2026, 11, 1), "91"), JobType.DATA_COLLECTION
    attempts, tried = FailedAttempts(), []
    for n in range(40):
        day = date(2026, 11, 2) + timedelta(days=n)
        attempt = attempts.by_key.get(AttemptKey(kind, item))
        if attempt is None or attempt.is_due(day):
            attempts = attempts.added(kind, [(item, "HTML_PAGE")], day)
            tried.append(n)
    assert tried == [0, 1, 3, 7, 15, 23, 31, 39]
    attempt = attempts.by_key[AttemptKey(kind, item)]
    assert (attempt.first, attempt.attempts) == (date(2026, 11, 2), 8)


def test_a_clock_that_is_set_back_does_not_delay_the_next_attempt() -> None:
    item, kind = WorkItem(date(2026, 11, 1), "91"), JobType.DATA_COLLECTION
    attempts = FailedAttempts().added(kind, [(item, "HTML_PAGE")], date(2030, 1, 1))
    assert attempts.by_key[AttemptKey(kind, item)].is_due(date(2026, 11, 2))


def test_the_record_of_attempts_is_bounded() -> None:
    kind, day = JobType.DATA_COLLECTION, date(2026, 11, 2)
    items = [WorkItem(date(2000, 1, 1) + timedelta(days=n), "91") for n in range(MOST_ATTEMPTS + 1)]
    attempts = FailedAttempts().added(kind, ((item, "TIMEOUT") for item in items), day)
    assert len(attempts) == MOST_ATTEMPTS
    assert AttemptKey(kind, items[-1]) not in attempts.by_key
    again = attempts.added(kind, [(items[0], "TIMEOUT")], day + timedelta(days=1))
    assert again.by_key[AttemptKey(kind, items[0])].attempts == 2


# The status.


def status(state: KeeperState, *, settings: TargetSettings = SETTINGS, is_collecting: bool = False) -> TargetStatus:
    target = CoverageTarget(settings=settings, version=1)
    return target_status(target, state, is_collecting=is_collecting, now=NOON, zone=BERLIN)


CHECKED = KeeperState(
    checked_at=NOON, checked_version=1, findings=Findings(complete_until=date(2026, 11, 26)), job_id=None
)


def test_a_disabled_target_is_off() -> None:
    found = status(CHECKED, settings=replace(SETTINGS, enabled=False))
    assert (found.state, found.next_check_at, dict(found.missing)) == (TargetState.OFF, None, {})


def test_a_complete_target_names_its_last_day_and_the_next_check() -> None:
    found = status(CHECKED)
    assert found.state is TargetState.COMPLETE
    assert found.sentence == "Complete to 26 Nov 2026; next check tomorrow 06:00."


def test_an_incomplete_target_counts_what_is_missing_by_reason() -> None:
    findings = Findings(
        missing={"not-published": 12, "HTML_PAGE": 2},
        complete_until=date(2026, 11, 26),
        failed_since=date(2026, 11, 3),
        next_attempt=date(2026, 11, 30),
    )
    found = status(replace(CHECKED, findings=findings))
    assert found.state is TargetState.INCOMPLETE
    assert found.missing_items == 14
    assert found.sentence == (
        "Complete except 14 items: 12 not published, 2 failed since 3 Nov 2026 (HTML_PAGE); "
        "next check tomorrow 06:00, next attempt 30 Nov 2026."
    )


def test_a_target_that_lacks_only_unpublished_items_is_complete() -> None:
    findings = replace(CHECKED, findings=Findings(missing={"not-published": 1}, complete_until=date(2026, 11, 26)))
    assert status(findings).state is TargetState.COMPLETE


def test_the_result_of_a_check_of_another_version_does_not_count() -> None:
    found = status(replace(CHECKED, checked_version=0))
    assert (found.state, found.sentence) == (TargetState.INCOMPLETE, "The first check is due.")
    assert found.next_check_at == NOON


def test_a_target_is_collecting_while_an_automatic_job_is_active() -> None:
    found = status(replace(CHECKED, findings=Findings(missing={"not-collected": 131})), is_collecting=True)
    assert found.state is TargetState.COLLECTING
    assert found.sentence == "Missing 131 items: 131 not collected yet; an automatic job is collecting."


# The service.


def service() -> tuple[TargetService, MemoryStorage, list[str]]:
    storage, woken = MemoryStorage(), list[str]()
    config = RuntimeConfig(clock=Clock(now=lambda: NOON))
    return TargetService(Planner(storage, {}, config), lambda: woken.append("keeper")), storage, woken


def test_a_replaced_target_is_audited_and_wakes_the_keeper() -> None:
    targets, storage, woken = service()
    view = targets.replace(SETTINGS, by=ADA, expected_version=0)
    assert (view.target.version, view.target.updated_by, woken) == (1, "ada", ["keeper"])
    [entry] = storage.audit.entries
    assert entry.action is AuditAction.CHANGED_TARGET
    assert entry.changes["enabled"] == (False, True)
    assert entry.changes["rules"][1] == [
        {"from": "program-year", "cadence": "daily", "districts": [], "analytics": False}
    ]


def test_a_change_of_a_target_that_was_changed_since_is_refused() -> None:
    targets, storage, _ = service()
    targets.replace(SETTINGS, by=ADA, expected_version=0)
    with pytest.raises(TargetChanged, match="was changed by ada since it was read") as caught:
        targets.replace(TargetSettings(), by=ADA, expected_version=0)
    assert caught.value.details == {"version": 1}
    assert storage.targets.target().settings == SETTINGS
    assert targets.replace(TargetSettings(), by=ADA, expected_version=None).target.version == 2


def test_off_keeps_the_rules() -> None:
    targets, _, _ = service()
    targets.replace(SETTINGS, by=ADA, expected_version=0)
    view = targets.off(by=ADA)
    assert (view.target.settings.enabled, view.target.settings.rules) == (False, (DAILY,))
    assert view.status.state is TargetState.OFF


def test_a_check_is_requested_once_and_only_of_an_enabled_target() -> None:
    targets, storage, woken = service()
    with pytest.raises(InvalidRequest, match="is off"):
        targets.request_check(by=ADA)
    targets.replace(SETTINGS, by=ADA, expected_version=0)
    assert targets.request_check(by=ADA).status.next_check_at == NOON
    targets.request_check(by=Actor("bob", Channel.CLI))
    assert storage.targets.keeper().requested_by == "ada"
    actions = [entry.action for entry in storage.audit.entries]
    assert actions == [AuditAction.CHANGED_TARGET, AuditAction.REQUESTED_CHECK]
    assert woken == ["keeper"] * 3


def test_the_json_has_the_names_of_the_api() -> None:
    targets, _, _ = service()
    rendered = CoverageTargetResponseSerializer.render(targets.replace(SETTINGS, by=ADA, expected_version=0))
    assert rendered["target"] == {
        "enabled": True,
        "dailyAt": "06:00",
        "note": "",
        "monthlyRequests": None,
        "rules": [{"from": "program-year", "cadence": "daily", "districts": [], "analytics": False}],
        "status": "incomplete",
        "sentence": "The first check is due.",
        "completeUntil": None,
        "missing": {},
        "nextCheckAt": "2026-11-27T12:00:00Z",
        "lastCheckAt": None,
        "incompleteSince": None,
        "lastJobId": None,
        "updatedAt": "2026-11-27T12:00:00Z",
        "updatedBy": "ada",
    }
