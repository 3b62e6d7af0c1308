"""The command-line door as real processes: exit codes, signals, a terminal, and a store that goes away."""

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

from tests import template_site

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
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


def ran(database: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`manage.py backfill` over the fake work."""
    return subprocess.run(
        [sys.executable, "-m", "tests.integration.fake_job_type", *arguments],
        cwd=ROOT,
        text=True,
        capture_output=True,
        env=environment(database, **more),
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture
def begun(database: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Begin such a process; what still runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, **more: str) -> subprocess.Popen[str]:
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

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def row(database: Path) -> tuple[str, str, str]:
    """Id, status and lease of the newest job, straight from the database."""
    with closing(sqlite3.connect(database, timeout=PATIENCE)) as connection:
        found = connection.execute(
            "SELECT id, status, lease_owner FROM backfill_backfilljob ORDER BY created_at DESC"
        ).fetchone()
    return found or ("", "", "")


def wait_for(database: Path, status: str) -> str:
    """The id of the newest job once it has that status."""
    deadline = time.monotonic() + PATIENCE
    while row(database)[1] != status:
        assert time.monotonic() < deadline, f"the job never was {status}: {row(database)}"
        time.sleep(0.05)
    return str(UUID(row(database)[0]))


def test_waiting_for_a_job_that_completes_exits_0(database: Path) -> None:
    """R5.1, R5.2."""
    done = ran(database, "start", *RANGE, "--wait")
    assert (done.returncode, done.stderr) == (0, "")
    assert "completed 100.0 % | 6 of 6 items: 6 processed, 0 skipped, 0 failed" in done.stdout
    assert "\x1b" not in done.stdout
    assert row(database)[1:] == ("completed", "")


def test_waiting_for_a_job_whose_items_all_fail_exits_1(database: Path) -> None:
    done = ran(database, "start", *RANGE, "--wait", FAKE_FAILING="01,02,F")
    assert done.returncode == 1
    assert "All 6 items failed." in done.stdout


def test_waiting_for_a_job_with_some_failed_items_exits_2_and_says_how_to_retry(database: Path) -> None:
    """R5.4."""
    done = ran(database, "start", *RANGE, "--wait", FAKE_FAILING="02")
    assert done.returncode == 2
    job = wait_for(database, "completed")
    assert f"Retry them with: manage.py backfill retry {job}" in done.stdout
    cause = next(line for line in done.stdout.splitlines() if line.startswith("SERVER_ERROR"))
    assert cause.split()[:4] == ["SERVER_ERROR", "2", "may", "help"]
    retried = ran(database, "retry", job, "--wait")
    assert retried.returncode == 0
    assert "2 of 2 items" in retried.stdout


def test_waiting_with_json_prints_the_final_job_and_nothing_else(database: Path) -> None:
    done = ran(database, "start", *RANGE, "--wait", "--json", FAKE_FAILING="02")
    shape = json.loads(done.stdout)
    assert (done.returncode, shape["status"], shape["result"]["itemsFailed"]) == (2, "completed", 2)
    assert "completed 100.0 %" in done.stderr


def test_waiting_for_a_job_that_is_cancelled_exits_130(
    database: Path,
    begun: Callable[..., subprocess.Popen[str]],
) -> None:
    """R7.2, R7.3."""
    waiting = begun("start", "--from", "2023-01-01", "--to", "2023-12-31", "--wait", FAKE_SECONDS="0.2")
    wait_for(database, "running")
    assert ran(database, "cancel").returncode == 0
    out, _ = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 130
    assert "is cancelled after" in out
    assert row(database)[1:] == ("cancelled", "")


@pytest.mark.acceptance
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_stops_watching_gives_the_lease_back_and_leaves_the_job(
    database: Path,
    begun: Callable[..., subprocess.Popen[str]],
    number: signal.Signals,
) -> None:
    waiting = begun("start", "--from", "2023-01-01", "--to", "2023-12-31", "--wait", FAKE_SECONDS="0.2")
    job = wait_for(database, "running")
    waiting.send_signal(number)
    _, err = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 130
    assert err == (
        f"Stopped watching. Any other worker continues job {job}. Cancel it with: manage.py backfill cancel {job}\n"
    )
    assert row(database)[1:] == ("pending", "")


@pytest.mark.acceptance
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_work_runs_a_job_and_stops_cleanly_within_3_seconds(
    database: Path,
    begun: Callable[..., subprocess.Popen[str]],
    number: signal.Signals,
) -> None:
    assert ran(database, "start", "--from", "2023-01-01", "--to", "2023-12-31").returncode == 0
    working = begun("work", FAKE_SECONDS="0.2")
    wait_for(database, "running")
    asked = time.monotonic()
    working.send_signal(number)
    _, err = working.communicate(timeout=PATIENCE)
    assert time.monotonic() - asked < 3
    assert working.returncode == 0
    assert "Traceback" not in err
    assert row(database)[1:] == ("pending", "")


def test_a_paused_job_is_followed_and_said_to_be_paused(
    database: Path,
    begun: Callable[..., subprocess.Popen[str]],
) -> None:
    waiting = begun("start", "--from", "2024-01-01", "--to", "2024-01-20", "--wait", FAKE_SECONDS="0.4")
    wait_for(database, "running")
    assert ran(database, "pause").returncode == 0
    job = wait_for(database, "paused")
    assert waiting.stdout is not None
    lines = iter(waiting.stdout.readline, "")
    assert any(f"It is paused. Resume it with: manage.py backfill resume {job}" in line for line in lines)
    assert ran(database, "resume").returncode == 0
    waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 0


def test_on_a_terminal_there_is_a_bar(database: Path) -> None:
    """R5.2."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.fake_job_type", "start", *RANGE, "--wait"],
        cwd=ROOT,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=environment(database, TERM="xterm-256color", COLUMNS="90"),
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # how Linux says that the other side of a terminal has closed
        pass
    finally:
        os.close(ours)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, b"")
    text = shown.decode()
    assert "\u2501" * 60 in text
    assert "100.0 %" in text
    assert "\x1b[?25h" in text  # the cursor is there again


def test_a_database_that_was_not_migrated_is_one_line_and_exit_1(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "backfill", "status", "--json"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        env=environment(tmp_path / "new.sqlite3"),
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "The job store does not answer" in done.stderr
    assert "manage.py migrate" in done.stderr


def test_a_dashboard_that_is_away_is_one_line_and_exit_1(database: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "backfill", "start", *RANGE],
        cwd=ROOT,
        text=True,
        capture_output=True,
        env=environment(database),
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "Nothing was created" in done.stderr
    assert row(database)[1] == ""


@pytest.mark.parametrize(
    "arguments", [["start", "--traceback", "--type", "x"], ["--traceback", "start", "--type", "x"]]
)
def test_a_traceback_is_shown_to_who_asks_for_it(database: Path, arguments: list[str]) -> None:
    done = ran(database, *arguments)
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr


def test_an_unknown_verb_is_a_usage_error(database: Path) -> None:
    done = ran(database, "frobnicate")
    assert done.returncode == 2
    assert "invalid choice: 'frobnicate'" in done.stderr


def test_a_store_that_goes_away_is_said_and_waited_for(
    database: Path,
    begun: Callable[..., subprocess.Popen[str]],
) -> None:
    waiting = begun("start", "--from", "2024-01-01", "--to", "2024-01-20", "--wait", FAKE_SECONDS="0.1")
    wait_for(database, "running")
    with closing(sqlite3.connect(database, timeout=PATIENCE)) as connection:
        connection.execute("ALTER TABLE backfill_backfilljob RENAME TO away")
        assert waiting.stdout is not None
        lines = iter(waiting.stdout.readline, "")
        assert any("The job is safe; this command tries again every 0.5 s." in line for line in lines)
        connection.execute("ALTER TABLE away RENAME TO backfill_backfilljob")
    rest, _ = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 0
    assert "The job store is available again." in rest
    assert "60 processed" in rest


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["rate-limit", "--json"], 0), (["rate-limit"], 0), (["start", *RANGE, "--wait"], 130)],
)
def test_a_reader_who_has_had_enough_ends_a_verb_quietly_and_what_is_watched_as_not_watched_any_more(
    database: Path, arguments: list[str], code: int
) -> None:
    ends, begins = os.pipe()
    os.close(ends)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.integration.fake_job_type", *arguments],
            cwd=ROOT,
            text=True,
            stdout=begins,
            stderr=subprocess.PIPE,
            env=environment(database),
            timeout=PATIENCE,
            check=False,
        )
    finally:
        os.close(begins)
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Only Linux has a device that is always full.")
@pytest.mark.parametrize("arguments", [["rate-limit"], ["export"]])
def test_a_disk_that_is_full_is_one_line_and_exit_1(database: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tests.integration.fake_job_type", *arguments],
            cwd=ROOT,
            text=True,
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(database),
            timeout=PATIENCE,
            check=False,
        )
    sentence = "CommandError: Standard output cannot be written: No space left on device."
    assert (done.returncode, done.stderr.strip()) == (1, sentence)


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
    done = subprocess.run(
        ["bash", "-c", script, "bash", sys.executable, "manage.py", "backfill", *arguments],
        cwd=ROOT,
        text=True,
        capture_output=True,
        env={**environment(database), "PYTHONUNBUFFERED": "1"},
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr.strip()) == (code, line)
