"""The text that the command line shows for a job."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from backfill.cli.formatting import status_message
from backfill.cli.tables import job_view
from backfill.domain import DistrictProgress, JobType, LimiterReport, LimiterState, Progress, Status
from tests.unit.fakes import NOW, a_job, a_running_job


@pytest.mark.parametrize(
    ("limiter", "message"),
    [
        (LimiterReport(), "Computing 2024-01-31/91. No requests are sent to the dashboard."),
        (
            LimiterReport(
                state=LimiterState.BACKING_OFF,
                reason="The Dask scheduler does not answer.",
                waiting_until=datetime(2024, 3, 14, 9, 26, 55, tzinfo=UTC),
            ),
            "The Dask scheduler does not answer. (until 2024-03-14 09:26:55 UTC)",
        ),
    ],
)
def test_an_analytics_job_states_its_current_item_or_its_wait_reason(limiter: LimiterReport, message: str) -> None:
    progress = Progress(total_items=6, current_item="2024-01-31/91", limiter=limiter)
    assert status_message(a_running_job(job_type=JobType.ANALYTICS_GENERATION, progress=progress)) == message


@pytest.mark.parametrize(("pace", "text"), [(1190.4, "1,190.4"), (6000.0, "6,000"), (36.75, "36.8"), (0.94, "0.9")])
def test_the_rate_is_written_without_an_exponent(pace: float, text: str) -> None:
    console = Console(width=200, file=StringIO())
    progress = Progress(total_items=6, limiter=LimiterReport(pace=pace))
    for part in job_view(a_running_job(progress=progress), console, NOW):
        console.print(part)
    assert isinstance(console.file, StringIO)
    assert f"; current limit {text} a minute" in console.file.getvalue()


@pytest.mark.parametrize(
    ("status", "expected"), [(Status.RUNNING, "1 processing"), (Status.CANCELLED, "1 not completed")]
)
def test_a_district_that_an_ended_job_left_unfinished_is_not_processing(status: Status, expected: str) -> None:
    progress = Progress(total_items=3, processed=1, districts={"91": DistrictProgress(total=3, processed=1)})
    job = a_job(status=status, progress=progress, started_at=NOW, ended_at=NOW if status is Status.CANCELLED else None)
    console = Console(file=StringIO(), width=100)
    console.print(*job_view(job, console, NOW))
    assert isinstance(console.file, StringIO)
    assert expected in console.file.getvalue()
