"""Texts of the admin that depend on the job type come from its description."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from adminui.presenters.limits_panel import limits_panel
from adminui.presenters.status_message import status_message
from backfill.domain import (
    STANDARD_LEASES,
    JobType,
    Lease,
    LimiterReport,
    LimiterState,
    Progress,
    RateLimits,
    Status,
    StoredLimits,
    job_types,
)
from tests.factories import NOW, JobFactory


def describe(monkeypatch: pytest.MonkeyPatch, job_type: JobType, **changes: Any) -> None:
    changed = {**job_types._DESCRIPTIONS, job_type: replace(job_type.description, **changes)}
    monkeypatch.setattr(job_types, "_DESCRIPTIONS", changed)


@pytest.mark.parametrize("job_type", JobType)
def test_a_waiting_job_names_the_system_that_its_job_type_depends_on(
    job_type: JobType, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(monkeypatch, job_type, waiting="Waiting for the archive.")
    job = JobFactory.build(
        job_type=job_type,
        status=Status.RUNNING,
        lease=Lease(owner="here", expires_at=NOW + STANDARD_LEASES.duration),
        progress=Progress(total_items=6, limiter=LimiterReport(state=LimiterState.BACKING_OFF, reason="It is down.")),
    )
    assert status_message(job, NOW).lead == "Waiting for the archive."


def test_the_limits_panel_takes_the_requests_per_item_from_the_job_type(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = StoredLimits(limits=RateLimits(max_requests_per_minute=60, min_delay_ms=0))
    describe(monkeypatch, JobType.DATA_COLLECTION, requests_of=lambda _district: 12)
    pace, *_ = limits_panel(stored, NOW + timedelta(days=1)).effects
    assert pace == "Allows about 5 items a minute; each item needs 12 requests."


def test_the_limits_panel_names_the_pace_of_each_number_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    describe(monkeypatch, JobType.ANALYTICS_GENERATION, requests_of=lambda _district: 1)
    effects = limits_panel(StoredLimits(), NOW).effects
    assert [text.partition("; ")[2] for text in effects[:2]] == [
        "each item needs 1 request.",
        "each item needs 3 requests.",
    ]
