"""The commands and programs of README.md and docs/ run as they are written.

A block of the language `bash` or `python` is run, with the data that the examples assume: closes of the program year
2023-2024 with their analytics, a token in `$TOKEN`, and the id of a job with failed items in `$JOB`. A comment before a
block, `<!-- not run: reason -->`, excludes it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import shared, template_site
from tests.acceptance.harness import ROOT, Client, Dashboard, Site

CURL = shutil.which("curl")
RUN = {"bash", "python"}
SHOWN = {"ini", "json", "mermaid", "nginx", "text", "toml", "yaml"}
TESTED_ELSEWHERE = {("datasets.md", "python"), ("datasets.md", "sql")}
"""By tests/integration/test_dataset_examples.py, which compares the results, too."""

_FENCE = re.compile(
    r"(?:^ *<!-- not run: (?P<reason>[^\n]+) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)\n(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
_COMMAND_WITHOUT_FENCE = re.compile(
    r"^ {4,}(?:\.venv/|manage\.py |python3? |curl |make |gunicorn |export [A-Z])[^\n]*", re.MULTILINE
)

PREAMBLE = """
set -euo pipefail
wait_until_idle() {
    while true; do
        active=$(curl -H "Authorization: Token $SITE_TOKEN" \
            "$SITE/api/admin/backfill/jobs?status=pending,running,pausing,paused,cancelling")
        if grep -q '"total": *0' <<<"$active"; then return; fi
        sleep 0.2
    done
}
"""


@dataclass(frozen=True)
class Block:
    place: str
    language: str
    code: str
    reason: str
    """Why it is not run; empty if it is run."""


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        yield Block(
            f"{page.name}, line {line}", found["language"], textwrap.dedent(found["code"]), found["reason"] or ""
        )


def runnable(page: Path) -> list[Block]:
    return [
        block
        for block in blocks(page)
        if block.language in RUN and not block.reason and (page.name, block.language) not in TESTED_ELSEWHERE
    ]


def script(page: Path) -> str:
    """Return a shell script of the runnable blocks of a page, which share their variables."""
    parts = [PREAMBLE]
    for block in runnable(page):
        code = block.code if block.language == "bash" else f"TOKEN=$TOKEN python3 -c {shlex.quote(block.code)}"
        parts += ["wait_until_idle", f"echo {shlex.quote(f'--- {block.place}')} >&2", code]
    return "\n".join(parts)


@pytest.fixture(scope="module")
def dashboard() -> Iterator[Dashboard]:
    dashboard = Dashboard.sample("--districts", "3", "--clubs", "8")
    yield dashboard
    dashboard.stop()


def prepared(dashboard: Dashboard) -> tuple[Path, str]:
    """Return a database with the data that the examples assume, and the id of its job with a failed item.

    The fault of the item is gone afterwards, so that a retry succeeds.
    """
    database = shared.folder() / "documentation.sqlite3"

    def build() -> dict[str, str]:
        site = Site(shared.folder(), f"sqlite:///{database}", dashboard.url)
        site.prepare()
        client = site.serve()
        client.set_limits()
        collected = client.ended(client.start("2023-07-01", "2024-06-30", cadence="month-ends")["jobId"], within=120)
        assert collected["result"]["itemsFailed"] == 0
        dashboard.play({"kind": "missing_column", "times": -1, "match": "clubperformance~01~"})
        failed = client.ended(client.start("2023-06-01", "2023-06-30", cadence="month-ends")["jobId"], within=120)
        assert failed["result"]["itemsFailed"] == 1
        dashboard.forget()
        client.ended(client.start_analytics()["jobId"], within=120)
        site.stop()
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return {"job": str(failed["jobId"])}

    return database, shared.once("documentation", build)["job"]


@pytest.fixture
def site(tmp_path: Path, dashboard: Dashboard) -> Iterator[Site]:
    site = Site(tmp_path, f"sqlite:///{tmp_path}/site.sqlite3", dashboard.url)
    database, site.more_env["JOB"] = prepared(dashboard)
    shutil.copy(database, tmp_path / "site.sqlite3")
    site.token = template_site.TOKEN
    yield site
    site.stop()


@pytest.fixture
def client(site: Site) -> Client:
    return site.serve()


@pytest.fixture
def folder(tmp_path: Path, client: Client) -> Path:
    """A folder that looks like a clone of the repository, with exports that were saved elsewhere."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in {".env", ".git", "site", "var"}:
            (folder / entry.name).symlink_to(entry)
    tools = folder / "tools"
    tools.mkdir()
    curl = tools / "curl"
    curl.write_text(f'#!/bin/sh\nexec {CURL} --fail --silent --show-error "$@"\n')
    curl.chmod(0o755)
    exports = folder / "exports"
    exports.mkdir()
    for report in ("clubperformance", "districtperformance", "divisionperformance"):
        content = client.ask("GET", f"/api/snapshots/2024-06-30/01/{report}.csv").content
        (exports / f"{report}.csv").write_bytes(content)
    with zipfile.ZipFile(folder / "older.zip", "w") as archive:
        archive.writestr("summary.csv", client.ask("GET", "/api/snapshots/2024-06-30/all/districtsummary.csv").content)
    return folder


@pytest.mark.skipif(CURL is None, reason="curl is not installed.")
@pytest.mark.parametrize("page", [page for page in pages() if runnable(page)], ids=lambda page: page.name)
def test_the_examples_of_a_page_run_as_they_are_written(page: Path, site: Site, client: Client, folder: Path) -> None:
    path = os.pathsep.join([str(folder / "tools"), str(Path(sys.executable).parent), str(folder), os.environ["PATH"]])
    known = {"PATH": path, "SITE": client.url, "SITE_TOKEN": client.token, "TOKEN": client.token}
    process = subprocess.run(
        ["bash", "-c", script(page).replace("http://127.0.0.1:8000", client.url)],
        cwd=folder,
        env={**site.env, **known},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stdout[-2000:] + process.stderr[-4000:]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_a_block_of_code_is_run_or_says_why_not(page: Path) -> None:
    """Give a block the language of its content; exclude commands with <!-- not run: reason --> before them."""
    unknown = [block.place for block in blocks(page) if block.language not in RUN | SHOWN | {"sql"}]
    assert unknown == []
    assert [block.place for block in blocks(page) if block.language == "sql" and page.name != "datasets.md"] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_commands_are_in_fenced_blocks(page: Path) -> None:
    assert _COMMAND_WITHOUT_FENCE.findall(_FENCE.sub("", page.read_text())) == []
