"""The real Firestore emulator, in a process of its own on a free port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import requests

from tests import shared

_JARS = [
    Path("/usr/lib/google-cloud-sdk"),
    Path("/usr/share/google-cloud-sdk"),
    Path.home() / "google-cloud-sdk",
]
_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
PROJECT = "backfill-test"


class EmulatorMissing(Exception):
    """Java or the emulator is not installed; the message says what to do."""


def _jar() -> Path:
    named = os.environ.get("BACKFILL_TEST_FIRESTORE_JAR")
    places = [Path(named)] if named else [p / "platform/cloud-firestore-emulator" for p in _JARS]
    for place in places:
        jar = place if named else place / "cloud-firestore-emulator.jar"
        if jar.exists():
            return jar
    raise EmulatorMissing(
        "The Firestore emulator is not here; install it with `gcloud components install cloud-firestore-emulator` or "
        "the package google-cloud-cli-firestore-emulator, or name its jar in BACKFILL_TEST_FIRESTORE_JAR."
    )


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@dataclass
class Emulator:
    """Can be stopped and started again; what it holds is kept in the folder meanwhile."""

    folder: Path
    port: int = field(default_factory=_free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns once it answers."""
        java = shutil.which("java")
        if java is None:
            raise EmulatorMissing("The Firestore emulator needs Java 17 or newer, which is not here.")
        command = [java, "-Xmx1g", "-Duser.language=en", "-cp", str(_jar()), _MAIN, "start"]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        if self._kept.exists():
            command += ["--seed_from_export", str(self._kept)]
        with (self.folder / "emulator.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"The emulator does not answer: {(self.folder / 'emulator.log').read_text()[-2000:]}")

    @property
    def process_group(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def _kept(self) -> Path:
        return self.folder / "kept" / "kept.overall_export_metadata"

    def stop(self) -> None:
        """What it holds is there again after `start`; nobody may write meanwhile."""
        requests.post(
            f"http://{self.host}/emulator/v1/projects/{PROJECT}:export",
            json={
                "database": f"projects/{PROJECT}/databases/(default)",
                "export_directory": str(self.folder),
                "export_name": "kept",
            },
            timeout=60,
        ).raise_for_status()
        self.kill()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _shut(one: socket.socket) -> None:
    with suppress(OSError):  # the other side was quicker
        one.shutdown(socket.SHUT_RDWR)


class Gate:
    """A port that leads to the emulator while it is open. Closing it breaks what goes through and refuses the rest."""

    def __init__(self, port_behind: int) -> None:
        self._behind, self.port = port_behind, _free_port()
        self._listener: socket.socket | None = None
        self._passing: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.open()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._let_in, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        with self._lock:
            sockets, self._passing = self._passing, set()
            listener, self._listener = self._listener, None
        for one in [listener, *sockets]:
            if one is not None:
                _shut(one)
                one.close()

    def _let_in(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed
                return
            behind = socket.create_connection(("127.0.0.1", self._behind))
            with self._lock:
                is_open = self._listener is listener
                self._passing |= {client, behind}
            if not is_open:
                self.close()
                return
            for source, target in ((client, behind), (behind, client)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            with suppress(OSError):  # broken, or closed by us: the other direction ends too
                while data := source.recv(65_536):
                    target.sendall(data)
        finally:
            for one in (source, target):
                _shut(one)
            with self._lock:
                self._passing -= {source}
            source.close()


_shared: list[Emulator] = []
"""Kept, since a process that runs must not be collected as garbage; it outlives whoever started it."""


def shared_port() -> int:
    """Return the port of the emulator that all processes of the test run share.

    Whoever uses it names a project of its own. A test that stops an emulator starts one for itself.
    """

    def create() -> dict[str, int]:
        emulator = Emulator(shared.folder())
        emulator.start()
        shared.kill_at_end(emulator.process_group)
        _shared.append(emulator)
        return {"port": emulator.port}

    return int(shared.once("firestore-emulator", create)["port"])


def new_project() -> str:
    """Return the id of a project that is empty on every emulator."""
    return f"backfill-{uuid4().hex[:12]}"


def environment(host: str, prefix: str = "", project: str = PROJECT) -> dict[str, str]:
    """For a process that keeps its jobs in the emulator behind that address, under names of its own."""
    return {
        "BACKFILL_STORAGE": "firestore",
        "BACKFILL_FIRESTORE_PREFIX": prefix or f"test-{uuid4().hex[:8]}",
        "FIRESTORE_EMULATOR_HOST": host,
        "GOOGLE_CLOUD_PROJECT": project,
    }
