"""The card of a job: status, status message, progress and details."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from adminui.forms import parse_districts
from adminui.permissions import Permissions
from adminui.presenters import formatting
from adminui.presenters.failure_causes import CAUSES, cause_of
from adminui.presenters.job_card import etag_of, job_card, last_job_card
from adminui.presenters.job_details import Detail, job_details
from adminui.presenters.job_history import job_table
from adminui.presenters.job_page import job_parameters
from adminui.presenters.progress_bar import progress_bar
from adminui.presenters.sparkline import sparkline
from adminui.presenters.start_panel import presets, start_blocked
from adminui.presenters.status import status_badge
from adminui.presenters.status_message import resumed_message, status_message
from backfill import errors
from backfill.domain import (
    STANDARD_LEASES,
    DistrictProgress,
    Estimate,
    FailureGroup,
    Job,
    JobType,
    Lease,
    LimiterReport,
    LimiterState,
    Progress,
    RateLimits,
    Status,
    WaitReason,
)
from backfill.errors import DashboardError
from tests.factories import NOW, JobFactory

ALL = Permissions(can_start=True, can_change=True, can_change_limits=True)
HELD = Lease(owner="here", expires_at=NOW + STANDARD_LEASES.duration)


def a_running_job(progress: Progress | None = None, **fields: object) -> Job:
    job: Job = JobFactory.build(
        status=Status.RUNNING, lease=HELD, started_at=NOW, progress=progress or Progress(total_items=6), **fields
    )
    return job


def limited(state: LimiterState, reason: str, seconds: int | None, waits_for: WaitReason | None = None) -> Progress:
    until = None if seconds is None else NOW + timedelta(seconds=seconds)
    report = LimiterReport(state=state, reason=reason, waiting_until=until, waits_for=waits_for, pace=29.85)
    return Progress(total_items=6, limiter=report)


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (JobFactory.build(), "Waiting for a worker"),
        (a_running_job(), "Running"),
        (a_running_job(resume_count=1), "Running, resumed"),
        (a_running_job(limited(LimiterState.BACKING_OFF, "It answered 503.", 28)), "Running, waiting"),
        (replace(a_running_job(), lease=replace(HELD, expires_at=NOW)), "Running, waiting"),
        (JobFactory.build(status=Status.COMPLETED, ended_at=NOW), "Completed"),
        (JobFactory.build(status=Status.COMPLETED, progress=Progress(total_items=6, failed=2)), "Completed, 2 failed"),
        (JobFactory.build(status=Status.CANCELLED, progress=Progress(total_items=6, processed=3)), "Cancelled at 50%"),
    ],
)
def test_each_status_has_a_label(job: Job, expected: str) -> None:
    assert status_badge(job, NOW).label == expected


def test_every_status_has_a_badge_and_a_status_message() -> None:
    for status in Status:
        job = JobFactory.build(status=status, ended_at=NOW)
        assert status_badge(job, NOW).label
        line = status_message(job, NOW)
        assert line.lead.endswith((".", ","))
        assert line.rest.endswith(".")


@pytest.mark.parametrize(
    ("progress", "lead", "rest"),
    [
        (
            limited(LimiterState.BACKING_OFF, "The dashboard answered 503", 28),
            "Waiting until 09:27:21.",
            "The dashboard answered 503. The request is repeated automatically. No item is lost; no action is needed.",
        ),
        (
            limited(LimiterState.THROTTLED, "Waiting for the next start.", 28, WaitReason.PACE),
            "Waiting until 09:27:21 to keep to 60 requests a minute.",
            "The job continues automatically.",
        ),
        (
            limited(LimiterState.THROTTLED, "Waiting for the next start.", 28, WaitReason.SLOWED),
            "Waiting until 09:27:21 to keep to 29.9 requests a minute.",
            "It asked for fewer requests than the limit of 60 requests a minute; the rate increases",
        ),
        (
            limited(LimiterState.THROTTLED, "Only within the hours.", 28, WaitReason.OUTSIDE_HOURS),
            "Waiting until 09:27:21, when the allowed hours begin.",
            "Requests are sent only within the allowed hours.",
        ),
        (
            limited(LimiterState.BACKING_OFF, "Nothing was answered. It goes on.", 28, WaitReason.DOWN),
            "Waiting until 09:27:21.",
            "Nothing was answered. It goes on.",
        ),
        (
            limited(LimiterState.BACKING_OFF, "Nothing was answered. It goes on.", None, WaitReason.DOWN),
            "Waiting for the dashboard.",
            "Nothing was answered. It goes on.",
        ),
        (
            limited(LimiterState.BACKING_OFF, "It is down.", None),
            "Waiting for the dashboard.",
            "It is down. The request",
        ),
        (
            Progress(
                total_items=6,
                districts={name: DistrictProgress(total=2, is_in_progress=True) for name in ("all", "60", "61", "62")},
                limiter=LimiterReport(state=LimiterState.RUNNING, reason="The dashboard answers."),
            ),
            "Fetching 4 items at once,",
            "from districts 60 to 62 and the summary. The dashboard responds normally; the rate is the limit of 60",
        ),
        (
            limited(LimiterState.THROTTLED, "Waiting for the next start.", 28, WaitReason.CRAWL_DELAY),
            "Waiting until 09:27:21 to keep to 29.9 requests a minute.",
            "The dashboard's robots.txt requires this rate.",
        ),
        (
            limited(LimiterState.RUNNING, "The dashboard answers", None, WaitReason.CRAWL_DELAY),
            "Fetching the next items.",
            "The dashboard responds; the rate is 29.9 requests a minute, as its robots.txt requires.",
        ),
        (
            limited(LimiterState.RUNNING, "The dashboard answers", None, WaitReason.SLOWED),
            "Fetching the next items.",
            "The dashboard responds; the rate is 29.9 requests a minute. It asked for fewer requests than the limit",
        ),
        (
            limited(LimiterState.RUNNING, "Waiting for 3 responses, the oldest for 40 s.", None, WaitReason.RESPONSES),
            "Fetching the next items.",
            "Waiting for 3 responses, the oldest for 40 s.",
        ),
        (limited(LimiterState.IDLE, "No requests.", None), "Working through the plan.", "Stored items are skipped"),
    ],
)
def test_a_running_job_states_its_activity_or_its_wait_reason(progress: Progress, lead: str, rest: str) -> None:
    line = status_message(a_running_job(progress), NOW)
    assert line.lead == lead
    assert line.rest.startswith(rest)
    assert "It goes on. It" not in line.rest


def test_the_message_of_a_local_problem_does_not_promise_an_automatic_retry() -> None:
    expected = "DNS does not resolve it. It goes on once mended."
    progress = limited(LimiterState.BACKING_OFF, expected, 28, WaitReason.LOCAL)
    assert status_message(a_running_job(progress), NOW).rest == expected


def test_the_status_message_states_the_stricter_limit() -> None:
    running = a_running_job(limited(LimiterState.RUNNING, "The dashboard answers", None))
    quick = RateLimits(max_requests_per_minute=600, min_delay_ms=500)
    line = status_message(replace(running, config=replace(running.config, rate_limits=quick)), NOW)
    assert line.rest == "The dashboard responds normally; the rate is the limit of 120 requests a minute."


def test_a_job_with_an_unavailable_cluster_states_that_it_waits_for_it() -> None:
    progress = limited(LimiterState.BACKING_OFF, "The Dask scheduler does not answer. Start it", 2)
    line = status_message(a_running_job(progress, job_type=JobType.ANALYTICS_GENERATION), NOW)
    assert (line.lead, line.until) == ("Waiting for the Dask cluster.", None)
    assert line.rest == (
        "The Dask scheduler does not answer. Start it. The job then continues automatically. No item is lost."
    )


def test_an_analytics_job_states_that_it_sends_no_requests() -> None:
    progress = Progress(total_items=6, current_item="2013-06-30/60")
    line = status_message(a_running_job(progress, job_type=JobType.ANALYTICS_GENERATION), NOW)
    assert line.lead == "Computing district 60, 30 Jun 2013."
    assert line.rest == "No requests are sent to the dashboard."


def test_the_status_message_states_a_silent_worker_or_missing_progress() -> None:
    silent = replace(a_running_job(), lease=replace(HELD, expires_at=NOW))
    assert "Worker not heard from since 09:26:53" in status_message(silent, NOW).lead
    assert status_message(a_running_job(), NOW + timedelta(minutes=10)).lead == "No progress for 10 minutes."


@pytest.mark.parametrize(
    ("status", "processed", "expected"),
    [
        (Status.CANCELLING, 5, "The 5 items stored so far are kept; 1 will be left undone."),
        (Status.CANCELLING, 1, "The 1 item stored so far is kept; 5 will be left undone."),
        (Status.PAUSING, 5, "The 5 items stored so far are kept; the other one is processed after the job is resumed."),
        (Status.PAUSING, 0, "No items are stored so far; the other 6 are processed after the job is resumed."),
        (Status.PAUSED, 5, "The job then continues with the one item that is left."),
        (Status.PAUSED, 2, "The job then continues with the 4 items that are left."),
    ],
)
def test_stored_and_remaining_items_are_counted_with_correct_plurals(
    status: Status, processed: int, expected: str
) -> None:
    job = JobFactory.build(status=status, progress=Progress(total_items=6, processed=processed))
    assert status_message(job, NOW).rest.endswith(expected)


@pytest.mark.parametrize(
    ("pace", "expected"), [(0.6, "0.6 items"), (1.0, "1 item"), (1.4, "1.4 items"), (20, "20 items")]
)
def test_a_rate_is_plural_except_for_exactly_one(pace: float, expected: str) -> None:
    assert formatting.items_a_minute(pace) == f"{expected} a minute"
    assert formatting.requests_a_minute(pace) == f"{expected} a minute".replace("item", "request")


def test_the_messages_of_an_analytics_job_do_not_mention_fetching() -> None:
    fields = {"job_type": JobType.ANALYTICS_GENERATION, "started_at": NOW, "resumed_at": NOW, "resume_count": 2}
    paused = JobFactory.build(status=Status.PAUSED, **fields)
    banner = resumed_message(paused, NOW)
    assert banner is not None
    assert banner.lead == "Resumed 2 times, most recently at 09:26, from the last stored item."
    assert banner.rest.endswith("were kept and are not computed again.")
    assert status_message(paused, NOW).rest.startswith("Nothing is computed until")


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([(5, True), (1, False)], "under the limits of the next job. The other one would fail the same way."),
        ([(1, True), (5, False)], "under the limits of the next job. The other 5 would fail the same way."),
        ([(6, True)], "under the limits of the next job."),
        ([(6, False)], "All other items are done. A retry would fail the same way."),
    ],
)
def test_an_ended_job_states_which_failures_a_retry_may_fix(groups: list[tuple[int, bool]], expected: str) -> None:
    failures = tuple(
        FailureGroup(code=f"CODE_{n}", items=items, districts=("38",), latest_at=NOW, is_retryable=is_retryable)
        for n, (items, is_retryable) in enumerate(groups)
    )
    progress = Progress(total_items=9, processed=3, failed=6, failures=failures)
    job = JobFactory.build(status=Status.COMPLETED, ended_at=NOW, progress=progress)
    assert status_message(job, NOW).rest.endswith(expected)


def test_a_paused_job_states_that_its_end_is_unknown_and_that_it_blocks_new_jobs() -> None:
    minutes = tuple((NOW + timedelta(minutes=n), 20) for n in range(3))
    shown = job_details(JobFactory.build(status=Status.PAUSED, progress=Progress(total_items=6, minutes=minutes)), NOW)
    assert [(fact.label, fact.value, fact.note) for fact in shown[:2]] == [
        ("Pace", "20 items a minute", "before it was paused"),
        ("Expected end", "Unknown while paused", "a paused job blocks new jobs"),
    ]


@pytest.mark.parametrize(
    ("waited", "expected"), [({}, "none"), ({"pace": 90.0, "down": 60.0, "asked-to-wait": 12.0}, "1 min 12 s in total")]
)
def test_an_ended_job_states_how_long_it_waited_apart_from_its_pace(waited: dict[str, float], expected: str) -> None:
    progress = Progress(total_items=6, processed=6, limiter=LimiterReport(waited=waited))
    job = JobFactory.build(status=Status.COMPLETED, started_at=NOW, ended_at=NOW, resume_count=2, progress=progress)
    assert [fact for fact in job_details(job, NOW) if fact.label == "Time lost to errors"] == [
        Detail("Time lost to errors", expected, "resumed 2 times")
    ]


@pytest.mark.parametrize(
    ("status", "expected"), [(Status.CANCELLING, "ends within seconds"), (Status.PAUSING, "pauses within seconds")]
)
def test_a_pausing_or_cancelling_job_shows_no_estimate_of_hours(status: Status, expected: str) -> None:
    progress = Progress(total_items=6, left=Estimate(seconds=3600, low=3000, high=4000))
    shown = job_card(JobFactory.build(status=status, lease=HELD, progress=progress), ALL, NOW)
    assert (shown.time_left, shown.time_left_range) == ("", expected)


def test_one_district_is_not_shown_as_one_item() -> None:
    districts = {"91": DistrictProgress(total=30, is_in_progress=True)}
    report = LimiterReport(state=LimiterState.RUNNING, reason="The dashboard answers.")
    line = status_message(a_running_job(Progress(total_items=30, districts=districts, limiter=report)), NOW)
    assert line.lead == "Fetching from district 91."


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (None, ""),
        (a_running_job(), "Start is possible when the active job has ended. Preview works now."),
        (
            a_running_job(Progress(total_items=6, left=Estimate(seconds=3600, low=3000, high=4000))),
            "Start is possible when the running job has ended, around 10:26. Preview works now.",
        ),
        (a_running_job(progressed_at=NOW - STANDARD_LEASES.stale_after), ""),
    ],
)
def test_the_start_button_states_why_no_job_can_start(job: Job | None, expected: str) -> None:
    assert start_blocked(job, ALL, NOW) == expected


def test_the_progress_bar_adds_up_and_shows_small_parts() -> None:
    progress = Progress(total_items=100_000, processed=50_000, failed=1, skipped={"stored": 100})
    parts = progress_bar(a_running_job(progress)).segments
    assert [(part.tone, part.start, part.width) for part in parts] == [
        ("done", "0%", "50%"),
        ("skip", "50%", "0.5%"),
        ("fail", "50.5%", "0.5%"),
    ]


def test_skipped_items_are_counted_by_their_reason() -> None:
    progress = Progress(total_items=300, skipped={"stored": 82, "not-published": 14})
    assert [part.label for part in progress_bar(a_running_job(progress)).legend] == [
        "14 not published, 82 already stored",
        "204 to do",
    ]


def test_requests_of_an_idle_limiter_are_counted_for_this_minute() -> None:
    limiter = LimiterReport(state=LimiterState.IDLE, reason="No requests.")
    job = a_running_job(Progress(total_items=6, limiter=limiter))
    requests = [detail.note for detail in job_details(job, NOW) if detail.label == "Requests"]
    assert requests == ["0 of 60 this minute; idle"]


def test_a_history_row_has_a_cell_for_each_column_and_the_id_that_polling_replaces() -> None:
    job = a_running_job(Progress(total_items=6, processed=2))
    table = job_table([job], NOW)
    (line,) = table.rows
    assert len(line.cells) == len(table.columns)
    assert (line.id, line.kind) == (f"bf-row-{job.id}", "current")
    assert line.cells[1].href == f"/admin/backfill/jobs/{job.id}/"
    assert [(cell.text, cell.is_empty) for cell in line.cells[5:7]] == [("2 stored", False), ("None", True)]


def test_the_history_separates_stored_and_skipped_items() -> None:
    progress = Progress(total_items=100, processed=40, failed=1, skipped={"stored": 50, "not-published": 2})
    cells = [
        job_table([job], NOW).rows[0].cells[5]
        for job in (
            a_running_job(progress),
            JobFactory.build(status=Status.CANCELLED, progress=progress),
            JobFactory.build(job_type=JobType.ANALYTICS_GENERATION, progress=Progress(total_items=9, processed=9)),
        )
    ]
    assert [(cell.text, cell.note) for cell in cells] == [
        ("40 stored", "52 skipped, 7 to do"),
        ("40 stored", "52 skipped, 7 left undone"),
        ("9 computed", ""),
    ]


def test_requests_before_the_limit_was_lowered_are_not_counted_against_the_lower_one() -> None:
    job = a_running_job(Progress(total_items=6, limiter=LimiterReport(requests_this_minute=60)))
    lowered = job.limits_lowered(replace(job.config.rate_limits, max_requests_per_minute=30))
    requests = [detail.note for detail in job_details(lowered, NOW) if detail.label == "Requests"]
    assert requests == ["60 in the last minute, before the limit was lowered to 30; idle"]


def test_the_parameters_show_the_limits_at_the_start_of_the_job() -> None:
    job = a_running_job()
    for limit in (30, 20):
        job = job.limits_lowered(replace(job.config.rate_limits, max_requests_per_minute=limit))
    shown = {detail.label: detail.value for detail in job_parameters(job, NOW)}
    assert shown["Limits"].startswith("60 requests a minute")
    assert shown["Limits lowered to"].startswith("20 requests a minute")


def test_the_sparkline_omits_the_first_and_the_current_minute() -> None:
    minutes = tuple((NOW + timedelta(minutes=n), count) for n, count in enumerate((1, 10, 20, 20, 3)))
    drawn = sparkline(a_running_job(Progress(total_items=6, minutes=minutes)))
    assert drawn is not None
    assert drawn.top == "20"
    assert drawn.line == "0,34 150,4 300,4"
    assert sparkline(a_running_job(Progress(total_items=6, minutes=minutes[:3]))) is None


def test_the_etag_changes_with_the_job_the_permissions_and_an_expired_lease() -> None:
    job = a_running_job()
    no_permissions = Permissions(can_start=False, can_change=False, can_change_limits=False)
    etags = {
        etag_of(job, ALL, NOW),
        etag_of(replace(job, revision=1), ALL, NOW),
        etag_of(job, no_permissions, NOW),
        etag_of(job, ALL, NOW + STANDARD_LEASES.duration),
        etag_of(job, ALL, NOW, shows_all=True),
        etag_of(None, ALL, NOW),
    }
    assert len(etags) == 6


def test_the_last_job_is_one_line_if_it_succeeded_and_a_card_if_items_failed() -> None:
    ended = {"started_at": NOW, "ended_at": NOW + timedelta(minutes=9)}
    done = last_job_card(JobFactory.build(status=Status.COMPLETED, **ended), ALL, NOW + timedelta(hours=1))
    assert (done.status, done.badge.label, done.last_job_note) == (
        "idle",
        "Nothing is running",
        "at 09:35, after 9 min",
    )
    some_failed = Progress(total_items=6, processed=4, failed=2)
    left = last_job_card(JobFactory.build(status=Status.COMPLETED, progress=some_failed, **ended), ALL, NOW)
    assert (left.status, left.badge.label) == ("completed", "Completed, 2 failed")
    assert (left.heading, left.title[:10]) == ("Now: nothing is running", "Last job: ")


def test_only_active_and_failed_districts_are_listed_unless_all_are_requested() -> None:
    districts = {
        "01": DistrictProgress(total=2, processed=2),
        "02": DistrictProgress(total=2, failed=1),
        "03": DistrictProgress(total=2, is_in_progress=True),
    }
    job = a_running_job(Progress(total_items=6, districts=districts))
    some, all_of_them = (job_card(job, ALL, NOW, shows_all=shows_all).districts for shows_all in (False, True))
    assert some is not None
    assert all_of_them is not None
    assert [row.name for row in some.rows] == ["2", "3"]
    assert len(all_of_them.rows) == 3
    assert some.summary == "1 done, 1 in progress, 1 to do; 1 has failures"


def test_every_dashboard_error_has_a_description_and_advice_about_retrying() -> None:
    leaves = {
        kind.code: kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, DashboardError) and not kind.__subclasses__()
    }
    without_item = {"DASHBOARD_UNAVAILABLE", "ROBOTS_UNAVAILABLE", "DISALLOWED_BY_ROBOTS"}
    assert set(leaves) - set(CAUSES) == without_item
    for code in set(leaves) & set(CAUSES):
        assert str(CAUSES[code].advice).startswith("Retry") == leaves[code].is_retryable, code
    for code in ("QUARANTINED", "COMPUTING_DIED"):
        assert "then start a job over its dates" in str(cause_of(code, is_retryable=False).advice)
    assert cause_of("SOME_NEW_CODE", is_retryable=True).label == "Some new code"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s"), (48, "48 s"), (60, "1 min"), (2530, "42 min 10 s"), (12_540, "3 h 29 min"), (180_000, "2 days 2 h")],
)
def test_a_duration_is_shown_in_its_two_largest_units(seconds: int, expected: str) -> None:
    assert formatting.length(timedelta(seconds=seconds)) == expected


def test_consecutive_districts_are_shown_as_one_range() -> None:
    assert formatting.districts(["01", "02", "03", "24", "57", "58", "F"]) == "1 to 3, 24, 57, 58 and F"
    assert formatting.where(["38"]) == "District 38"
    assert formatting.where(["all"]) == "The summary of all districts"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("41-43", ["41", "42", "43"]),
        ("1 to 3, f and 60", ["01", "02", "03", "F", "60"]),
        (" 7 ; 07 ", ["07", "07"]),
        ("", []),
    ],
)
def test_district_lists_and_ranges_are_parsed(text: str, ids: list[str]) -> None:
    assert parse_districts(text) == ids


def test_date_presets_are_relative_to_today() -> None:
    by_name = {preset.name: preset for preset in presets(date(2026, 7, 1))}
    assert by_name["last-close"].end == "2026-06-30"
    assert (by_name["this-year"].start, by_name["this-year"].end) == ("2025-07-01", "2026-06-30")
    assert by_name["all-gaps"].start == "2008-07-01"
