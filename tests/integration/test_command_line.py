"""The command-line door over a fake work, in this process: every verb that does not wait."""

from __future__ import annotations

import errno
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError
from pytest_django import Settings

from backfill.domain import JobFilter, OutcomeFilter, Status
from backfill.domain.clock import Clock
from backfill.domain.runtime_config import RuntimeConfig
from backfill.errors import StorageUnavailable
from backfill.serializers.items import ItemSerializer
from backfill.serializers.jobs import JobSerializer, ListedJobSerializer
from backfill.serializers.rate_limits import StoredRateLimitsSerializer
from backfill.service.commands import BackfillService
from backfill.storage import open_storage
from backfill.storage.orm.database import answering
from tests.integration.fake_job_type import FakeWork, fake_service, run_to_the_end

RANGE = ("--from", "2024-01-01", "--to", "2024-01-02")


@pytest.fixture
def service(db: None, monkeypatch: pytest.MonkeyPatch) -> BackfillService:
    service = fake_service(open_storage("orm"), FakeWork())
    monkeypatch.setattr("backfill.bootstrap.backfill_service", lambda: service)
    return service


def said(*arguments: str) -> str:
    """What a verb writes to standard output."""
    out = io.StringIO()
    call_command("backfill", *arguments, stdout=out)
    return out.getvalue()


def told(*arguments: str) -> Any:
    """The JSON that it writes there, and nothing else."""
    return json.loads(said(*arguments, "--json"))


def refused(*arguments: str) -> str:
    """Its error, which is one line; standard output stays empty."""
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("backfill", *arguments, stdout=out)
    assert out.getvalue() == ""
    assert "\n" not in str(caught.value)
    assert caught.value.returncode == 1
    return str(caught.value)


def without_metadata(shape: dict[str, Any]) -> dict[str, Any]:
    assert set(shape["metadata"]) == {"operationId", "timestamp"}
    return {name: value for name, value in shape.items() if name != "metadata"}


def test_without_a_verb_the_help_is_printed(service: BackfillService, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("backfill")
    assert "rate-limit" in capsys.readouterr().out


def test_start_says_the_id_and_what_happens_next(service: BackfillService) -> None:
    text = said("start", *RANGE, "--operator", "alice")
    job = service.active()
    assert job is not None
    assert f"Job {job.id} is pending: 6 items." in text
    assert "manage.py backfill status" in text
    assert (job.created_by, job.status) == ("alice", Status.PENDING)


def test_start_takes_every_flag_of_a_request(service: BackfillService) -> None:
    job = told(
        "start",
        *RANGE,
        "--district",
        "1",
        "--district",
        "f",
        "--cadence",
        "month-ends",
        "--no-skip-existing",
        "--idempotency-key",
        "k",
    )
    assert job["config"] | {"rateLimits": None} == {
        "startDate": "2024-01-01",
        "endDate": "2024-01-02",
        "targetDistricts": ["01", "F"],
        "cadence": "month-ends",
        "skipExisting": False,
        "rateLimits": None,
    }
    again = told(
        "start",
        *RANGE,
        "--district",
        "1",
        "--district",
        "f",
        "--cadence",
        "month-ends",
        "--no-skip-existing",
        "--idempotency-key",
        "k",
    )
    assert again["jobId"] == job["jobId"]


def test_the_operator_is_the_login_name_where_none_is_given(
    service: BackfillService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "bob")
    assert told("start", *RANGE)["createdBy"] == "bob"


def test_an_operator_without_a_login_name_is_the_command_line(
    service: BackfillService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert told("start", *RANGE)["createdBy"] == "command line"


def test_start_as_json_is_the_shape_of_the_job(service: BackfillService) -> None:
    """R2.4."""
    shape = told("start", *RANGE)
    assert without_metadata(shape) == without_metadata(JobSerializer.render(service.job(UUID(shape["jobId"]))))
    assert shape["jobType"] == "data-collection"


def test_a_job_type_that_there_is_not_is_refused(service: BackfillService) -> None:
    """R2.1."""
    assert refused("start", "--type", "x", *RANGE).startswith("--type must be data-collection or analytics-generation")


def test_a_second_start_is_refused_and_names_the_running_job(service: BackfillService) -> None:
    """R3.2."""
    first = told("start", *RANGE)["jobId"]
    sentence = refused("start", *RANGE)
    assert first in sentence
    assert "One job runs at a time" in sentence


def test_a_preview_shows_the_plan_and_starts_nothing(service: BackfillService) -> None:
    """R11.2, R11.3."""
    text = said("preview", *RANGE, "--district", "91")
    assert "2024-01-01 to 2024-01-02" in text
    assert "1: 91" in text
    assert "duration" in text
    assert service.active() is None


def test_a_preview_says_the_command_that_starts_exactly_its_plan(service: BackfillService) -> None:
    """R11.2."""
    line = said("preview", *RANGE, "--district", "91").splitlines()[-1]
    arguments = line.partition("manage.py backfill ")[2].split()
    assert told(*arguments)["progress"]["totalItems"] == 2


def test_a_preview_as_json_is_the_shape_of_http(service: BackfillService) -> None:
    shape = told("preview", *RANGE)
    assert set(shape) == {"preview"}
    assert shape["preview"]["totalItems"] == 6
    assert shape["preview"]["dateRange"] == {"startDate": "2024-01-01", "endDate": "2024-01-02"}


def test_a_plan_that_changed_is_refused_with_what_changed(service: BackfillService) -> None:
    stale = told("preview", *RANGE)["preview"]["planId"]
    sentence = refused("start", "--from", "2024-01-01", "--to", "2024-01-03", "--plan-id", stale)
    assert "totalItems 6 -> 9" in sentence
    assert "--plan-id plan-9-" in sentence
    told("rate-limit", "--max-requests-per-minute", "30")
    sentence = refused("start", *RANGE, "--plan-id", stale)
    assert "60 requests per minute when previewed, 30 now" in sentence
    assert "Changed:" not in sentence


def test_notes_are_given_with_actions_and_later_and_shown(service: BackfillService) -> None:
    job = told("start", *RANGE, "--note", "close of January", "--operator", "ann")["jobId"]
    assert told("pause", "--note", "slow")["note"] == "slow"
    assert told("cancel", job, "--note", "wrong year")["note"] == "wrong year"
    assert "was added to job" in said("note", job, "done by hand")
    text = said("status", job)
    for note in ("close of January", "slow", "wrong year", "done by hand"):
        assert note in text
    assert "note: done by hand" in said("audit", job).replace("\n", " ")
    assert "must not be longer than 500" in refused("note", job, "x" * 501)
    assert "without control characters" in refused("note", job, "a\x1b[31m")
    assert "must not be empty" in refused("note", job, " ")


def test_a_start_like_a_job_takes_its_settings_and_the_options_given(service: BackfillService) -> None:
    job = told("start", *RANGE, "--district", "02", "--cadence", "month-ends", "--no-skip-existing")
    told("cancel")
    like = told("start", "--like", job["jobId"])
    assert like["config"] == job["config"]
    told("cancel")
    changed = told("start", "--like", job["jobId"], "--to", "2024-01-31", "--skip-existing", "--district", "F")
    assert changed["config"] == {
        **job["config"],
        "endDate": "2024-01-31",
        "skipExisting": True,
        "targetDistricts": ["F"],
    }
    told("cancel")
    assert "--no-skip-existing --plan-id" in said("preview", "--like", job["jobId"]).splitlines()[-1]
    assert "There is no job" in refused("start", "--like", str(uuid4()))
    assert "is not a job id" in refused("preview", "--like", "x")


def test_jobs_are_listed_by_outcome_operator_and_text(service: BackfillService) -> None:
    job = told("start", *RANGE, "--note", "the close of May", "--operator", "ann")["jobId"]
    run_to_the_end(service, failing=["F"])
    other = told("start", *RANGE, "--operator", "bob")["jobId"]
    run_to_the_end(service)
    for options, found in (
        (["--outcome", "completed-with-failures"], [job]),
        (["--outcome", "succeeded,failed"], [other]),
        (["--created-by", "ann"], [job]),
        (["--search", "close OF"], [job]),
        (["--search", other[:8], "--created-by", "bob"], [other]),
        (["--search", "nothing"], []),
    ):
        assert [row["jobId"] for row in told("list", *options)["jobs"]] == found
    assert "--outcome must be one of succeeded, completed-with-failures" in refused("list", "--outcome", "good")


def test_items_are_listed_by_code_and_retries_are_named(service: BackfillService) -> None:
    job = told("start", *RANGE)["jobId"]
    run_to_the_end(service, failing=["F", "02"])
    assert told("items", job, "--code", "SERVER_ERROR,TIMEOUT", "--district", "F")["total"] == 2
    assert told("items", job, "--code", "TIMEOUT")["total"] == 0
    assert told("items", job, "--newest-first")["items"] == told("items", job)["items"][::-1]
    retry = told("retry", job, "--district", "F")["jobId"]
    run_to_the_end(service)
    text = said("status", job)
    assert f"retried by {retry}" in text
    assert "completed, 2 of 2 failed items recovered" in " ".join(text.split())
    assert "still failed" in text


def test_status_says_where_nothing_is_running(service: BackfillService) -> None:
    assert said("status") == "No job is running.\n"
    assert told("status") is None


def test_status_shows_the_active_job_and_why_it_does_what_it_does(service: BackfillService) -> None:
    """R5.1, R5.2, R5.5."""
    job = told("start", *RANGE)
    text = said("status")
    assert f"Job {job['jobId']} (data-collection) is pending" in text
    assert "0.0 %, 0 of 6 items: 0 processed, 0 skipped, 0 failed" in text
    assert "Waiting for a worker; none has ever reported." in text
    service.storage.control.report_worker(datetime(2024, 3, 14, 9, 26, tzinfo=UTC))
    assert "none has reported since 09:26 UTC on 14 Mar 2024." in said("status")
    assert "0 made, 0 this minute; idle" in text
    assert without_metadata(told("status")) == without_metadata(JobSerializer.render(service.job(UUID(job["jobId"]))))


def test_status_shows_the_newest_job_and_its_errors_where_none_is_active(service: BackfillService) -> None:
    """R5.4, R1.6."""
    told("start", *RANGE)
    job = run_to_the_end(service, failing=["02"])
    text = said("status")
    assert text.startswith("No job is running. The newest job:\n")
    assert "2 failed" in text
    assert "2024-01-01/02" in text
    assert "The dashboard answered 503 [bold]" in text
    assert "\x1b" not in text
    assert f"items {job.id} --outcome failed" in text
    assert [error["itemId"] for error in told("status", str(job.id))["progress"]["errors"]] == [
        "2024-01-02/02",
        "2024-01-01/02",
    ]


def test_jobs_are_listed_newest_first_and_by_status(service: BackfillService) -> None:
    """R1.6, R6.1, R6.2, R6.3."""
    told("start", *RANGE)
    old = run_to_the_end(service)
    told("start", *RANGE)
    new = run_to_the_end(service, failing=["01", "02", "F"])
    lines = said("list").splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [[str(new.id), "failed"], [str(old.id), "completed"]]
    assert [job["jobId"] for job in told("list", "--status", "completed,cancelled")["jobs"]] == [str(old.id)]
    assert said("list", "--status", "cancelled") == "No jobs found.\n"
    assert "Shown: 2 to 2 of 2 jobs" in said("list", "--limit", "1", "--offset", "1")


def test_a_list_as_json_is_the_envelope_of_http(service: BackfillService) -> None:
    told("start", *RANGE)
    run_to_the_end(service)
    shape = without_metadata(told("list", "--limit", "5"))
    rows = service.jobs(JobFilter(), limit=5, offset=0).rows
    assert shape == {"jobs": [ListedJobSerializer.render(job) for job in rows], "total": 1, "limit": 5, "offset": 0}


def test_what_has_no_room_on_a_small_terminal_is_left_out_whole(
    service: BackfillService, monkeypatch: pytest.MonkeyPatch
) -> None:
    said("start", *RANGE, "--operator", "alice")
    job = service.active()
    assert job is not None
    for columns, shown in (("60", ["pending", "0.0", "%"]), ("140", ["data-collection", "alice", "0/6"])):
        monkeypatch.setenv("COLUMNS", columns)
        row = next(line.split() for line in said("list").splitlines() if line.startswith(str(job.id)))
        assert [word for word in shown if word not in row] == []
    monkeypatch.setenv("COLUMNS", "80")
    first, second = said("audit").splitlines()
    assert first.endswith(f" alice (cli): started {job.id}")
    assert second == "    2024-01-01 to 2024-01-02"


def test_items_are_listed_by_district_and_outcome(service: BackfillService) -> None:
    told("start", *RANGE)
    job = run_to_the_end(service, failing=["02"])
    shape = without_metadata(told("items", str(job.id), "--district", "2", "--outcome", "failed"))
    rows = service.items(job.id, OutcomeFilter(district="02"), limit=20, offset=0).rows
    assert shape == {"items": [ItemSerializer.render(row) for row in rows], "total": 2, "limit": 20, "offset": 0}
    assert "2024-01-01/02 failed" in " ".join(said("items", str(job.id)).split())
    assert "has no such outcomes" in said("items", str(job.id), "--outcome", "skipped")


def test_items_print_how_refused_reports_begin_where_that_is_asked_for(service: BackfillService) -> None:
    told("start", *RANGE)
    job = run_to_the_end(service, failing=["02"])
    plain = said("items", str(job.id))
    assert "--excerpts prints the beginning of the rejected report of 2 items." in plain
    assert "An error" not in plain
    in_full = said("items", str(job.id), "--excerpts")
    head = "Beginning of the report of 2024-01-01/02 (SERVER_ERROR):"
    assert f"{head}\n    <html>\n      [bold]An error & more</html>" in in_full
    assert "--excerpts" not in said("items", str(job.id), "--outcome", "processed")


def test_cancel_takes_the_active_job_and_records_when(service: BackfillService) -> None:
    """R7.3."""
    told("start", *RANGE)
    shape = told("cancel")
    assert (shape["status"], shape["previousStatus"]) == ("cancelled", "pending")
    assert shape["cancelledAt"] is not None
    assert "has ended" in refused("cancel", shape["jobId"])
    assert refused("cancel").startswith("No job is running.")


def test_cancel_says_what_was_settled(service: BackfillService) -> None:
    told("start", *RANGE)
    assert "It was pending, with 0 of 6 items settled." in said("cancel")


def test_pause_and_resume_take_the_active_job(service: BackfillService) -> None:
    job = told("start", *RANGE)["jobId"]
    assert said("pause") == f"Job {job} is paused. Resume it with: manage.py backfill resume {job}\n"
    assert "It is paused." in said("status")
    assert told("resume")["status"] == "pending"
    assert "only a paused job" in refused("resume", job)


def test_retry_starts_exactly_the_failed_items(service: BackfillService) -> None:
    told("start", *RANGE)
    job = run_to_the_end(service, failing=["01", "02"])
    assert "nothing to retry" in refused("retry", str(job.id), "--code", "TIMEOUT")
    shape = told("retry", str(job.id), "--district", "2", "--code", "SERVER_ERROR")
    assert (shape["retryOf"], shape["progress"]["totalItems"]) == (str(job.id), 2)


def test_rate_limits_are_shown_and_changed_for_the_next_job(service: BackfillService) -> None:
    """R12.2, R12.3."""
    running = told("start", *RANGE)["jobId"]
    shape = told("rate-limit", "--max-concurrent", "2", "--backoff-multiplier", "2.5", "--operator", "alice")
    assert shape == {"config": StoredRateLimitsSerializer.render(service.rate_limits())}
    assert (shape["config"]["maxConcurrent"], shape["config"]["updatedBy"]) == (2, "alice")
    assert service.job(UUID(running)).config.rate_limits.max_concurrent == 3
    assert "by alice" in said("rate-limit")
    assert "These limits apply to the next job" in said("rate-limit", "--min-delay-ms", "10")


def test_prune_removes_what_ended_long_ago(service: BackfillService, monkeypatch: pytest.MonkeyPatch) -> None:
    """R1.7."""
    told("start", *RANGE)
    run_to_the_end(service)
    assert said("prune") == "0 jobs that ended more than 30 days ago were removed.\n"
    later = datetime.now(UTC) + timedelta(days=31)
    aged = BackfillService(service.storage, service.handlers, RuntimeConfig(clock=Clock(now=lambda: later)))
    monkeypatch.setattr("backfill.bootstrap.backfill_service", lambda: aged)
    assert said("prune") == "1 job that ended more than 30 days ago was removed.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["start", "--from", "2024-02-30", "--to", "2024-03-01"], "--from must be a date like 2024-01-31"),
        (["start", "--from", "20240201", "--to", "2024-03-01"], "--from must be a date like 2024-01-31"),
        (["start", "--from", "2024-01-02", "--to", "2024-01-01"], "--from (2024-01-02) must not be after --to"),
        (["start", "--from", "2024-01-02"], "--to is required for data-collection"),
        (["start", "--from", "2024-01-02", "--to", "2999-01-01"], "--to must be before today"),
        (["start", *RANGE, "--district", "X9"], "'X9' is not a district."),
        (["start", *RANGE, "--cadence", "hourly"], "--cadence must be one of daily"),
        (["start", *RANGE, "--operator", "x" * 151], "--operator must be one line of at most 150"),
        (["rate-limit", "--max-concurrent", "2", "--operator", "\udcff"], "--operator must be one line"),
        (["start", *RANGE, "--plan-id", "x"], "--plan-id is not that of a preview"),
        (["start", "--type", "analytics-generation"], "analytics-generation is not offered"),
        (["status", "12"], "'12' is not a job id."),
        (["items", str(uuid4())], "There is no job"),
        (["retry", str(uuid4())], "There is no job"),
        (["list", "--limit", "101"], "--limit must be between 1 and 100"),
        (["list", "--limit", "many"], "--limit must be a whole number"),
        (["list", "--offset", "-1"], "--offset must be between 0 and"),
        (["list", "--status", "done"], "--status must be one of pending"),
        (["rate-limit", "--max-concurrent", "33"], "--max-concurrent must be between 1 and 32; it was 33."),
        (["rate-limit", "--backoff-multiplier", "nan"], "--backoff-multiplier must be between 1 and 10"),
        (["rate-limit", "--backoff-multiplier", "two"], "--backoff-multiplier must be a number"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(service: BackfillService, arguments: list[str], sentence: str) -> None:
    assert refused(*arguments).startswith(sentence)


def test_an_unreachable_job_store_is_said_with_what_to_do(
    service: BackfillService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken() -> None:
        with answering():
            raise OperationalError("no such table: backfill_backfilljob")

    monkeypatch.setattr(type(service.storage.jobs), "active", lambda _self: broken())
    sentence = refused("status")
    assert sentence.startswith("The job store does not answer: no such table: backfill_backfilljob.")
    assert sentence.endswith("manage.py migrate")


def test_of_a_firestore_that_does_not_answer_nothing_is_said_of_the_database(
    service: BackfillService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken() -> None:
        raise StorageUnavailable("The job store does not answer: 503 failed to connect.")

    monkeypatch.setattr(type(service.storage.jobs), "active", lambda _self: broken())
    assert refused("status") == "The job store does not answer: 503 failed to connect."


@pytest.mark.parametrize("verb", [("start", *RANGE, "--wait"), ("work",)])
def test_without_a_secret_for_webhooks_nothing_is_begun(
    service: BackfillService,
    settings: Settings,
    verb: tuple[str, ...],
) -> None:
    settings.BACKFILL_WEBHOOK_URL = "https://hooks.example.org/backfill"
    assert refused(*verb).startswith("BACKFILL_WEBHOOK_SECRET is empty")
    assert service.active() is None


def test_who_interrupts_the_planning_is_told_in_one_line(
    service: BackfillService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeWork, "plan", interrupted)
    with pytest.raises(CommandError, match=r"^Interrupted") as caught:
        call_command("backfill", "start", *RANGE)
    assert caught.value.returncode == 130
    assert service.active() is None


def test_who_interrupts_a_copy_is_told_that_it_can_be_called_again(
    service: BackfillService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("backfill.cli.transfer.copy_storage", interrupted)
    with pytest.raises(CommandError, match=r"^Interrupted\. Run the command again to continue\.$") as caught:
        call_command("backfill", "copy", "--from", "orm", "--to", "firestore")
    assert caught.value.returncode == 130


def test_a_copy_that_lost_its_reader_is_not_over(service: BackfillService, monkeypatch: pytest.MonkeyPatch) -> None:
    def unread(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("backfill.cli.transfer.copy_storage", unread)
    monkeypatch.setattr("backfill.cli.main.os", Mock())  # which would close the tests' output
    with pytest.raises(SystemExit) as ended:
        call_command("backfill", "copy", "--from", "orm", "--to", "firestore")
    assert ended.value.code == 130
