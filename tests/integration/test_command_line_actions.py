"""The command line: notes, running again, retries by cause, and filters of the list of jobs."""

from __future__ import annotations

from uuid import uuid4

import pytest

from backfill.service.commands import BackfillService
from backfill.storage import open_storage
from tests.integration.fake_job_type import FakeHandler, fake_service, run_to_the_end
from tests.integration.test_command_line import RANGE, error_of, json_of, output_of


@pytest.fixture
def service(db: None, monkeypatch: pytest.MonkeyPatch) -> BackfillService:
    service = fake_service(open_storage("orm"), FakeHandler())
    monkeypatch.setattr("backfill.bootstrap.backfill_service", lambda: service)
    return service


def test_notes_are_given_with_actions_and_later_and_shown(service: BackfillService) -> None:
    job = json_of("start", *RANGE, "--note", "close of January", "--operator", "ann")["jobId"]
    assert json_of("pause", "--note", "slow")["note"] == "slow"
    assert json_of("cancel", job, "--note", "wrong year")["note"] == "wrong year"
    assert "was added to job" in output_of("note", job, "done by hand")
    text = output_of("status", job)
    for note in ("close of January", "slow", "wrong year", "done by hand"):
        assert note in text
    assert "note: done by hand" in output_of("audit", job).replace("\n", " ")
    assert "must not be longer than 500" in error_of("note", job, "x" * 501)
    assert "without control characters" in error_of("note", job, "a\x1b[31m")
    assert "must not be empty" in error_of("note", job, " ")


def test_a_start_like_a_job_takes_its_settings_and_the_options_given(service: BackfillService) -> None:
    job = json_of("start", *RANGE, "--district", "02", "--cadence", "month-ends", "--no-skip-existing")
    json_of("cancel")
    like = json_of("start", "--like", job["jobId"])
    assert like["config"] == job["config"]
    json_of("cancel")
    changed = json_of("start", "--like", job["jobId"], "--to", "2024-01-31", "--skip-existing", "--district", "F")
    assert changed["config"] == {
        **job["config"],
        "endDate": "2024-01-31",
        "skipExisting": True,
        "targetDistricts": ["F"],
    }
    json_of("cancel")
    assert "--no-skip-existing --plan-id" in output_of("preview", "--like", job["jobId"]).splitlines()[-1]
    assert "There is no job" in error_of("start", "--like", str(uuid4()))
    assert "is not a job id" in error_of("preview", "--like", "x")


def test_jobs_are_listed_by_outcome_operator_and_text(service: BackfillService) -> None:
    job = json_of("start", *RANGE, "--note", "the close of May", "--operator", "ann")["jobId"]
    run_to_the_end(service, failing=["F"])
    other = json_of("start", *RANGE, "--operator", "bob")["jobId"]
    run_to_the_end(service)
    for options, found in (
        (["--outcome", "completed-with-failures"], [job]),
        (["--outcome", "succeeded,failed"], [other]),
        (["--created-by", "ann"], [job]),
        (["--search", "close OF"], [job]),
        (["--search", other[:8], "--created-by", "bob"], [other]),
        (["--search", "nothing"], []),
    ):
        assert [row["jobId"] for row in json_of("list", *options)["jobs"]] == found
    assert "--outcome must be one of succeeded, completed-with-failures" in error_of("list", "--outcome", "good")


def test_items_are_listed_by_code_and_retries_are_named(service: BackfillService) -> None:
    job = json_of("start", *RANGE)["jobId"]
    run_to_the_end(service, failing=["F", "02"])
    assert json_of("items", job, "--code", "SERVER_ERROR,TIMEOUT", "--district", "F")["total"] == 2
    assert json_of("items", job, "--code", "TIMEOUT")["total"] == 0
    assert json_of("items", job, "--newest-first")["items"] == json_of("items", job)["items"][::-1]
    retry = json_of("retry", job, "--district", "F")["jobId"]
    run_to_the_end(service)
    text = output_of("status", job)
    assert f"{retry} is completed, 2 of 2 failed items recovered" in " ".join(text.split())
    assert "still failed" in text
