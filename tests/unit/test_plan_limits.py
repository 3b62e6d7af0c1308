"""The rate limits are part of the plan of a preview."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backfill.domain import Status
from backfill.errors import IdempotencyKeyReused, InvalidRequest, PlanChanged
from tests.unit.test_service import ANN, BOB, PLAN, REQUEST, Service


def test_a_start_whose_limits_changed_is_refused_with_the_difference() -> None:
    """R11.4, R12.3"""
    service = Service()
    service.change_rate_limits({"max_requests_per_minute": 1200, "backoff_multiplier": 2.5}, by=ANN)
    plan_id = service.preview(REQUEST).plan_id
    assert plan_id == f"plan-6-1-11-1200_3_500_30000_2.5-{PLAN.digest}"
    service.change_rate_limits({"max_requests_per_minute": 30, "backoff_multiplier": 2}, by=BOB)
    with pytest.raises(PlanChanged) as refused:
        service.begin(replace(REQUEST, plan_id=plan_id))
    assert "1,200 requests per minute when previewed, 30 now; backoff factor 2.5 when previewed, 2 now" in str(
        refused.value
    )
    assert "other items" not in refused.value.message
    details = refused.value.details or {}
    assert details["before"] == details["now"]
    assert details["rateLimits"] == {
        "maxRequestsPerMinute": {"before": 1200, "now": 30},
        "backoffMultiplier": {"before": 2.5, "now": 2},
    }
    assert service.memory.jobs.rows == {}
    job = service.begin(replace(REQUEST, plan_id=details["planId"]))
    assert job.config.rate_limits.max_requests_per_minute == 30


def test_a_plan_id_of_an_earlier_version_is_refused_as_a_changed_plan() -> None:
    service = Service()
    with pytest.raises(PlanChanged, match="made by an earlier version and does not contain the rate limits") as refused:
        service.begin(replace(REQUEST, plan_id=f"plan-6-1-11-{PLAN.digest}"))
    details = refused.value.details or {}
    assert details["rateLimits"] is None
    assert service.begin(replace(REQUEST, plan_id=details["planId"])).status is Status.PENDING


def test_limits_of_a_request_apply_to_its_job_only_and_bind_its_plan() -> None:
    """R12.2: the limits that an operator has not saved."""
    service = Service()
    service.change_rate_limits({"max_delay_ms": 60_000}, by=ANN)
    request = replace(REQUEST, limit_changes={"max_requests_per_minute": 30, "min_delay_ms": 40_000})
    preview = service.preview(request)
    assert preview.plan_id != service.preview(REQUEST).plan_id
    job = service.begin(replace(request, plan_id=preview.plan_id), key="k")
    assert (job.config.rate_limits.max_requests_per_minute, job.config.rate_limits.min_delay_ms) == (30, 40_000)
    assert job.config.rate_limits.max_delay_ms == 60_000, "the others are those of the next job"
    assert service.rate_limits().limits.max_requests_per_minute == 60
    with pytest.raises(IdempotencyKeyReused):
        service.begin(replace(REQUEST, plan_id=preview.plan_id), key="k")
    with pytest.raises(InvalidRequest, match="maxConcurrent must be between"):
        service.preview(replace(REQUEST, limit_changes={"max_concurrent": 33}))
