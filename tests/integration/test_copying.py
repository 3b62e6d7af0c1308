"""Copies between stores: `manage.py backfill copy`, from the database to Firestore and back."""

from __future__ import annotations

import io
import logging
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command

from backfill.domain import (
    CoverageRule,
    JobFilter,
    LimiterReport,
    Outcome,
    OutcomeKind,
    RateLimits,
    Snapshot,
    StoredLimits,
    TargetSettings,
)
from backfill.engine.job_manager import JobManager
from backfill.errors import StorageUnavailable
from backfill.storage import SnapshotStorage, Storage, open_storage
from tests.contract.backends import DAMAGE, Backend
from tests.factories import (
    DAY,
    NOW,
    AuditEntryFactory,
    CalendarMonthFactory,
    JobFactory,
    PlanFactory,
    ResultFactory,
    SnapshotFactory,
    reports_for,
)
from tests.integration.test_command_line import error_of

pytestmark = pytest.mark.parametrize("backend", ["firestore"], indirect=True)

EVERYTHING = date.min, date.max


@pytest.fixture
def stores(db: None, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> dict[str, Storage]:
    """Return the test's database and the emulator, both empty, as the command line opens them."""
    stores = {"orm": open_storage("orm"), "firestore": storage}
    monkeypatch.setattr("backfill.transfer.copy.open_storage", stores.__getitem__)
    return stores


def ended_job(storage: Storage, **fields: Any) -> None:
    """Store an ended job whose ledger has two segments."""
    plan = PlanFactory.build()
    job = JobFactory.build(**fields)
    storage.jobs.create(
        job, plan, displace=lambda _: None, audit=lambda _: [AuditEntryFactory.build(job_id=job.id, at=job.created_at)]
    )
    items = [item for day in plan.days for item in day.items()]
    for part in (items[:2], items[2:]):
        claim = JobManager(storage).claim("runner", NOW)
        assert claim is not None
        claim.note(Outcome(item, OutcomeKind.PROCESSED, NOW, attempts=1) for item in part)
        claim.record((), LimiterReport(), NOW)
        if part[-1] == items[-1]:
            claim.finish(NOW)
        else:
            claim.release(NOW)


def fill(storage: Storage) -> None:
    for n in range(2):
        ended_job(storage, created_at=NOW + timedelta(seconds=n))
    storage.control.update_rate_limits(
        lambda _: StoredLimits(limits=RateLimits(max_concurrent=5), updated_at=NOW, updated_by="alice"),
        audit=lambda _before, _after: AuditEntryFactory.build(job_id=None),
    )
    rules = (CoverageRule(start=date(2012, 7, 1), districts=("91", "F"), analytics=True),)
    storage.targets.update_target(
        lambda target: target.replaced(TargetSettings(enabled=True, rules=rules), NOW, "alice")
    )
    storage.calendars.save(CalendarMonthFactory.build())
    storage.calendars.save(CalendarMonthFactory.build(month_end=date(2024, 2, 29)))
    for district in ("all", "01", "F"):
        for day in (date(2023, 6, 30), DAY):
            snapshot = SnapshotFactory.build(date=day, district=district)
            storage.snapshots.put(snapshot)
            storage.results.put([ResultFactory.build(date=day, district=district, source_hash=snapshot.content_hash)])


def content(storage: Storage) -> dict[str, Any]:
    """Return everything that a store contains, except webhook events and revisions of jobs."""
    jobs, snapshots = storage.jobs, storage.snapshots
    ids = [job.id for job in jobs.page(JobFilter(), limit=100, offset=0).rows]
    return {
        "jobs": [jobs.get(job_id) for job_id in ids],
        "plans": [jobs.plan(job_id) for job_id in ids],
        "ledgers": [list(storage.ledger.segments(job_id)) for job_id in ids],
        "audit": {entry.id: entry for entry in storage.audit.page(None, limit=100, offset=0).rows},
        "limits": storage.control.rate_limits(),
        "target": storage.targets.target(),
        "calendar": storage.calendars.months(*EVERYTHING),
        "snapshots": [snapshots.get(facts.date, facts.district) for facts in snapshots.metadata(*EVERYTHING)],
        "results": [storage.results.get(facts.date, facts.district) for facts in storage.results.metadata(*EVERYTHING)],
    }


def copy(origin: str, target: str) -> tuple[int, str, str]:
    """Run the command, and return exit code, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("backfill", "copy", "--from", origin, "--to", target, stdout=out, stderr=err)
    except SystemExit as exit_:
        return int(exit_.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_a_copy_to_firestore_and_back_changes_nothing(stores: dict[str, Storage]) -> None:
    fill(stores["orm"])
    before = content(stores["orm"])
    assert [len(before[kind]) for kind in ("jobs", "snapshots", "results", "calendar", "audit")] == [2, 6, 6, 2, 3]
    code, output, errors = copy("orm", "firestore")
    assert (code, errors) == (0, "")
    assert "snapshots: 6 copied, 0 already present, 0 skipped" in output
    assert content(stores["firestore"]) == before

    assert "jobs: 0 copied, 2 already present" in copy("orm", "firestore")[1]
    assert content(stores["firestore"]) == before

    for model in apps.get_app_config("backfill").get_models():
        model._default_manager.all().delete()
    assert copy("firestore", "orm")[0] == 0
    assert content(stores["orm"]) == before


@pytest.mark.parametrize("calls", [1, 3, 9, 14, 16, 17, 20, 22])
def test_an_interrupted_copy_is_completed_by_the_next_call(
    stores: dict[str, Storage], monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """The target becomes unavailable at the given call."""
    fill(stores["orm"])
    target = stores["firestore"]
    calls_left = calls

    def failing(write: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls_left
            calls_left -= 1
            if calls_left == 0:
                raise StorageUnavailable("The job store does not answer: a fault of a test.")
            return write(*args, **kwargs)

        return call

    with monkeypatch.context() as context:
        for port, name in (
            (target.control, "update_rate_limits"),
            (target.targets, "update_target"),
            (target.jobs, "create"),
            (target.jobs, "update"),
            (target.audit, "add"),
            (target.snapshots, "put"),
            (target.results, "put"),
            (target.calendars, "save"),
        ):
            context.setattr(type(port), name, failing(getattr(type(port), name)))
        out = io.StringIO()
        with pytest.raises(Exception, match="a fault of a test"):
            call_command("backfill", "copy", "--from", "orm", "--to", "firestore", stdout=out)
    assert content(target) != content(stores["orm"])
    assert copy("orm", "firestore")[0] == 0
    assert content(target) == content(stores["orm"])


def test_each_copied_month_is_logged(stores: dict[str, Storage], caplog: pytest.LogCaptureFixture) -> None:
    for number, day in enumerate((date(2023, 6, 30), date(2023, 8, 31)), 1):
        stores["orm"].snapshots.put(SnapshotFactory.build(date=day, district="01"))
        with caplog.at_level(logging.INFO, "backfill.transfer.copy"):
            copy("orm", "firestore")
        assert len(caplog.messages) == number
        assert caplog.messages[-1] == f"Copied the snapshots of {day:%Y-%m}, 1 so far."


def test_a_newer_snapshot_in_the_target_is_kept_with_its_result(stores: dict[str, Storage]) -> None:
    fill(stores["orm"])
    newer = SnapshotFactory.build(fetched_at=NOW + timedelta(days=1), reports=reports_for("01", "newer"))
    result = ResultFactory.build(source_hash=newer.content_hash)
    stores["firestore"].snapshots.put(newer)
    stores["firestore"].results.put([result])
    code, output, _ = copy("orm", "firestore")
    assert code == 0
    assert "snapshots: 5 copied, 1 already present" in output
    assert "results: 5 copied, 1 already present" in output
    assert stores["firestore"].snapshots.get(DAY, "01") == newer
    assert stores["firestore"].results.get(DAY, "01") == result


def test_a_damaged_snapshot_is_reported_and_the_rest_is_copied(stores: dict[str, Storage]) -> None:
    fill(stores["orm"])
    apps.get_model("backfill", "StoredSnapshot").objects.filter(date=DAY, district="01").update(content=DAMAGE)
    code, output, errors = copy("orm", "firestore")
    assert code == 2
    assert "snapshots: 5 copied, 0 already present, 1 skipped" in output
    assert f"snapshot {DAY}/01" in errors
    assert "jobs: 2 copied" in output


def test_a_snapshot_that_the_target_stores_with_other_bytes_is_reported(
    stores: dict[str, Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The description of the snapshot is unchanged."""
    fill(stores["orm"])
    target = type(stores["firestore"].snapshots)

    def put(storage: SnapshotStorage, snapshot: Snapshot) -> bool:
        reports = {name: replace(report, content=report.content[::-1]) for name, report in snapshot.reports.items()}
        return original_put(storage, replace(snapshot, reports=reports))

    original_put = target.put
    monkeypatch.setattr(target, "put", put)
    code, output, errors = copy("orm", "firestore")
    assert (code, "snapshots: 0 copied, 0 already present, 6 skipped" in output) == (2, True)
    assert f"Snapshot {DAY}/01 differs in the target" in errors


@pytest.mark.parametrize("side", ["orm", "firestore"])
def test_nothing_is_copied_while_a_job_is_active(stores: dict[str, Storage], side: str) -> None:
    job = JobFactory.build()
    stores[side].jobs.create(job, PlanFactory.build(), displace=lambda _: None)
    error = error_of("copy", "--from", "orm", "--to", "firestore")
    assert f"Job {job.id} is pending in {side}." in error
    assert "Cancel it or wait for its end" in error


def test_an_unknown_store_is_refused_and_a_store_is_not_copied_to_itself(
    stores: dict[str, Storage], backend: Backend
) -> None:
    assert (
        error_of("copy", "--from", "orm", "--to", "mongo")
        == "There is no store 'mongo'; it must be one of: orm, firestore."
    )
    assert error_of("copy", "--from", "orm", "--to", "orm") == "orm cannot be copied to itself."
