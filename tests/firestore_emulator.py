"""The real Firestore emulator in its own process, on a free port."""

from __future__ import annotations

import json
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
    """Java or the emulator is not installed. The message says what to do."""


def _jar() -> Path:
    named = os.environ.get("BACKFILL_TEST_FIRESTORE_JAR")
    paths = [Path(named)] if named else [p / "platform/cloud-firestore-emulator" for p in _JARS]
    for path in paths:
        jar = path if named else path / "cloud-firestore-emulator.jar"
        if jar.exists():
            return jar
    raise EmulatorMissing(
        "The Firestore emulator is not installed; use `gcloud components install cloud-firestore-emulator` or install "
        "the package google-cloud-cli-firestore-emulator, or set BACKFILL_TEST_FIRESTORE_JAR to the path of its jar."
    )


def emulator_version() -> str:
    """Return the version that the package of the emulator states, or an empty text."""
    component = _jar().parents[2] / ".install" / "cloud-firestore-emulator.snapshot.json"
    if not component.exists():
        return ""
    (described,) = json.loads(component.read_text())["components"]
    return str(described["version"]["version_string"])


@dataclass
class Emulator:
    """An emulator that can be stopped and restarted. Its data is exported to the folder meanwhile."""

    folder: Path
    port: int = field(default_factory=shared.free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the emulator and wait until it accepts connections."""
        java = shutil.which("java")
        if java is None:
            raise EmulatorMissing("The Firestore emulator needs Java 17 or newer, which is not installed.")
        # The other compiler and garbage collectors of Java need more time than they save in a process of a few minutes.
        options = ["-Xmx1g", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Duser.language=en"]
        command = [java, *options, "-cp", str(_jar()), _MAIN, "start"]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        if self._export.exists():
            command += ["--seed_from_export", str(self._export)]
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
    def _export(self) -> Path:
        return self.folder / "export" / "export.overall_export_metadata"

    def stop(self) -> None:
        """Export the data, which `start` imports, and stop. There must be no writes meanwhile."""
        requests.post(
            f"http://{self.host}/emulator/v1/projects/{PROJECT}:export",
            json={
                "database": f"projects/{PROJECT}/databases/(default)",
                "export_directory": str(self.folder),
                "export_name": "export",
            },
            timeout=60,
        ).raise_for_status()
        self.kill()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _shut_down(one: socket.socket) -> None:
    with suppress(OSError):  # the other side has closed it
        one.shutdown(socket.SHUT_RDWR)


class Gate:
    """A proxy to the emulator. Closing it ends the open connections and refuses new ones."""

    def __init__(self, target_port: int) -> None:
        self._target_port, self.port = target_port, shared.free_port()
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.open()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        with self._lock:
            sockets, self._connections = self._connections, set()
            listener, self._listener = self._listener, None
        for one in [listener, *sockets]:
            if one is not None:
                _shut_down(one)
                one.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed
                return
            upstream = socket.create_connection(("127.0.0.1", self._target_port))
            with self._lock:
                is_open = self._listener is listener
                self._connections |= {client, upstream}
            if not is_open:
                self.close()
                return
            for source, target in ((client, upstream), (upstream, client)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        try:
            with suppress(OSError):  # broken, or closed by `close`: the other direction ends too
                while data := source.recv(65_536):
                    target.sendall(data)
        finally:
            for one in (source, target):
                _shut_down(one)
            with self._lock:
                self._connections -= {source}
            source.close()


_shared: list[Emulator] = []
"""Keeps the emulator referenced, because its Popen object must not be collected while the process runs."""


def shared_port() -> int:
    """Return the port of the emulator that all processes of the test run share.

    Each user has its own project. A test that stops an emulator starts its own.
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
    """Return the environment of a process that stores its jobs in the emulator at that address."""
    return {
        "BACKFILL_STORAGE": "firestore",
        "BACKFILL_FIRESTORE_PREFIX": prefix or f"test-{uuid4().hex[:8]}",
        "FIRESTORE_EMULATOR_HOST": host,
        "GOOGLE_CLOUD_PROJECT": project,
    }
