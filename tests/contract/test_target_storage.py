"""The coverage target and the state of its keeper."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, time, timedelta
from uuid import UUID, uuid4

import pytest

from backfill.domain import (
    Actor,
    AuditAction,
    AuditEntry,
    Cadence,
    Channel,
    CoverageRule,
    CoverageTarget,
    FailedAttempts,
    Findings,
    JobType,
    KeeperState,
    TargetEvents,
    TargetSettings,
    WebhookEvent,
    WebhookEventType,
    WorkItem,
)
from backfill.errors import LeaseLost, TargetChanged
from backfill.storage import Storage
from tests.factories import NOW

SETTINGS = TargetSettings(
    enabled=True,
    daily_at=time(5, 30),
    note="Kept for the archive “2012”",
    monthly_requests=9000,
    rules=(
        CoverageRule(start=date(2012, 7, 1), cadence=Cadence.MONTH_ENDS, analytics=True),
        CoverageRule(start=None, cadence=Cadence.DAILY, districts=("07", "91", "F")),
    ),
)


def entry(action: AuditAction) -> AuditEntry:
    actor = Actor("ada", Channel.CLI)
    return AuditEntry(id=uuid4(), at=NOW, actor=actor, action=action, job_id=None, changes={"enabled": (False, True)})


def full_state() -> KeeperState:
    items = [WorkItem(date(2026, 11, day), district) for day in (3, 4) for district in ("all", "91")]
    attempts = FailedAttempts().added(
        JobType.DATA_COLLECTION, [(item, "HTML_PAGE") for item in items], date(2026, 11, 5)
    )
    return KeeperState(
        token=7,
        owner="one",
        lease_until=NOW + timedelta(seconds=0.000001),
        requested_at=NOW,
        requested_by="ada",
        checked_at=NOW,
        postponed_at=NOW - timedelta(hours=1),
        checked_version=3,
        findings=Findings(
            missing={"not-published": 12, "HTML_PAGE": 2},
            complete_until=date(2026, 11, 26),
            failed_since=date(2026, 11, 3),
            next_attempt=date(2026, 11, 30),
        ),
        incomplete_since=NOW - timedelta(days=3),
        job_id=UUID(int=5),
        accounted_until=NOW,
        attempts=attempts.added(JobType.ANALYTICS_GENERATION, [(items[0], "not-published")], date(2026, 11, 6)),
        month="2026-11",
        month_requests=1234,
        events=TargetEvents(
            WebhookEvent(
                event=WebhookEventType.TARGET_INCOMPLETE, at=NOW, sentence="Two failed.", due_at=NOW, attempts=2
            ),
            version=3,
        ),
    )


def test_at_first_the_target_is_disabled_and_nothing_was_checked(storage: Storage) -> None:
    assert storage.targets.target() == CoverageTarget()
    assert not storage.targets.target().settings.enabled
    assert storage.targets.keeper() == KeeperState()


def test_a_target_is_stored_with_its_audit_entry(storage: Storage) -> None:
    stored = entry(AuditAction.CHANGED_TARGET)
    change = storage.targets.update_target(
        lambda target: target.replaced(SETTINGS, NOW, "ada"), audit=lambda before, after: stored
    )
    wanted = CoverageTarget(settings=SETTINGS, version=1, updated_at=NOW, updated_by="ada")
    assert (change.before, change.after, change.audit_entry) == (CoverageTarget(), wanted, stored)
    assert storage.targets.target() == wanted
    assert storage.audit.page(None, limit=5, offset=0).rows == [stored]


def test_an_unchanged_target_and_state_are_not_written_and_have_no_audit_entry(storage: Storage) -> None:
    storage.targets.update_target(lambda target: target.replaced(SETTINGS, NOW, "ada"))
    later = NOW + timedelta(hours=1)
    change = storage.targets.update_target(
        lambda target: target.replaced(SETTINGS, later, "bob"),
        audit=lambda before, after: entry(AuditAction.CHANGED_TARGET),
    )
    assert change.audit_entry is None
    assert storage.targets.target().updated_by == "ada"
    kept = storage.targets.update_keeper(lambda state: state, audit=lambda before, after: entry(AuditAction.CHECKED))
    assert kept.audit_entry is None
    assert storage.audit.page(None, limit=5, offset=0).total == 0


def test_an_error_of_a_change_leaves_the_target_and_the_audit_log_unchanged(storage: Storage) -> None:
    storage.targets.update_target(lambda target: target.replaced(SETTINGS, NOW, "ada"))

    def refused(target: CoverageTarget) -> CoverageTarget:
        raise TargetChanged("It was changed.")

    with pytest.raises(TargetChanged):
        storage.targets.update_target(refused, audit=lambda before, after: entry(AuditAction.CHANGED_TARGET))
    assert storage.targets.target().settings == SETTINGS
    assert storage.audit.page(None, limit=5, offset=0).total == 0


def test_the_state_is_stored_to_the_microsecond_with_all_attempts_and_its_audit_entry(storage: Storage) -> None:
    stored = entry(AuditAction.CHECKED)
    storage.targets.update_keeper(lambda state: full_state(), audit=lambda before, after: stored)
    assert storage.targets.keeper() == full_state()
    assert storage.audit.page(None, limit=5, offset=0).rows == [stored]
    storage.targets.update_keeper(lambda state: replace(state, attempts=FailedAttempts(), findings=None))
    assert len(storage.targets.keeper().attempts) == 0
    assert storage.targets.keeper().findings is None
    assert storage.targets.target() == CoverageTarget()


def test_of_writers_that_read_the_same_version_one_changes_the_target(storage: Storage) -> None:
    def compete(name: str) -> bool:
        def changed(target: CoverageTarget) -> CoverageTarget:
            if target.version != 0:
                raise TargetChanged("It was changed.")
            return target.replaced(replace(SETTINGS, note=name), NOW, name)

        try:
            storage.targets.update_target(changed)
        except TargetChanged:
            return False
        finally:
            storage.control.disconnect()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(compete, ("a", "b", "c", "d"))) == 1
    assert storage.targets.target().version == 1


def test_of_keepers_that_claim_at_once_one_gets_the_lease_and_former_ones_write_nothing(storage: Storage) -> None:
    def compete(owner: str) -> int:
        try:
            return storage.targets.update_keeper(lambda state: state.claimed(owner, NOW)).after.token
        except LeaseLost:
            return 0
        finally:
            storage.control.disconnect()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(compete, ("a", "b", "c", "d"))) == [0, 0, 0, 1]
    expired = NOW + timedelta(minutes=2)
    assert storage.targets.update_keeper(lambda state: state.claimed("e", expired)).after.token == 2
    with pytest.raises(LeaseLost):
        storage.targets.update_keeper(lambda state: replace(state.renewed(1, expired), month_requests=5))
    assert storage.targets.keeper().month_requests == 0
    storage.targets.update_keeper(lambda state: state.released(2))
    assert storage.targets.update_keeper(lambda state: state.claimed("f", expired)).after.token == 3
