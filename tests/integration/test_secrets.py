"""No password of an address appears in an error, a check or the log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from django.test import override_settings

from backfill.checks import check_deployment, check_settings
from backfill.dashboard.network import Route
from tests import template_site

PASSWORD = "sesame"
ADDRESSES = [
    f"http://user:{PASSWORD}@[::1",
    f"http://user:{PASSWORD}@127.0.0.1:notaport",
    f"http://user:{PASSWORD}@127.0.0.1:1",
    f"ftp://user:{PASSWORD}@x",
    f"user:{PASSWORD}@x",
    f"//user:{PASSWORD}@x",
    f"http://user:{PASSWORD}",
    f"http://user:pa ss {PASSWORD}@127.0.0.1:1",
    f"http://user:p@{PASSWORD}@127.0.0.1:1",
    f"postgres://user:{PASSWORD}@127.0.0.1:1/x",
    f"postgres://user:{PASSWORD}@nohost.invalid/x",
    f"tcp://user:{PASSWORD}@127.0.0.1:8786",
]


@pytest.mark.parametrize("setting", ["BACKFILL_DASHBOARD_URL", "BACKFILL_WEBHOOK_URL", "BACKFILL_EXECUTOR"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_no_check_contains_the_password_of_an_address(setting: str, address: str) -> None:
    with override_settings(**{setting: address}):
        found = str([*check_settings(), *check_deployment()])
    assert PASSWORD not in found


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_error_of_a_proxy_contains_its_password(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", address)
    route = Route.to("http://dashboard.example.org", setting="BACKFILL_DASHBOARD_URL")
    if problem := route.problem():  # no request is sent
        assert PASSWORD not in problem
        return
    for error in (requests.exceptions.InvalidProxyURL(address), requests.exceptions.ProxyError(address)):
        assert PASSWORD not in route.cause(error)


@pytest.mark.parametrize(
    ("setting", "address", "command"),
    [
        ("BACKFILL_DASHBOARD_URL", f"http://user:{PASSWORD}@127.0.0.1:1", "preview"),
        ("BACKFILL_DASHBOARD_URL", f"http://user:{PASSWORD}@127.0.0.1:notaport", "preview"),
        ("DATABASE_URL", f"postgres://user:{PASSWORD}@127.0.0.1:1/x", "list"),
        ("DATABASE_URL", f"postgres://user:{PASSWORD}@127.0.0.1:port/x", "list"),
    ],
)
def test_no_command_prints_the_password_of_an_address(tmp_path: Path, setting: str, address: str, command: str) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "BACKFILL_"))}
    env |= {"BACKFILL_ENV_FILE": os.devnull, "DJANGO_DEBUG": "true"}
    env |= {"DATABASE_URL": f"sqlite:///{tmp_path}/jobs.sqlite3", setting: address}
    if setting != "DATABASE_URL":
        template_site.create(env["DATABASE_URL"])
    more = ["--from", "2024-01-01", "--to", "2024-01-02"] if command == "preview" else []
    done = subprocess.run(
        [sys.executable, "manage.py", "backfill", command, *more, "--json"],
        cwd=template_site.ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert PASSWORD not in done.stdout + done.stderr
