"""Processes of the fork server of the tests behave like processes of subprocess."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import fork_server

TIMEOUT = 60.0


def script(folder: Path, code: str) -> list[str]:
    path = folder / "command.py"
    path.write_text(code)
    return [sys.executable, str(path)]


@pytest.mark.parametrize(
    ("code", "status"), [("", 0), ("import sys; sys.exit(3)", 3), ("raise SystemExit('text')", 1), ("1 / 0", 1)]
)
def test_the_exit_status_and_the_output_are_those_of_a_process(tmp_path: Path, code: str, status: int) -> None:
    command = script(tmp_path, f"import sys\nprint('out', sys.argv[1:])\nprint('err', file=sys.stderr)\n{code}")
    forked = fork_server.run([*command, "--option"], env=dict(os.environ), timeout=TIMEOUT)
    started = subprocess.run([*command, "--option"], capture_output=True, text=True, check=False)
    assert (forked.returncode, forked.stdout) == (status, started.stdout) == (started.returncode, "out ['--option']\n")
    assert forked.stderr.splitlines()[0] == "err"
    assert forked.stderr.splitlines()[-1] == started.stderr.splitlines()[-1]


def test_a_process_has_its_own_environment_folder_main_module_and_session(tmp_path: Path) -> None:
    command = script(
        tmp_path,
        "import os, sys, time\n"
        "print(sorted(os.environ), os.getcwd(), sys.path[0], __name__, sys.modules['__main__'].__file__)\n"
        "print(time.strftime('%Z'), os.getsid(0) == os.getpid())",
    )
    with (tmp_path / "output").open("w+") as output:
        process = fork_server.start(
            command,
            env={"TZ": "EST5"},
            stdout=output.fileno(),
            stderr=output.fileno(),
            cwd=tmp_path,
            start_new_session=True,
        )
        assert process.wait(TIMEOUT) == 0
    assert (tmp_path / "output").read_text().splitlines() == [
        f"['TZ'] {tmp_path} {tmp_path} __main__ {command[1]}",
        "EST True",
    ]


def test_a_command_loads_the_settings_of_its_own_environment() -> None:
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "backfill_site.settings", "DJANGO_DEBUG": "true"}
    command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c"]
    command += ["from django.conf import settings; print(settings.TIME_ZONE)"]
    for wrong in ("one", "two"):
        refused = fork_server.run(command, env={**env, "BACKFILL_WORKER": wrong}, timeout=TIMEOUT)
        assert refused.returncode == 1
        assert f"BACKFILL_WORKER is '{wrong}'" in refused.stderr
    assert fork_server.run(command, env=env, timeout=TIMEOUT, check=True).stdout == "UTC\n"


def test_signals_reach_a_process_and_a_timeout_ends_it(tmp_path: Path) -> None:
    command = script(tmp_path, "import time\nprint('started', flush=True)\ntime.sleep(600)")
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as output:
        process = fork_server.start(command, env=dict(os.environ), stdout=write_end, stderr=2)
        os.close(write_end)
        assert output.readline() == "started\n"
        assert process.poll() is None
        process.terminate()
        assert process.wait(TIMEOUT) == -signal.SIGTERM
        assert output.read() == ""
    process.kill()  # it has ended, so this has no effect
    with pytest.raises(subprocess.TimeoutExpired):
        fork_server.run(command, env=dict(os.environ), timeout=0.2)
    with pytest.raises(subprocess.CalledProcessError):
        fork_server.run(script(tmp_path, "raise SystemExit(1)"), env=dict(os.environ), timeout=TIMEOUT, check=True)
