"""Starts commands of this project by forking a process that has already imported what they import.

A command starts in a fifth of the CPU time that way, and the tests start hundreds of them. A command gets a process of
its own, with its own environment, working directory, output and, if asked for, session. It loads the settings and all
modules that need settings itself. Options of the interpreter and variables that it reads at its start, such as
PYTHONUNBUFFERED, have no effect; tests of those use subprocess.

The processes of a test run share one server. `python -m tests.fork_server SOCKET` is its command line.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from tests import shared

ROOT = Path(__file__).resolve().parents[1]

PRELOADED = (
    "adminui.presenters.changes",
    "adminui.presenters.coverage",
    "adminui.presenters.district.page",
    "adminui.presenters.districts",
    "adminui.presenters.failures",
    "adminui.presenters.limits_panel",
    "adminui.presenters.preview",
    "adminui.presenters.progress_bar",
    "adminui.presenters.result_selector",
    "backfill.bootstrap",
    "backfill.cli.main",
    "backfill.serializers.coverage",
    "backfill.serializers.dictionary",
    "backfill.serializers.results",
    "concurrent.futures.process",
    "concurrent.futures.thread",
    "django.contrib.admin",
    "django.contrib.admindocs.utils",
    "django.contrib.postgres.fields",
    "django.contrib.sessions.middleware",
    "django.contrib.staticfiles.storage",
    "django.core.management.commands.runserver",
    "django.db.backends.sqlite3.base",
    "django.db.migrations.executor",
    "django.db.models.sql.compiler",
    "django.forms.models",
    "django.middleware.csrf",
    "django.middleware.gzip",
    "django.middleware.security",
    "django.test",
    "django.views.generic",
    "drf_spectacular.utils",
    "environ",
    "filelock",
    "gunicorn.app.wsgiapp",
    "gunicorn.workers.gthread",
    "http.server",
    "isal.isal_zlib",
    "jsonschema",
    "logging.config",
    "markdown",
    "orjson",
    "prometheus_client",
    "protego",
    "pygments.formatters.html",
    "pygments.lexers",
    "pythonjsonlogger.json",
    "requests",
    "rest_framework.serializers",
    "rich.progress",
    "rich.table",
    "sample_dashboard.server",
    "selectolax.lexbor",
    "sqlite3",
    "statistics",
    "tarfile",
    "uritemplate",
    "whitenoise.middleware",
    "xml.etree.ElementTree",
    "yaml",
)
"""Modules that commands import and that need no settings. None starts a thread, which a fork would lose."""

_LENGTH = struct.Struct("!I")


class ForkedProcess:
    """A process of the fork server, with the methods of subprocess.Popen that tests use."""

    def __init__(self, args: Sequence[str], pid: int, connection: socket.socket) -> None:
        self.args, self.pid = list(args), pid
        self.returncode: int | None = None
        self._connection = connection

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status. Raises subprocess.TimeoutExpired if the process still runs after the timeout."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._connection, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
            with self._connection:
                (status,) = _LENGTH.unpack(_read(self._connection, _LENGTH.size))
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    stdout: int,
    stderr: int,
    cwd: Path = ROOT,
    start_new_session: bool = False,
) -> ForkedProcess:
    """Start `[sys.executable, "-m", MODULE, …]` or `[sys.executable, SCRIPT, …]`.

    `stdout` and `stderr` are file descriptors, which the caller may close afterwards. Standard input is empty.
    """
    assert command[0] == sys.executable, f"The fork server starts Python only, not {command[0]}."
    request = {
        "command": list(command[1:]),
        "env": dict(env),
        "cwd": str(cwd),
        "start_new_session": start_new_session,
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
    }
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address())
    body = json.dumps(request).encode()
    socket.send_fds(connection, [_LENGTH.pack(len(body))], [stdout, stderr])
    connection.sendall(body)
    (pid,) = _LENGTH.unpack(_read(connection, _LENGTH.size))
    return ForkedProcess(command, pid, connection)


def run(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path = ROOT, check: bool = False, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a command as `start` does, and capture its output. Raises what subprocess.run raises."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = start(command, env=env, stdout=stdout.fileno(), stderr=stderr.fileno(), cwd=cwd)
        try:
            process.wait(timeout)
        finally:
            process.kill()
            status = process.wait()
        texts = []
        for output in (stdout, stderr):
            output.seek(0)
            texts.append(output.read().decode())
    completed = subprocess.CompletedProcess(list(command), status, *texts)
    if check:
        completed.check_returncode()
    return completed


def address() -> str:
    """Return the path of the server's socket. The first call in a test run starts the server."""
    return str(shared.once("fork-server", _start_server)["address"])


def _start_server() -> dict[str, str]:
    path = str(shared.folder() / "fork-server")
    # The server must not inherit settings, because the modules that it imports would read them.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "BACKFILL_"))}
    command = [sys.executable, "-m", "tests.fork_server", path]
    env[shared.VARIABLE] = str(shared.folder())
    subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, start_new_session=True, check=True)
    return {"address": path}


# The following functions run in the server.


def _serve(listener: socket.socket) -> tuple[list[str], str]:
    """Answer requests. Return in each forked process: its command and working directory."""
    with ExitStack() as owned:
        owned.enter_context(listener)
        wakeup, wakeup_write = socket.socketpair()
        for end in (owned.enter_context(wakeup), owned.enter_context(wakeup_write)):
            end.setblocking(False)
        signal.set_wakeup_fd(wakeup_write.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        selector = owned.enter_context(selectors.DefaultSelector())
        selector.register(listener, selectors.EVENT_READ)
        selector.register(wakeup, selectors.EVENT_READ)
        running: dict[int, socket.socket] = {}
        while True:
            for key, _ in selector.select():
                if key.fileobj is wakeup:
                    wakeup.recv(4096)
                    _report_ended(running)
                    continue
                connection, _ = listener.accept()
                try:
                    request, outputs = _request(connection)
                except ConnectionError:  # the test process has been killed
                    connection.close()
                    continue
                pid = os.fork()
                if pid:
                    running[pid] = connection
                    for output in outputs:
                        os.close(output)
                    continue
                for one in running.values():
                    one.close()
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _become(request, outputs)
                with connection:
                    connection.sendall(_LENGTH.pack(os.getpid()))
                return request["command"], request["cwd"]


def _request(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    head, outputs, *_ = socket.recv_fds(connection, _LENGTH.size, 2)
    (length,) = _LENGTH.unpack(head + _read(connection, _LENGTH.size - len(head)))
    request: dict[str, Any] = json.loads(_read(connection, length))
    return request, outputs


def _read(connection: socket.socket, length: int) -> bytes:
    body = b""
    while len(body) < length:
        chunk = connection.recv(length - len(body))
        if not chunk:
            raise ConnectionError("The other side has closed the connection of the fork server.")
        body += chunk
    return body


def _report_ended(running: dict[int, socket.socket]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with running.pop(pid) as connection, suppress(BrokenPipeError):  # the test no longer needs the status
            connection.sendall(_LENGTH.pack(status))


def _become(request: Mapping[str, Any], outputs: Sequence[int]) -> None:
    """Give this process the session, priority, environment and output of the request."""
    if request["start_new_session"]:
        os.setsid()
    os.setpriority(os.PRIO_PROCESS, 0, request["niceness"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(request["cwd"])
    for number, output in enumerate(outputs, start=1):
        os.dup2(output, number)
        os.close(output)
    sys.stdout = open(1, "w", buffering=1 if os.isatty(1) else -1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115


def _run_as_main(command: list[str], folder: str) -> None:
    if command[0] == "-m":
        sys.path[0], sys.argv = folder, command[1:]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[0], sys.argv = str(Path(command[0]).resolve().parent), command
        runpy.run_path(command[0], run_name="__main__")


def main() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()  # a collection in a forked process would copy the memory of all these objects
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(64)
    shared.kill_at_end(os.getpgid(0))
    if os.fork():
        os._exit(0)  # the process that started this one now knows that the server accepts connections
    _run_as_main(*_serve(listener))


if __name__ == "__main__":
    main()
