"""What the dialog says of a plan before it is started."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adminui.presenters.preview import Change, plan
from backfill.domain import Estimate, JobType, Plan
from backfill.service.planning import Preview
from tests.factories import JobConfigFactory, PlanFactory


def preview_of(made: Plan, job_type: JobType) -> Preview:
    return Preview(
        config=JobConfigFactory.build(), job_type=job_type, plan=made, duration=Estimate(seconds=0, low=0, high=0)
    )


@pytest.mark.parametrize(
    ("job_type", "words"),
    [(JobType.DATA_COLLECTION, "Nothing to fetch"), (JobType.ANALYTICS_GENERATION, "Nothing to compute")],
)
def test_a_plan_of_which_everything_is_done_takes_no_time(job_type: JobType, words: str) -> None:
    made: Plan = PlanFactory.build()
    shown = plan(preview_of(replace(made, skipped={"unchanged": made.total_items}, requests=0), job_type))
    assert [(figure.value, figure.note) for figure in shown.figures if figure.label == "Duration"] == [(words, "")]


def test_a_plan_of_analytics_says_nothing_of_fetching_and_of_tries() -> None:
    shown = plan(preview_of(PlanFactory.build(), JobType.ANALYTICS_GENERATION))
    texts = " ".join([shown.lead, *(row.value for row in shown.rows)])
    assert "fetched" not in texts
    assert "tried" not in texts


def test_a_change_that_does_not_show_is_not_told() -> None:
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
