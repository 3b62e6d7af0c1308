"""Walks over /api/snapshots while a job stores snapshots, with the programs of docs/rest-api.md."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.acceptance.harness import ROOT, Client, Dashboard, Site

SECTION = (ROOT / "docs" / "rest-api.md").read_text().partition("\n## Read a whole list\n")[2].partition("\n## ")[0]
ADDRESS = "http://127.0.0.1:8000"


def example_after(sentence: str, client: Client) -> str:
    """Return the program of the page that follows a sentence, for the address of a server."""
    after = SECTION.partition(f"\n{sentence}:\n\n")[2]
    found = re.match(r"```\w+\n(.*?\n)```\n", after, re.DOTALL)
    assert found is not None
    program = found[1]
    assert ADDRESS in program
    return program.replace(ADDRESS, client.url).replace("limit=100", "limit=5")


def lines_of(command: list[str], client: Client) -> list[str]:
    walked = subprocess.run(
        command,
        check=False,
        env={"TOKEN": client.token, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert walked.returncode == 0, walked.stderr
    return [" ".join(line.split()[:2]) for line in walked.stdout.splitlines()]


def test_each_walk_during_a_job_has_every_stored_snapshot_once(
    sample: Dashboard, new_site: Callable[..., Site], store: dict[str, str]
) -> None:
    """Pages by offset repeat one to six of the keys of such a walk."""
    server = new_site(sample, **store).serve()
    server.set_limits(maxRequestsPerMinute=900)
    body = {"jobType": "data-collection", "startDate": "2024-07-01", "endDate": "2025-03-31", "cadence": "month-ends"}
    program = example_after("With Python and requests", server)
    command = [sys.executable, "-c", program]
    assert server.ask("POST", "/api/admin/backfill/preview", body).status_code == 200
    job_id = server.created(body)["jobId"]

    before: list[str] = []
    during = 0
    while not server.job(job_id)["completedAt"]:
        walked = lines_of(command, server)
        assert len(set(walked)) == len(walked)
        assert [key for key in walked if key in set(before)] == before
        during += len(walked) > len(before) > 5
        before = walked
    assert during > 1, "Several walks of several pages saw new snapshots."
    walked = lines_of(command, server)
    assert len(walked) == server.get("/api/snapshots")["total"] == 9 * 7
    dates = [key.partition(" ")[0] for key in walked]
    assert dates == sorted(dates)


def test_the_loop_with_curl_prints_every_snapshot(sample: Dashboard, new_site: Callable[..., Site]) -> None:
    if shutil.which("curl") is None or shutil.which("jq") is None:
        pytest.skip("curl and jq are needed.")
    server = new_site(sample).serve()
    server.set_limits()
    server.ended(server.start("2024-07-01", "2024-08-31", cadence="month-ends")["jobId"])
    program = example_after("With curl and jq", server)
    walked = lines_of(["bash", "-euc", program], server)
    assert len(walked) == len(set(walked)) == server.get("/api/snapshots")["total"] == 2 * 7
