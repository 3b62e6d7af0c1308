"""What the command line says of a job."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from backfill.cli.formatting import status_message
from backfill.cli.tables import job_view
from backfill.domain import JobType, LimiterReport, LimiterState, Progress
from tests.unit.fakes import NOW, a_running_job


@pytest.mark.parametrize(
    ("limiter", "sentence"),
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
def test_a_job_that_computes_says_what_of_or_why_it_waits(limiter: LimiterReport, sentence: str) -> None:
    progress = Progress(total_items=6, current_item="2024-01-31/91", limiter=limiter)
    assert status_message(a_running_job(job_type=JobType.ANALYTICS_GENERATION, progress=progress)) == sentence


@pytest.mark.parametrize(("pace", "said"), [(1190.4, "1,190.4"), (6000.0, "6,000"), (36.75, "36.8"), (0.94, "0.9")])
def test_the_pace_is_written_out_however_fast_it_is(pace: float, said: str) -> None:
    console = Console(width=200, file=StringIO())
    progress = Progress(total_items=6, limiter=LimiterReport(pace=pace))
    for part in job_view(a_running_job(progress=progress), console, NOW):
        console.print(part)
    assert isinstance(console.file, StringIO)
    assert f"; current limit {said} a minute" in console.file.getvalue()
