"""The folder that all processes of a test run share, and resources that one of them creates for all."""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import random
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

VARIABLE = "BACKFILL_TEST_SHARED"
_PORTS = range(16_000, 32_000)
_creation = threading.Lock()


def folder() -> Path:
    """Return the folder of the run.

    The first process of a run creates it, removes it when it exits, and hands its path to the processes it starts by
    way of the environment: a pytest-xdist controller, tests.run and tests.chaos do so before they start others.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named)
    with _creation:  # by the first of several threads
        if named := os.environ.get(VARIABLE):
            return Path(named)
        created = Path(tempfile.mkdtemp(prefix="backfill-tests-"))
        os.environ[VARIABLE] = str(created)
        atexit.register(_close, created, os.getpid())
        return created


def run_id() -> str:
    """Return a short name of the run, unique on this machine."""
    return folder().name.rpartition("-")[2].replace("_", "0").lower()


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one process of the run at a time execute the block."""
    with (folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def once(name: str, create: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what `create` returned in the first process of the run that asked for `name`."""
    with locked(name):
        record = folder() / f"{name}.json"
        if not record.exists():
            value = create()
            new = record.with_suffix(".new")
            new.write_text(json.dumps(value))
            new.rename(record)
        found: dict[str, Any] = json.loads(record.read_text())
        return found


def free_port() -> int:
    """Return a port of this machine that no other process of the run gets, and that no outgoing connection uses.

    The kernel hands out the ports from 32768 for outgoing connections, and may take one before a server listens on it.
    """
    with locked("ports"):
        record = folder() / "ports.json"
        index = json.loads(record.read_text()) if record.exists() else random.randrange(len(_PORTS))
        while True:
            index = (index + 1) % len(_PORTS)
            if _is_free(_PORTS[index]):
                record.write_text(json.dumps(index))
                return _PORTS[index]


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def kill_at_end(process_group: int) -> None:
    """Have the owner of the folder kill the processes when the run ends."""
    _note("processes", str(process_group))


def drop_at_end(database_url: str) -> None:
    """Have the owner of the folder drop the PostgreSQL database when the run ends."""
    _note("databases", database_url)


def drop(database_url: str) -> None:
    """Drop a PostgreSQL database, and disconnect its users."""
    server, _, name = database_url.rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _note(kind: str, line: str) -> None:
    with locked(kind), (folder() / kind).open("a") as notes:
        notes.write(f"{line}\n")


def _noted(kind: str) -> list[str]:
    notes = folder() / kind
    return notes.read_text().split() if notes.exists() else []


def _close(created: Path, owner: int) -> None:
    if os.getpid() != owner:  # a fork of the owner
        return
    for process_group in _noted("processes"):
        with suppress(ProcessLookupError):
            os.killpg(int(process_group), signal.SIGKILL)
    for database_url in _noted("databases"):
        with suppress(psycopg.OperationalError):  # a server that a test started for itself is gone by now
            drop(database_url)
    shutil.rmtree(created, ignore_errors=True)
