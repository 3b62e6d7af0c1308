"""PgBouncer in front of the PostgreSQL server of the tests, in its own process on a free port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests.shared import free_port

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
MISSING = "PgBouncer is not installed: run apt-get install pgbouncer."
POOL = 2
"""Connections to PostgreSQL."""


@dataclass
class PgBouncer:
    """A pool of two connections. `mode` is `transaction` or `session`."""

    folder: Path
    mode: str
    server: str
    """The URL of a database on the PostgreSQL server."""
    _process: subprocess.Popen[bytes] | None = None
    _port: int = 0

    def url(self, database: str) -> str:
        """Return the URL of a database of the server through the pool."""
        address = urlsplit(self.server)
        return f"postgres://{address.netloc.rpartition('@')[0]}@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Start it, on the same port as before, and wait until it accepts connections."""
        address = urlsplit(self.server)
        if not self._port:
            self._port = free_port()
        configuration = self.folder / "pgbouncer.ini"
        password = f" password={address.password}" if address.password else ""
        configuration.write_text(
            f"[databases]\n* = host={address.hostname} port={address.port or 5432} user={address.username}{password}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self._port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = {self.mode}\ndefault_pool_size = {POOL}\nmax_client_conn = 500\n"
            "ignore_startup_parameters = options\nserver_login_retry = 1\n"
        )
        as_user = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to run as root
        command = [str(PROGRAM), "-q", *as_user, str(configuration)]
        with (self.folder / "pgbouncer.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return
            time.sleep(0.05)
        raise AssertionError(f"PgBouncer does not answer: {(self.folder / 'pgbouncer.log').read_text()[-2000:]}")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def server_connections(server: str, database: str) -> int:
    """Return the number of sessions of that database on the PostgreSQL server."""
    with psycopg.connect(server, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'", [database]
        ).fetchone()
    return int(row[0]) if row else 0
