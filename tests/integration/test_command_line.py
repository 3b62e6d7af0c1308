"""The command line with a fake job type, in the process of the tests: every command that does not wait."""

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
from backfill.storage.orm.database import translating_errors
from tests.integration.fake_job_type import FakeHandler, fake_service, run_to_the_end

RANGE = ("--from", "2024-01-01", "--to", "2024-01-02")


@pytest.fixture
def service(db: None, monkeypatch: pytest.MonkeyPatch) -> BackfillService:
    service = fake_service(open_storage("orm"), FakeHandler())
    monkeypatch.setattr("backfill.bootstrap.backfill_service", lambda: service)
    return service


def output_of(*arguments: str) -> str:
    """Return what a command writes to standard output."""
    out = io.StringIO()
    call_command("backfill", *arguments, stdout=out)
    return out.getvalue()


def json_of(*arguments: str) -> Any:
    """Return the JSON that a command writes, and assert that it writes nothing else."""
    return json.loads(output_of(*arguments, "--json"))


def error_of(*arguments: str) -> str:
    """Return the error of a command, which is one line. Standard output stays empty."""
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("backfill", *arguments, stdout=out)
    assert out.getvalue() == ""
    assert "\n" not in str(caught.value)
    assert caught.value.returncode == 1
    return str(caught.value)


def without_metadata(body: dict[str, Any]) -> dict[str, Any]:
    assert set(body["metadata"]) == {"operationId", "timestamp"}
    return {name: value for name, value in body.items() if name != "metadata"}


def test_the_help_is_printed_without_a_command(service: BackfillService, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("backfill")
    assert "rate-limit" in capsys.readouterr().out


def test_start_prints_the_job_id_and_the_command_to_follow_the_job(service: BackfillService) -> None:
    text = output_of("start", *RANGE, "--operator", "alice")
    job = service.active()
    assert job is not None
    assert f"Job {job.id} is pending: 6 items." in text
    assert "manage.py backfill status" in text
    assert (job.created_by, job.status) == ("alice", Status.PENDING)


def test_start_passes_every_option_to_the_job(service: BackfillService) -> None:
    job = json_of(
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
    again = json_of(
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


def test_the_operator_defaults_to_the_login_name(
    service: BackfillService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "bob")
    assert json_of("start", *RANGE)["createdBy"] == "bob"


def test_an_operator_without_a_login_name_is_called_command_line(
    service: BackfillService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def raise_key_error() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", raise_key_error)
    assert json_of("start", *RANGE)["createdBy"] == "command line"


def test_start_with_json_prints_the_job_like_the_api(service: BackfillService) -> None:
    """R2.4."""
    body = json_of("start", *RANGE)
    assert without_metadata(body) == without_metadata(JobSerializer.render(service.job(UUID(body["jobId"]))))
    assert body["jobType"] == "data-collection"


def test_an_unknown_job_type_is_refused(service: BackfillService) -> None:
    """R2.1."""
    assert error_of("start", "--type", "x", *RANGE).startswith("--type must be data-collection or analytics-generation")


def test_a_second_start_is_refused_with_an_error_that_names_the_active_job(service: BackfillService) -> None:
    """R3.2."""
    first = json_of("start", *RANGE)["jobId"]
    error = error_of("start", *RANGE)
    assert first in error
    assert "One job runs at a time" in error


def test_a_preview_shows_the_plan_and_starts_nothing(service: BackfillService) -> None:
    """R11.2, R11.3."""
    text = output_of("preview", *RANGE, "--district", "91")
    assert "2024-01-01 to 2024-01-02" in text
    assert "1: 91" in text
    assert "duration" in text
    assert service.active() is None


def test_a_preview_prints_the_command_that_starts_exactly_its_plan(service: BackfillService) -> None:
    """R11.2."""
    line = output_of("preview", *RANGE, "--district", "91").splitlines()[-1]
    arguments = line.partition("manage.py backfill ")[2].split()
    assert json_of(*arguments)["progress"]["totalItems"] == 2


def test_a_preview_with_json_prints_the_same_fields_as_the_api(service: BackfillService) -> None:
    body = json_of("preview", *RANGE)
    assert set(body) == {"preview"}
    assert body["preview"]["totalItems"] == 6
    assert body["preview"]["dateRange"] == {"startDate": "2024-01-01", "endDate": "2024-01-02"}


def test_a_changed_plan_is_refused_with_its_differences(service: BackfillService) -> None:
    stale = json_of("preview", *RANGE)["preview"]["planId"]
    error = error_of("start", "--from", "2024-01-01", "--to", "2024-01-03", "--plan-id", stale)
    assert "totalItems 6 -> 9" in error
    assert "--plan-id plan-9-" in error
    json_of("rate-limit", "--max-requests-per-minute", "30")
    error = error_of("start", *RANGE, "--plan-id", stale)
    assert "60 requests per minute when previewed, 30 now" in error
    assert "Changed:" not in error


def test_status_reports_that_no_job_is_running(service: BackfillService) -> None:
    assert output_of("status") == "No job is running.\n"
    assert json_of("status") is None


def test_status_shows_the_active_job_and_what_it_waits_for(service: BackfillService) -> None:
    """R5.1, R5.2, R5.5."""
    job = json_of("start", *RANGE)
    text = output_of("status")
    assert f"Job {job['jobId']} (data-collection) is pending" in text
    assert "0.0 %, 0 of 6 items: 0 processed, 0 skipped, 0 failed" in text
    assert "Waiting for a worker; none has ever reported." in text
    service.storage.control.report_worker(datetime(2024, 3, 14, 9, 26, tzinfo=UTC))
    assert "none has reported since 09:26 UTC on 14 Mar 2024." in output_of("status")
    assert "0 made, 0 this minute; idle" in text
    assert without_metadata(json_of("status")) == without_metadata(
        JobSerializer.render(service.job(UUID(job["jobId"])))
    )


def test_status_shows_the_newest_job_and_its_errors_if_no_job_is_active(service: BackfillService) -> None:
    """R5.4, R1.6."""
    json_of("start", *RANGE)
    job = run_to_the_end(service, failing=["02"])
    text = output_of("status")
    assert text.startswith("No job is running. The newest job:\n")
    assert "2 failed" in text
    assert "2024-01-01/02" in text
    assert "The dashboard answered 503 [bold]" in text
    assert "\x1b" not in text
    assert f"items {job.id} --outcome failed" in text
    assert [error["itemId"] for error in json_of("status", str(job.id))["progress"]["errors"]] == [
        "2024-01-02/02",
        "2024-01-01/02",
    ]


def test_jobs_are_listed_newest_first_and_can_be_filtered_by_status(service: BackfillService) -> None:
    """R1.6, R6.1, R6.2, R6.3."""
    json_of("start", *RANGE)
    old = run_to_the_end(service)
    json_of("start", *RANGE)
    new = run_to_the_end(service, failing=["01", "02", "F"])
    lines = output_of("list").splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [[str(new.id), "failed"], [str(old.id), "completed"]]
    assert [job["jobId"] for job in json_of("list", "--status", "completed,cancelled")["jobs"]] == [str(old.id)]
    assert output_of("list", "--status", "cancelled") == "No jobs found.\n"
    assert "Shown: 2 to 2 of 2 jobs" in output_of("list", "--limit", "1", "--offset", "1")


def test_a_list_with_json_prints_the_same_envelope_as_the_api(service: BackfillService) -> None:
    json_of("start", *RANGE)
    run_to_the_end(service)
    body = without_metadata(json_of("list", "--limit", "5"))
    rows = service.jobs(JobFilter(), limit=5, offset=0).rows
    listed = [ListedJobSerializer.render(job) for job in rows]
    assert body == {"jobs": listed, "total": 1, "limit": 5, "offset": 0, "nextCursor": None}


def test_a_list_continues_at_the_cursor_of_the_page_before(service: BackfillService) -> None:
    json_of("start", *RANGE)
    job_id = str(run_to_the_end(service).id)
    first = json_of("items", job_id, "--limit", "4")
    second = json_of("items", job_id, "--limit", "1", "--cursor", first["nextCursor"])
    assert [row["itemId"] for row in [*first["items"], *second["items"]]] == [
        row["itemId"] for row in json_of("items", job_id)["items"][:5]
    ]
    text = output_of("items", job_id, "--limit", "1", "--cursor", first["nextCursor"])
    assert text.splitlines()[-1] == f"Shown: 1 of 6 items; more with --cursor {second['nextCursor']}."
    text = output_of("items", job_id, "--cursor", second["nextCursor"])
    assert text.splitlines()[-1] == "Shown: 1 of 6 items; these are the last."
    with pytest.raises(CommandError, match=r"cursor must be the nextCursor of a response; it was 'x'\."):
        output_of("items", job_id, "--cursor", "x")
    with pytest.raises(CommandError, match="offset and cursor exclude each other"):
        output_of("items", job_id, "--offset", "1", "--cursor", first["nextCursor"])


def test_columns_that_do_not_fit_the_terminal_are_omitted_completely(
    service: BackfillService, monkeypatch: pytest.MonkeyPatch
) -> None:
    output_of("start", *RANGE, "--operator", "alice")
    job = service.active()
    assert job is not None
    for columns, shown in (("60", ["pending", "0.0", "%"]), ("140", ["data-collection", "alice", "0/6"])):
        monkeypatch.setenv("COLUMNS", columns)
        row = next(line.split() for line in output_of("list").splitlines() if line.startswith(str(job.id)))
        assert [word for word in shown if word not in row] == []
    monkeypatch.setenv("COLUMNS", "80")
    first, second = output_of("audit").splitlines()
    assert first.endswith(f" alice (cli): started {job.id}")
    assert second == "    2024-01-01 to 2024-01-02"


def test_items_can_be_filtered_by_district_and_outcome(service: BackfillService) -> None:
    json_of("start", *RANGE)
    job = run_to_the_end(service, failing=["02"])
    body = without_metadata(json_of("items", str(job.id), "--district", "2", "--outcome", "failed"))
    rows = service.items(job.id, OutcomeFilter(district="02"), limit=20, offset=0).rows
    items = [ItemSerializer.render(row) for row in rows]
    assert body == {"items": items, "total": 2, "limit": 20, "offset": 0, "nextCursor": None}
    assert "2024-01-01/02 failed" in " ".join(output_of("items", str(job.id)).split())
    assert "has no such outcomes" in output_of("items", str(job.id), "--outcome", "skipped")


def test_items_prints_the_beginning_of_rejected_reports_with_the_option_excerpts(service: BackfillService) -> None:
    json_of("start", *RANGE)
    job = run_to_the_end(service, failing=["02"])
    plain = output_of("items", str(job.id))
    assert "--excerpts prints the beginning of the rejected report of 2 items." in plain
    assert "An error" not in plain
    in_full = output_of("items", str(job.id), "--excerpts")
    head = "Beginning of the report of 2024-01-01/02 (SERVER_ERROR):"
    assert f"{head}\n    <html>\n      [bold]An error & more</html>" in in_full
    assert "--excerpts" not in output_of("items", str(job.id), "--outcome", "processed")


def test_cancel_applies_to_the_active_job_and_records_the_time(service: BackfillService) -> None:
    """R7.3."""
    json_of("start", *RANGE)
    body = json_of("cancel")
    assert (body["status"], body["previousStatus"]) == ("cancelled", "pending")
    assert body["cancelledAt"] is not None
    assert "has ended" in error_of("cancel", body["jobId"])
    assert error_of("cancel").startswith("No job is running.")


def test_cancel_prints_the_number_of_settled_items(service: BackfillService) -> None:
    json_of("start", *RANGE)
    assert "It was pending, with 0 of 6 items settled." in output_of("cancel")


def test_pause_and_resume_apply_to_the_active_job(service: BackfillService) -> None:
    job = json_of("start", *RANGE)["jobId"]
    assert output_of("pause") == f"Job {job} is paused. Resume it with: manage.py backfill resume {job}\n"
    assert "It is paused." in output_of("status")
    assert json_of("resume")["status"] == "pending"
    assert "only a paused job" in error_of("resume", job)


def test_retry_starts_exactly_the_failed_items(service: BackfillService) -> None:
    json_of("start", *RANGE)
    job = run_to_the_end(service, failing=["01", "02"])
    assert "nothing to retry" in error_of("retry", str(job.id), "--code", "TIMEOUT")
    body = json_of("retry", str(job.id), "--district", "2", "--code", "SERVER_ERROR")
    assert (body["retryOf"], body["progress"]["totalItems"]) == (str(job.id), 2)


def test_rate_limits_are_shown_and_changed_for_the_next_job(service: BackfillService) -> None:
    """R12.2, R12.3."""
    running = json_of("start", *RANGE)["jobId"]
    body = json_of("rate-limit", "--max-concurrent", "2", "--backoff-multiplier", "2.5", "--operator", "alice")
    assert body == {"config": StoredRateLimitsSerializer.render(service.rate_limits())}
    assert (body["config"]["maxConcurrent"], body["config"]["updatedBy"]) == (2, "alice")
    assert service.job(UUID(running)).config.rate_limits.max_concurrent == 3
    assert "by alice" in output_of("rate-limit")
    assert "These limits apply to the next job" in output_of("rate-limit", "--min-delay-ms", "10")


def test_prune_deletes_jobs_that_ended_before_the_retention_period(
    service: BackfillService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R1.7."""
    json_of("start", *RANGE)
    run_to_the_end(service)
    assert output_of("prune") == "0 jobs that ended more than 30 days ago were removed.\n"
    later = datetime.now(UTC) + timedelta(days=31)
    aged = BackfillService(service.storage, service.handlers, RuntimeConfig(clock=Clock(now=lambda: later)))
    monkeypatch.setattr("backfill.bootstrap.backfill_service", lambda: aged)
    assert output_of("prune") == "1 job that ended more than 30 days ago was removed.\n"


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
def test_an_invalid_argument_is_reported_in_one_line(
    service: BackfillService, arguments: list[str], sentence: str
) -> None:
    assert error_of(*arguments).startswith(sentence)


def test_an_unavailable_store_is_reported_with_the_next_step(
    service: BackfillService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken() -> None:
        with translating_errors():
            raise OperationalError("no such table: backfill_backfilljob")

    monkeypatch.setattr(type(service.storage.jobs), "active", lambda _self: broken())
    error = error_of("status")
    assert error == (
        "The database does not have the schema of this version of the service: no such table: backfill_backfilljob. "
        "Run manage.py migrate of the newest version in use."
    )


def test_the_error_for_an_unavailable_firestore_does_not_mention_migrate(
    service: BackfillService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken() -> None:
        raise StorageUnavailable("The job store does not answer: 503 failed to connect.")

    monkeypatch.setattr(type(service.storage.jobs), "active", lambda _self: broken())
    assert error_of("status") == "The job store does not answer: 503 failed to connect."


@pytest.mark.parametrize("command", [("start", *RANGE, "--wait"), ("work",)])
def test_a_missing_webhook_secret_prevents_the_start(
    service: BackfillService,
    settings: Settings,
    command: tuple[str, ...],
) -> None:
    settings.BACKFILL_WEBHOOK_URL = "https://hooks.example.org/backfill"
    assert error_of(*command).startswith("BACKFILL_WEBHOOK_SECRET is empty")
    assert service.active() is None


def test_an_interrupt_during_planning_prints_one_line_and_exits_130(
    service: BackfillService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeHandler, "plan", interrupted)
    with pytest.raises(CommandError, match=r"^Interrupted") as caught:
        call_command("backfill", "start", *RANGE)
    assert caught.value.returncode == 130
    assert service.active() is None


def test_an_interrupt_during_a_copy_prints_that_the_command_can_be_repeated(
    service: BackfillService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("backfill.cli.transfer.copy_storage", interrupted)
    with pytest.raises(CommandError, match=r"^Interrupted\. Run the command again to continue\.$") as caught:
        call_command("backfill", "copy", "--from", "orm", "--to", "firestore")
    assert caught.value.returncode == 130


def test_a_copy_whose_output_is_closed_exits_130(service: BackfillService, monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_broken_pipe(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("backfill.cli.transfer.copy_storage", raise_broken_pipe)
    monkeypatch.setattr("backfill.cli.main.os", Mock())  # the original closes the output of the tests
    with pytest.raises(SystemExit) as ended:
        call_command("backfill", "copy", "--from", "orm", "--to", "firestore")
    assert ended.value.code == 130
