"""The preview dialog of a plan."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adminui.presenters.preview import Change, plan
from backfill.domain import Estimate, JobType, Plan
from backfill.service.planning import Preview
from tests.factories import JobConfigFactory, PlanFactory


def preview_of(a_plan: Plan, job_type: JobType) -> Preview:
    return Preview(
        config=JobConfigFactory.build(), job_type=job_type, plan=a_plan, duration=Estimate(seconds=0, low=0, high=0)
    )


@pytest.mark.parametrize(
    ("job_type", "expected"),
    [(JobType.DATA_COLLECTION, "Nothing to fetch"), (JobType.ANALYTICS_GENERATION, "Nothing to compute")],
)
def test_a_plan_whose_items_are_all_done_takes_no_time(job_type: JobType, expected: str) -> None:
    a_plan: Plan = PlanFactory.build()
    shown = plan(preview_of(replace(a_plan, skipped={"unchanged": a_plan.total_items}, requests=0), job_type))
    assert [(figure.value, figure.note) for figure in shown.figures if figure.label == "Duration"] == [(expected, "")]


def test_the_preview_of_an_analytics_job_does_not_mention_fetching_or_retries() -> None:
    shown = plan(preview_of(PlanFactory.build(), JobType.ANALYTICS_GENERATION))
    texts = " ".join([shown.lead, *(row.value for row in shown.rows)])
    assert "fetched" not in texts
    assert "tried" not in texts


def test_a_change_without_a_visible_difference_is_not_listed() -> None:
    before, now = ({"totalItems": 24, "skippedItems": 0, "estimatedRequests": requests} for requests in (45, 45))
    changed = {"before": before, "now": {**now, "skippedItems": 3}, "rateLimits": {}}
    shown = plan(preview_of(PlanFactory.build(), JobType.DATA_COLLECTION), changed)
    assert shown.changes == [Change("Items to do", "24", "21")]


@pytest.mark.parametrize(
    ("dates", "text"), [(1, "1 date has no published data"), (8, "8 dates have no published data")]
)
def test_dates_without_published_data_are_counted(dates: int, text: str) -> None:
    shown = plan(preview_of(replace(PlanFactory.build(), unpublished_dates=dates), JobType.DATA_COLLECTION))
    assert [row.value for row in shown.rows if row.label == "Skipped"] == [f"nothing; {text}"]
