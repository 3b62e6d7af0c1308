"""`manage.py check --database default` reports a pending job that no worker runs."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks

from backfill.errors import StorageUnavailable
from backfill.service.commands import BackfillService
from tests.factories import JobFactory, PlanFactory


def warnings() -> list[str]:
    return [message.msg for message in run_checks(databases=["default"]) if message.id == "backfill.W004"]


def test_a_pending_job_without_a_worker_is_reported_with_the_command_that_starts_one(served: BackfillService) -> None:
    assert warnings() == []
    job = served.storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job
    (message,) = warnings()
    assert message.startswith(f"Job {job.id} is pending. No worker is running")
    assert "manage.py backfill work" in message
    assert [each for each in run_checks() if each.id == "backfill.W004"] == [], (
        "Checks without a database do not read the store."
    )
    served.storage.control.report_worker(served.now())
    assert warnings() == []


def test_a_store_that_does_not_respond_is_not_reported_as_a_missing_worker(
    served: BackfillService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise StorageUnavailable("The job store does not answer.")

    monkeypatch.setattr(type(served.storage.jobs), "active", fail)
    assert warnings() == []
