"""Moving between stores: `manage.py backfill copy`, from the database to Firestore and back."""

from __future__ import annotations

import io
import logging
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command

from backfill.domain import JobFilter, LimiterReport, Outcome, OutcomeKind, RateLimits, Snapshot, StoredLimits
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
from tests.integration.test_command_line import refused

pytestmark = pytest.mark.parametrize("backend", ["firestore"], indirect=True)

EVERYTHING = date.min, date.max


@pytest.fixture
def stores(db: None, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> dict[str, Storage]:
    """The test's own database and the emulator, both empty, as the command line finds them."""
    stores = {"orm": open_storage("orm"), "firestore": storage}
    monkeypatch.setattr("backfill.transfer.copy.open_storage", stores.__getitem__)
    return stores


def ended_job(storage: Storage, **fields: Any) -> None:
    """One whose ledger has two segments."""
    plan = PlanFactory.build()
    job = JobFactory.build(**fields)
    storage.jobs.create(
        job, plan, displace=lambda _: None, audit=lambda _: [AuditEntryFactory.build(job_id=job.id, at=job.created_at)]
    )
    items = [item for day in plan.days for item in day.items()]
    for share in (items[:2], items[2:]):
        claim = JobManager(storage).claim("runner", NOW)
        assert claim is not None
        claim.note(Outcome(item, OutcomeKind.PROCESSED, NOW, attempts=1) for item in share)
        claim.record((), LimiterReport(), NOW)
        if share[-1] == items[-1]:
            claim.finish(NOW)
        else:
            claim.release(NOW)


def filled(storage: Storage) -> None:
    for n in range(2):
        ended_job(storage, created_at=NOW + timedelta(seconds=n))
    storage.control.update_rate_limits(
        lambda _: StoredLimits(limits=RateLimits(max_concurrent=5), updated_at=NOW, updated_by="alice"),
        audit=lambda _before, _after: AuditEntryFactory.build(job_id=None),
    )
    storage.calendars.save(CalendarMonthFactory.build())
    storage.calendars.save(CalendarMonthFactory.build(month_end=date(2024, 2, 29)))
    for district in ("all", "01", "F"):
        for day in (date(2023, 6, 30), DAY):
            snapshot = SnapshotFactory.build(date=day, district=district)
            storage.snapshots.put(snapshot)
            storage.results.put([ResultFactory.build(date=day, district=district, source_hash=snapshot.content_hash)])


def content(storage: Storage) -> dict[str, Any]:
    """All that a store holds, but who was told of a job and how often it was written."""
    jobs, snapshots = storage.jobs, storage.snapshots
    ids = [job.id for job in jobs.page(JobFilter(), limit=100, offset=0).rows]
    return {
        "jobs": [jobs.get(job_id) for job_id in ids],
        "plans": [jobs.plan(job_id) for job_id in ids],
        "ledgers": [list(storage.ledger.segments(job_id)) for job_id in ids],
        "audit": {entry.id: entry for entry in storage.audit.page(None, limit=100, offset=0).rows},
        "limits": storage.control.rate_limits(),
        "calendar": storage.calendars.months(*EVERYTHING),
        "snapshots": [snapshots.get(facts.date, facts.district) for facts in snapshots.metadata(*EVERYTHING)],
        "results": [storage.results.get(facts.date, facts.district) for facts in storage.results.metadata(*EVERYTHING)],
    }


def copy(origin: str, target: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("backfill", "copy", "--from", origin, "--to", target, stdout=out, stderr=err)
    except SystemExit as exit_:
        return int(exit_.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_everything_goes_to_firestore_and_comes_back_as_it_was(stores: dict[str, Storage]) -> None:
    filled(stores["orm"])
    before = content(stores["orm"])
    assert [len(before[kind]) for kind in ("jobs", "snapshots", "results", "calendar", "audit")] == [2, 6, 6, 2, 3]
    code, said, told = copy("orm", "firestore")
    assert (code, told) == (0, "")
    assert "snapshots: 6 copied, 0 already present, 0 skipped" in said
    assert content(stores["firestore"]) == before

    assert "jobs: 0 copied, 2 already present" in copy("orm", "firestore")[1]
    assert content(stores["firestore"]) == before

    for model in apps.get_app_config("backfill").get_models():
        model._default_manager.all().delete()
    assert copy("firestore", "orm")[0] == 0
    assert content(stores["orm"]) == before


@pytest.mark.parametrize("calls", [1, 3, 9, 14, 16, 17, 20, 22])
def test_what_was_interrupted_is_finished_by_the_next_call(
    stores: dict[str, Storage], monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """Wherever the target went away."""
    filled(stores["orm"])
    target = stores["firestore"]
    left = calls

    def failing(write: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise StorageUnavailable("The job store does not answer: the test took it away.")
            return write(*args, **kwargs)

        return call

    with monkeypatch.context() as away:
        for port, name in (
            (target.control, "update_rate_limits"),
            (target.jobs, "create"),
            (target.jobs, "update"),
            (target.audit, "add"),
            (target.snapshots, "put"),
            (target.results, "put"),
            (target.calendars, "save"),
        ):
            away.setattr(type(port), name, failing(getattr(type(port), name)))
        out = io.StringIO()
        with pytest.raises(Exception, match="the test took it away"):
            call_command("backfill", "copy", "--from", "orm", "--to", "firestore", stdout=out)
    assert content(target) != content(stores["orm"])
    assert copy("orm", "firestore")[0] == 0
    assert content(target) == content(stores["orm"])


def test_each_month_is_told_once_it_is_copied(stores: dict[str, Storage], caplog: pytest.LogCaptureFixture) -> None:
    for number, day in enumerate((date(2023, 6, 30), date(2023, 8, 31)), 1):
        stores["orm"].snapshots.put(SnapshotFactory.build(date=day, district="01"))
        with caplog.at_level(logging.INFO, "backfill.transfer.copy"):
            copy("orm", "firestore")
        assert len(caplog.messages) == number
        assert caplog.messages[-1] == f"Copied the snapshots of {day:%Y-%m}, 1 so far."


def test_what_is_newer_there_stays_with_what_was_computed_of_it(stores: dict[str, Storage]) -> None:
    filled(stores["orm"])
    newer = SnapshotFactory.build(fetched_at=NOW + timedelta(days=1), reports=reports_for("01", "newer"))
    result = ResultFactory.build(source_hash=newer.content_hash)
    stores["firestore"].snapshots.put(newer)
    stores["firestore"].results.put([result])
    code, said, _ = copy("orm", "firestore")
    assert code == 0
    assert "snapshots: 5 copied, 1 already present" in said
    assert "results: 5 copied, 1 already present" in said
    assert stores["firestore"].snapshots.get(DAY, "01") == newer
    assert stores["firestore"].results.get(DAY, "01") == result


def test_what_is_damaged_is_named_and_the_rest_is_copied(stores: dict[str, Storage]) -> None:
    filled(stores["orm"])
    apps.get_model("backfill", "StoredSnapshot").objects.filter(date=DAY, district="01").update(content=DAMAGE)
    code, said, told = copy("orm", "firestore")
    assert code == 2
    assert "snapshots: 5 copied, 0 already present, 1 skipped" in said
    assert f"snapshot {DAY}/01" in told
    assert "jobs: 2 copied" in said


def test_bytes_that_come_back_otherwise_are_named(stores: dict[str, Storage], monkeypatch: pytest.MonkeyPatch) -> None:
    """Though they are described as they were."""
    filled(stores["orm"])
    target = type(stores["firestore"].snapshots)

    def put(storage: SnapshotStorage, snapshot: Snapshot) -> bool:
        reports = {name: replace(report, content=report.content[::-1]) for name, report in snapshot.reports.items()}
        return as_it_is(storage, replace(snapshot, reports=reports))

    as_it_is = target.put
    monkeypatch.setattr(target, "put", put)
    code, said, told = copy("orm", "firestore")
    assert (code, "snapshots: 0 copied, 0 already present, 6 skipped" in said) == (2, True)
    assert f"Snapshot {DAY}/01 differs in the target" in told


@pytest.mark.parametrize("side", ["orm", "firestore"])
def test_nothing_is_copied_while_a_job_is_active(stores: dict[str, Storage], side: str) -> None:
    job = JobFactory.build()
    stores[side].jobs.create(job, PlanFactory.build(), displace=lambda _: None)
    sentence = refused("copy", "--from", "orm", "--to", "firestore")
    assert f"Job {job.id} is pending in {side}." in sentence
    assert "Cancel it or wait for its end" in sentence


def test_a_store_is_named_and_not_copied_to_itself(stores: dict[str, Storage], backend: Backend) -> None:
    assert (
        refused("copy", "--from", "orm", "--to", "mongo")
        == "There is no store 'mongo'; it must be one of: orm, firestore."
    )
    assert refused("copy", "--from", "orm", "--to", "orm") == "orm cannot be copied to itself."
