"""The stores of the sites, and their outages."""

from __future__ import annotations

import getpass
import os
import shutil
import sqlite3
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from tests.chaos.consistency import Reader
from tests.chaos.firestore_reader import FirestoreReader
from tests.chaos.sql_reader import SqlReader
from tests.firestore_emulator import PROJECT, Emulator, EmulatorMissing, Gate, environment
from tests.shared import free_port

_DISK = 64
"""Size in megabytes of the disk that can be filled."""
_LONG_TRANSACTION = 5.0
"""Seconds; a transaction of the service takes milliseconds."""


class StoreMissing(Exception):
    """This machine cannot provide the store; the message contains the reason."""


class Store(ABC):
    """A store of one kind."""

    kind: str
    url: str
    """The database of the site. It contains the jobs too, unless `env` selects another store."""
    env: Mapping[str, str] = MappingProxyType({})
    reader: Reader

    def is_write_locked(self) -> bool:
        """Whether a client keeps all others from writing for longer than a transaction of the service takes."""
        return False

    @abstractmethod
    def close(self) -> None:
        """Remove the store."""


class SqliteStore(Store):
    """A file, on a small disk if this machine can mount one."""

    kind = "SQLite"

    def __init__(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="chaos-sqlite-"))
        options = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}m", "tmpfs", str(self._root)]
        self.has_own_disk = (
            shutil.which("mount") is not None
            and subprocess.run(options, capture_output=True, check=False).returncode == 0
        )
        self._folder = self._root / "store"
        self._folder.mkdir()
        self.url = f"sqlite:///{self._folder / 'site.sqlite3'}"
        self.reader = SqlReader(self.url)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the write lock."""
        lock = sqlite3.connect(self._folder / "site.sqlite3", isolation_level=None, timeout=30)
        lock.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            lock.execute("ROLLBACK")
            lock.close()

    def is_write_locked(self) -> bool:
        probe = sqlite3.connect(self._folder / "site.sqlite3", isolation_level=None, timeout=_LONG_TRANSACTION)
        try:
            probe.execute("BEGIN IMMEDIATE")
            probe.execute("ROLLBACK")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            return True
        finally:
            probe.close()
        return False

    @contextmanager
    def missing(self) -> Iterator[None]:
        """Move the folder away."""
        with_outage = self._folder.rename(self._folder.with_name("away"))
        try:
            yield
        finally:
            with_outage.rename(self._folder)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Fill the disk."""
        filler = self._root / "filler"
        try:
            with filler.open("wb", buffering=0) as file:
                for size in (1 << 20, 1 << 12):
                    try:
                        while file.write(b"\0" * size) == size:
                            pass
                    except OSError:
                        continue
            yield
        finally:
            filler.unlink()

    def close(self) -> None:
        if self.has_own_disk:
            subprocess.run(["umount", "--lazy", str(self._root)], check=True)
        shutil.rmtree(self._root, ignore_errors=True)


class PostgresStore(Store):
    """A server that can be stopped and started."""

    kind = "PostgreSQL"

    def __init__(self) -> None:
        self._bin = self._binaries()
        # PostgreSQL refuses to run as root; the package of the system creates the user postgres.
        self._user = "postgres" if os.geteuid() == 0 else getpass.getuser()
        self._folder = Path(tempfile.mkdtemp(prefix="chaos-postgres-"))
        if os.geteuid() == 0:
            shutil.chown(self._folder, self._user)
        port = free_port()
        self._run("initdb", "--username", "chaos", "--auth", "trust", "--no-sync", "-D", str(self._folder / "data"))
        options = f"port={port}\nlisten_addresses='127.0.0.1'\nunix_socket_directories='{self._folder}'\nfsync=off\n"
        with (self._folder / "data" / "postgresql.conf").open("a") as file:
            file.write(options)
        self.url = f"postgres://chaos@127.0.0.1:{port}/site"
        self.reader = SqlReader(self.url)
        self.start()

    @staticmethod
    def _binaries() -> Path:
        found = shutil.which("initdb")
        folders = [Path(found).resolve().parent] if found else []
        folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        for folder in folders:
            if (folder / "pg_ctl").exists() and (folder / "postgres").exists():
                return folder
        raise StoreMissing("PostgreSQL is not installed: install a server, so that initdb and pg_ctl are found.")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments],
            cwd=self._folder,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            user=self._user if os.geteuid() == 0 else None,
        )
        if done.returncode:
            raise StoreMissing(f"PostgreSQL's {program} failed: {(done.stdout or '').strip()[-300:]}")

    def _control(self, verb: str, *options: str) -> None:
        log = str(self._folder / "log")
        self._run("pg_ctl", verb, "-D", str(self._folder / "data"), "-l", log, "-w", "-s", *options)

    def start(self) -> None:
        self._control("start")

    @contextmanager
    def stopped(self, mode: str) -> Iterator[None]:
        """`mode` is fast, or immediate for a crash with recovery at the start."""
        self._control("stop", "-m", mode)
        try:
            yield
        finally:
            self.start()

    def close(self) -> None:
        self._control("stop", "-m", "immediate")
        shutil.rmtree(self._folder, ignore_errors=True)


class FirestoreStore(Store):
    """An emulator that can be stopped, started and disconnected. Users and tokens are in a SQLite file."""

    kind = "Firestore"

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="chaos-firestore-"))
        self._emulator = Emulator(self._folder)
        try:
            self._emulator.start()
        except EmulatorMissing as exc:
            shutil.rmtree(self._folder)
            raise StoreMissing(str(exc)) from exc
        self._gate = Gate(self._emulator.port)
        self.url = f"sqlite:///{self._folder / 'site.sqlite3'}"
        self.env = environment(self._gate.host)
        prefix = self.env["BACKFILL_FIRESTORE_PREFIX"]
        self.reader = FirestoreReader(self._emulator.host, PROJECT, prefix)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Disconnect it: a response in flight is lost, its write is not."""
        self._gate.close()
        try:
            yield
        finally:
            self._gate.open()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop it. Open transactions are lost, committed data is not."""
        with self.cut_off():
            self._emulator.stop()
            try:
                yield
            finally:
                self._emulator.start()

    def close(self) -> None:
        self._gate.close()
        self._emulator.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
