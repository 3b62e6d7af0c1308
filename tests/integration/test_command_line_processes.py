"""The command line in real processes: exit codes, signals, a terminal, and an outage of the store."""

from __future__ import annotations

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from tests import fork_server, template_site

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 60.0
RANGE = ("--from", "2024-01-01", "--to", "2024-01-02")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.sqlite3"
    template_site.create(f"sqlite:///{path}")
    return path


def environment(database: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "backfill_site.settings",
        "DJANGO_DEBUG": "true",
        "DATABASE_URL": f"sqlite:///{database}",
        "BACKFILL_DASHBOARD_URL": "http://127.0.0.1:9",
        **more,
    }


def run(database: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py backfill` with the fake job type."""
    command = [sys.executable, "-m", "tests.integration.fake_job_type", *arguments]
    return fork_server.run(command, env=environment(database, **more), timeout=TIMEOUT)


@pytest.fixture
def start_process(database: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that starts such a process. Processes that still run at the end are killed."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.fake_job_type", *arguments],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(database, **more),
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def row(database: Path) -> tuple[str, str, str]:
    """Return id, status and lease owner of the newest job, read from the database."""
    with closing(sqlite3.connect(database, timeout=TIMEOUT)) as connection:
        found = connection.execute(
            "SELECT id, status, lease_owner FROM backfill_backfilljob ORDER BY created_at DESC"
        ).fetchone()
    return found or ("", "", "")


def wait_for(database: Path, status: str) -> str:
    """Wait until the newest job has the status, and return its id."""
    deadline = time.monotonic() + TIMEOUT
    while row(database)[1] != status:
        assert time.monotonic() < deadline, f"the job is not {status}: {row(database)}"
        time.sleep(0.05)
    return str(UUID(row(database)[0]))


def test_waiting_for_a_job_that_completes_exits_0(database: Path) -> None:
    """R5.1, R5.2."""
    completed = run(database, "start", *RANGE, "--wait")
    assert (completed.returncode, completed.stderr) == (0, "")
    assert "completed 100.0 % | 6 of 6 items: 6 processed, 0 skipped, 0 failed" in completed.stdout
    assert "\x1b" not in completed.stdout
    assert row(database)[1:] == ("completed", "")


def test_waiting_for_a_job_whose_items_all_fail_exits_1(database: Path) -> None:
    completed = run(database, "start", *RANGE, "--wait", FAKE_FAILING="01,02,F")
    assert completed.returncode == 1
    assert "All 6 items failed." in completed.stdout


def test_waiting_for_a_job_with_some_failed_items_exits_2_and_prints_the_retry_command(database: Path) -> None:
    """R5.4."""
    completed = run(database, "start", *RANGE, "--wait", FAKE_FAILING="02")
    assert completed.returncode == 2
    job = wait_for(database, "completed")
    assert f"Retry them with: manage.py backfill retry {job}" in completed.stdout
    cause = next(line for line in completed.stdout.splitlines() if line.startswith("SERVER_ERROR"))
    assert cause.split()[:4] == ["SERVER_ERROR", "2", "may", "help"]
    retried = run(database, "retry", job, "--wait")
    assert retried.returncode == 0
    assert "2 of 2 items" in retried.stdout


def test_waiting_with_json_prints_only_the_ended_job_to_standard_output(database: Path) -> None:
    completed = run(database, "start", *RANGE, "--wait", "--json", FAKE_FAILING="02")
    body = json.loads(completed.stdout)
    assert (completed.returncode, body["status"], body["result"]["itemsFailed"]) == (2, "completed", 2)
    assert "completed 100.0 %" in completed.stderr


def test_waiting_for_a_job_that_is_cancelled_exits_130(
    database: Path,
    start_process: Callable[..., subprocess.Popen[str]],
) -> None:
    """R7.2, R7.3."""
    waiting = start_process("start", "--from", "2023-01-01", "--to", "2023-12-31", "--wait", FAKE_SECONDS="0.2")
    wait_for(database, "running")
    assert run(database, "cancel").returncode == 0
    out, _ = waiting.communicate(timeout=TIMEOUT)
    assert waiting.returncode == 130
    assert "is cancelled after" in out
    assert row(database)[1:] == ("cancelled", "")


@pytest.mark.acceptance
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_watching_and_returns_the_lease_of_the_job(
    database: Path,
    start_process: Callable[..., subprocess.Popen[str]],
    number: signal.Signals,
) -> None:
    waiting = start_process("start", "--from", "2023-01-01", "--to", "2023-12-31", "--wait", FAKE_SECONDS="0.2")
    job = wait_for(database, "running")
    waiting.send_signal(number)
    _, err = waiting.communicate(timeout=TIMEOUT)
    assert waiting.returncode == 130
    assert err == (
        f"Stopped watching. Any other worker continues job {job}. Cancel it with: manage.py backfill cancel {job}\n"
    )
    assert row(database)[1:] == ("pending", "")


@pytest.mark.acceptance
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_work_runs_a_job_and_stops_cleanly_without_waiting_for_its_end(
    database: Path,
    start_process: Callable[..., subprocess.Popen[str]],
    number: signal.Signals,
) -> None:
    assert run(database, "start", "--from", "2023-01-01", "--to", "2023-12-31").returncode == 0
    worker = start_process("work", FAKE_SECONDS="0.2")
    wait_for(database, "running")
    signalled_at = time.monotonic()
    worker.send_signal(number)
    _, err = worker.communicate(timeout=TIMEOUT)
    assert time.monotonic() - signalled_at < 10  # the job takes more than 20 s
    assert worker.returncode == 0
    assert "Traceback" not in err
    assert row(database)[1:] == ("pending", "")


def test_watching_a_paused_job_continues_and_reports_the_pause(
    database: Path,
    start_process: Callable[..., subprocess.Popen[str]],
) -> None:
    waiting = start_process("start", "--from", "2024-01-01", "--to", "2024-02-10", "--wait", FAKE_SECONDS="0.4")
    wait_for(database, "running")
    assert run(database, "pause").returncode == 0
    job = wait_for(database, "paused")
    assert waiting.stdout is not None
    lines = iter(waiting.stdout.readline, "")
    assert any(f"It is paused. Resume it with: manage.py backfill resume {job}" in line for line in lines)
    assert run(database, "resume").returncode == 0
    waiting.communicate(timeout=TIMEOUT)
    assert waiting.returncode == 0


def test_a_terminal_shows_a_progress_bar(database: Path) -> None:
    """R5.2."""
    terminal, process_side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.fake_job_type", "start", *RANGE, "--wait"],
        cwd=ROOT,
        stdout=process_side,
        stderr=subprocess.PIPE,
        env=environment(database, TERM="xterm-256color", COLUMNS="90"),
    )
    os.close(process_side)
    output = b""
    try:
        while chunk := os.read(terminal, 65536):
            output += chunk
    except OSError:  # Linux raises it when the other side of a terminal closes
        pass
    finally:
        os.close(terminal)
    _, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, err) == (0, b"")
    text = output.decode()
    assert "\u2501" * 60 in text
    assert "100.0 %" in text
    assert "\x1b[?25h" in text  # the cursor is visible again


def test_a_database_without_migrations_is_reported_in_one_line_with_exit_code_1(tmp_path: Path) -> None:
    completed = subprocess.run(
        [sys.executable, "manage.py", "backfill", "status", "--json"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        env=environment(tmp_path / "new.sqlite3"),
        timeout=TIMEOUT,
        check=False,
    )
    assert (completed.returncode, completed.stdout) == (1, "")
    assert completed.stderr.count("\n") == 1
    assert "does not have the schema of this version of the service" in completed.stderr
    assert "manage.py migrate" in completed.stderr


def test_an_unavailable_dashboard_is_reported_in_one_line_with_exit_code_1(database: Path) -> None:
    completed = subprocess.run(
        [sys.executable, "manage.py", "backfill", "start", *RANGE],
        cwd=ROOT,
        text=True,
        capture_output=True,
        env=environment(database),
        timeout=TIMEOUT,
        check=False,
    )
    assert (completed.returncode, completed.stdout) == (1, "")
    assert completed.stderr.count("\n") == 1
    assert "Nothing was created" in completed.stderr
    assert row(database)[1] == ""


@pytest.mark.parametrize(
    "arguments", [["start", "--traceback", "--type", "x"], ["--traceback", "start", "--type", "x"]]
)
def test_the_option_traceback_prints_the_traceback(database: Path, arguments: list[str]) -> None:
    completed = run(database, *arguments)
    assert completed.returncode == 1
    assert "Traceback (most recent call last)" in completed.stderr


def test_an_unknown_command_is_a_usage_error(database: Path) -> None:
    completed = run(database, "frobnicate")
    assert completed.returncode == 2
    assert "invalid choice: 'frobnicate'" in completed.stderr


def test_an_unavailable_store_is_reported_and_the_command_waits_for_it(
    database: Path,
    start_process: Callable[..., subprocess.Popen[str]],
) -> None:
    waiting = start_process("start", "--from", "2024-01-01", "--to", "2024-01-20", "--wait", FAKE_SECONDS="0.1")
    wait_for(database, "running")
    with closing(sqlite3.connect(database, timeout=TIMEOUT)) as connection:
        connection.execute("ALTER TABLE backfill_backfilljob RENAME TO renamed")
        assert waiting.stdout is not None
        lines = iter(waiting.stdout.readline, "")
        assert any("The job is safe; this command tries again every 0.5 s." in line for line in lines)
        connection.execute("ALTER TABLE renamed RENAME TO backfill_backfilljob")
    rest, _ = waiting.communicate(timeout=TIMEOUT)
    assert waiting.returncode == 0
    assert "The job store is available again." in rest
    assert "60 processed" in rest


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["rate-limit", "--json"], 0), (["rate-limit"], 0), (["start", *RANGE, "--wait"], 130)],
)
def test_a_closed_pipe_ends_a_command_without_an_error_message(database: Path, arguments: list[str], code: int) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        completed = subprocess.run(
            [sys.executable, "-m", "tests.integration.fake_job_type", *arguments],
            cwd=ROOT,
            text=True,
            stdout=write_end,
            stderr=subprocess.PIPE,
            env=environment(database),
            timeout=TIMEOUT,
            check=False,
        )
    finally:
        os.close(write_end)
    assert (completed.returncode, completed.stderr) == (code, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Only Linux has a device that is always full.")
@pytest.mark.parametrize("arguments", [["rate-limit"], ["export"], ["export", "--format", "jsonl"]])
def test_a_full_disk_is_reported_in_one_line_with_exit_code_1(database: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        completed = subprocess.run(
            [sys.executable, "-m", "tests.integration.fake_job_type", *arguments],
            cwd=ROOT,
            text=True,
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(database),
            timeout=TIMEOUT,
            check=False,
        )
    sentence = "CommandError: Standard output cannot be written: No space left on device."
    assert (completed.returncode, completed.stderr.strip()) == (1, sentence)


@pytest.mark.parametrize(
    ("redirection", "arguments", "code", "line"),
    [
        (">&-", ["list"], 1, "CommandError: Standard output is closed. Redirect it to a file, or to /dev/null."),
        (">&-", ["export"], 1, "CommandError: Standard output is closed. Redirect it to a file, or to /dev/null."),
        ("2>&-", ["status"], 0, ""),
        (">/dev/full", ["--help"], 1, "CommandError: Standard output cannot be written: No space left on device."),
        ("| true", ["--help"], 0, ""),
    ],
)
def test_an_output_that_is_closed_or_full_is_one_line(
    database: Path, redirection: str, arguments: list[str], code: int, line: str
) -> None:
    script = f'"$@" {redirection}; exit ${{PIPESTATUS[0]}}'
    completed = subprocess.run(
        ["bash", "-c", script, "bash", sys.executable, "manage.py", "backfill", *arguments],
        cwd=ROOT,
        text=True,
        capture_output=True,
        env={**environment(database), "PYTHONUNBUFFERED": "1"},
        timeout=TIMEOUT,
        check=False,
    )
    assert (completed.returncode, completed.stderr.strip()) == (code, line)
