"""The files of the container agree with the service: settings, ports, packages and the version of Python."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from packaging.specifiers import SpecifierSet

from backfill.settings_table import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
COMPOSE: Mapping[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
NGINX = (ROOT / "deploy" / "nginx.conf").read_text()
DEPLOYMENT = (ROOT / "docs" / "deployment.md").read_text()
OF_OTHERS = {"POSTGRES_PASSWORD", "WEB_CONCURRENCY", "SCRIPT_NAME"}
"""Variables of the compose file, of gunicorn, and of the server, which are not settings of the table."""


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} +(.+)$", DOCKERFILE, re.MULTILINE)


def services() -> dict[str, Any]:
    """Return the services that run the image."""
    return {name: found for name, found in COMPOSE["services"].items() if found["image"] == "backfill"}


def the_only(pattern: str, text: str) -> str:
    (found,) = set(re.findall(pattern, text))
    return str(found)


def test_the_files_name_only_settings_of_the_table() -> None:
    compose, env = (ROOT / "compose.yaml").read_text(), (ROOT / ".env.example").read_text()
    named = {name for service in services().values() for name in service["environment"]}
    named |= set(re.findall(r"\$\{(\w+)", compose)) | set(re.findall(r"^#? ?([A-Z_]+)=", env, re.MULTILINE))
    named |= set(re.findall(r"\b((?:DJANGO|BACKFILL)_\w+)=", DOCKERFILE))
    unit = DEPLOYMENT.partition("[Unit]")[2].partition("\n\nIt ")[0]
    named |= set(re.findall(r"^\s*Environment=(\w+)=", unit, re.MULTILINE))
    assert {"DATABASE_URL", "BACKFILL_PROXIES", "BACKFILL_ENV_FILE"} <= named
    assert named - OF_OTHERS <= {setting.name for setting in SETTINGS}


def test_all_servers_and_probes_use_the_port_of_nginx() -> None:
    port = the_only(r"server 127\.0\.0\.1:(\d+);", NGINX)
    assert instructions("EXPOSE") == [port]
    assert the_only(r'"--bind", "0\.0\.0\.0:(\d+)"', instructions("CMD")[0]) == port
    assert the_only(r"C\('127\.0\.0\.1', (\d+)", DOCKERFILE) == port
    assert the_only(r"ExecStart=.*--bind 127\.0\.0\.1:(\d+)", DEPLOYMENT) == port
    (published,) = COMPOSE["services"]["nginx"]["ports"]
    assert published.rpartition(":")[2] == the_only(r"listen (\d+);", NGINX)


def test_the_nginx_of_the_compose_file_passes_requests_to_the_service() -> None:
    command = COMPOSE["services"]["nginx"]["command"][-1]
    old, new = re.findall(r"sed 's/([^/]+)/([^/]+)/'", command)[0]
    assert new.partition(":")[0] in services()
    upstream = NGINX.replace(old, new).partition("upstream backfill {")[2].partition("}")[0]
    assert re.findall(r"server (\S+);", upstream) == [new]
    assert "127.0.0.1" not in NGINX.replace(old, new)


def test_the_python_of_the_image_is_supported() -> None:
    version = the_only(r"ARG BASE=docker\.io/library/python:(\d+\.\d+)-slim", DOCKERFILE)
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert SpecifierSet(required).contains(f"{version}.0")


def test_the_image_contains_all_packages_of_the_service_and_no_other_file() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*", "Files that are not named, such as .env, are left out."
    included = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert all((ROOT / name).exists() for name in included)
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"templates"}
    assert packages - included == {"tests", "benchmarks"}
    apps = {app.partition(".")[0] for app in [*settings.INSTALLED_APPS, settings.ROOT_URLCONF]}
    assert {name for name in apps if (ROOT / name).is_dir()} <= included
    assert included - packages == {"gunicorn.conf.py", "manage.py", "requirements.txt"}


def test_the_service_runs_without_root_on_a_read_only_file_system() -> None:
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    user, group = re.findall(r"^USER (\d+):(\d+)$", last_stage, re.MULTILINE)[-1]
    assert int(user) > 0
    assert int(group) > 0
    for name, service in services().items():
        assert (service["read_only"], service["cap_drop"], service["tmpfs"]) == (True, ["ALL"], ["/tmp"]), name  # noqa: S108


@pytest.mark.parametrize("name", ["service", "nginx"])
def test_a_container_starts_when_the_one_before_it_responds(name: str) -> None:
    conditions = {needed: how["condition"] for needed, how in COMPOSE["services"][name]["depends_on"].items()}
    assert (
        conditions
        == {
            "service": {"database": "service_healthy", "migrate": "service_completed_successfully"},
            "nginx": {"service": "service_healthy"},
        }[name]
    )


def test_requests_in_flight_may_end_before_the_process_is_killed() -> None:
    graceful = int(the_only(r"\ngraceful_timeout = (\d+)", (ROOT / "gunicorn.conf.py").read_text()))
    assert int(COMPOSE["services"]["service"]["stop_grace_period"].removesuffix("s")) > graceful
    assert int(the_only(r"TimeoutStopSec=(\d+)", DEPLOYMENT)) > graceful
