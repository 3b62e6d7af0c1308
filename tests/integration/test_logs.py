"""Log lines as text and as JSON."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backfill.bootstrap import new_worker
from backfill.domain import Actor, Channel
from backfill.service.commands import BackfillService
from backfill_site.log_format import TextFormatter
from tests.integration.checked_client import CheckedClient
from tests.integration.fake_job_type import FakeHandler, fake_service
from tests.integration.test_api_jobs import start_job

ROOT = Path(__file__).resolve().parents[2]

_SCRIPT = """
import django, logging
django.setup()
logger = logging.getLogger("backfill.engine.runner")
logger.info("Job %s: runner starts.", "7", extra={"job": "7", "token": 3})
try:
    raise ValueError("odd")
except ValueError:
    logger.exception("It failed.")
logging.getLogger("django.request").error("Internal Server Error: /x")
"""


def run_logging_process(**env: str) -> subprocess.CompletedProcess[str]:
    """Run a process of the project that logs, with the given settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "BACKFILL_"))}
    settings = {
        "DJANGO_SETTINGS_MODULE": "backfill_site.settings",
        "DJANGO_SECRET_KEY": "x" * 50,
        "BACKFILL_ENV_FILE": os.devnull,
    }
    return subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        cwd=ROOT,
        env={**inherited, **settings, **env},
        check=False,
        capture_output=True,
        text=True,
    )


def test_a_text_line_contains_level_logger_and_message() -> None:
    lines = run_logging_process().stderr.splitlines()
    assert lines[0].endswith(" INFO backfill.engine.runner: Job 7: runner starts.")
    assert "Traceback (most recent call last):" in lines
    assert lines[-1].endswith(" ERROR django.request: Internal Server Error: /x")


def test_a_json_line_also_contains_the_extra_fields() -> None:
    first, second, third = (
        json.loads(line) for line in run_logging_process(BACKFILL_LOG_FORMAT="json").stderr.splitlines()
    )
    assert first.pop("timestamp").endswith("+00:00")
    assert first == {
        "level": "INFO",
        "logger": "backfill.engine.runner",
        "message": "Job 7: runner starts.",
        "job": "7",
        "token": 3,
    }
    assert "ValueError: odd" in second["exc_info"]
    assert third["level"] == "ERROR"


def fields(record: logging.LogRecord) -> dict[str, Any]:
    return vars(record)


def test_every_log_line_of_a_run_names_its_job(
    api: CheckedClient, served: BackfillService, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "backfill"):
        job = start_job(api)
        assert new_worker(fake_service(served.storage, FakeHandler(["F"])))._work_once()
    records = [
        record for record in caplog.records if record.name in {"backfill.service.audit_log", "backfill.engine.runner"}
    ]
    assert {fields(record)["job"] for record in records} == {job["jobId"]}
    first = fields(records[0])
    assert (first["action"], first["operator"], first["channel"]) == ("started", "alice", "api")
    failed = next(fields(record) for record in records if "item" in vars(record))
    assert (failed["code"], failed["levelname"]) == ("SERVER_ERROR", "WARNING")
    assert failed["item"].endswith("/F")


def test_changes_from_the_command_line_are_not_logged_and_changes_from_the_admin_are(
    served: BackfillService, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "backfill"):
        served.change_rate_limits({"max_concurrent": 1}, by=Actor("bob", Channel.CLI))
        assert caplog.records == []
        served.change_rate_limits({"max_concurrent": 2}, by=Actor("bob", Channel.ADMIN))
    (record,) = caplog.records
    assert record.getMessage() == "The limits of the next job: changed-limits by bob (admin)."
    assert fields(record)["changes"] == {"maxConcurrent": (1, 2)}


def test_control_characters_in_a_log_line_become_escape_sequences() -> None:
    """Names of users and of clubs come from other systems; a line break in one would forge a line."""
    formatter = TextFormatter("%(levelname)s %(message)s")
    record = logging.LogRecord("backfill", logging.INFO, "", 0, "by %s", ("esc\x1b[31m\r\n\x9b\u202eX\x7f",), None)
    assert formatter.format(record) == "INFO by esc\\x1b[31m\\r\\n\\x9b\\u202eX\\x7f"


def test_a_traceback_keeps_its_lines_but_no_control_character() -> None:
    with pytest.raises(ValueError, match="of a club") as raised:
        int("of a club \x1b[2J")
    info = (raised.type, raised.value, raised.tb)
    lines = TextFormatter().format(logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), info)).splitlines()
    assert lines[0] == "failed"
    assert lines[-1] == "ValueError: invalid literal for int() with base 10: 'of a club \\x1b[2J'"
    assert len(lines) > 2
