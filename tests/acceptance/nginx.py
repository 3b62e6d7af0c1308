"""A real nginx with the shipped configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.harness import ROOT, Client
from tests.shared import free_port

CONFIGURATION = ROOT / "deploy" / "nginx.conf"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def nginx_before(
    client: Client, folder: Path, changes: Mapping[str, str] | None = None, script_name: str = ""
) -> Iterator[int]:
    """Run nginx with the shipped configuration and these changes before that server, and yield its port."""
    if NGINX is None:
        message = "nginx is not installed: run apt-get install nginx-light."
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    port = free_port()
    shipped = CONFIGURATION.read_text()
    for before, after in {
        "server 127.0.0.1:8000;": f"server {client.url.removeprefix('http://')};",
        "listen 80;": f"listen 127.0.0.1:{port};",
        "    listen [::]:80;\n": "",
        **(changes or {}),
    }.items():
        assert before in shipped
        shipped = shipped.replace(before, after)
    (folder / "backfill.conf").write_text(shipped)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root; " if os.geteuid() == 0 else ""  # otherwise its processes may not write into the folder
    (folder / "nginx.conf").write_text(
        f"{user}daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{ worker_connections 1024; }}\n"
        f"http {{ access_log off; {temporary} include {folder}/backfill.conf; }}\n"
    )
    process = subprocess.Popen([NGINX, "-p", str(folder), "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"])
    try:
        Client(f"http://127.0.0.1:{port}{script_name}", client.token, client.process).wait_until_up()
        yield port
    finally:
        process.terminate()
        process.wait()
