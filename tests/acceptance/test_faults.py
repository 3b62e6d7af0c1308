"""Network faults between a job of real processes and the dashboard."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from sample_dashboard.server import Answer
from sample_dashboard.world import SampleWorld
from tests.acceptance.harness import Client, Dashboard, Json, Site
from tests.fault_server import CERTIFICATE, FaultServer, Respond, sample_dashboard

pytestmark = pytest.mark.acceptance

RANGE = ("2025-01-01", "2025-02-28")
NewSite = Callable[..., Site]


@pytest.fixture(scope="module")
def good() -> Respond:
    return sample_dashboard(SampleWorld(date(2026, 11, 1), districts=3, clubs=5))


@pytest.fixture
def server(good: Respond) -> Iterator[FaultServer]:
    with FaultServer(good) as server:
        yield server


def assert_complete(client: Client, job: Json) -> None:
    assert (job["status"], job["progress"]["failedItems"]) == ("completed", 0)
    items = client.items(job["jobId"])
    assert {(item["outcome"], item["attempts"]) for item in items} == {("processed", 1)}


# The local network.


def test_a_job_waits_while_its_ca_bundle_is_missing(good: Respond, new_site: NewSite, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(CERTIFICATE.read_bytes())
    with FaultServer(good, tls=True) as server:
        client = new_site(server, REQUESTS_CA_BUNDLE=str(bundle), SSL_CERT_FILE="").serve()
        client.set_limits(maxRequestsPerMinute=240, maxDelayMs=1000)
        job = client.start(*RANGE, cadence="month-ends")
        client.wait_for(job["jobId"], lambda job: job["progress"]["processedItems"] >= 1, 30, "an item is settled")
        bundle.unlink()
        held = client.wait_for(
            job["jobId"], lambda job: "REQUESTS_CA_BUNDLE" in job["rateLimiter"]["reason"], 30, "the job waits"
        )
        assert held["status"] == "running"
        assert held["rateLimiter"]["state"] == "backing-off"
        assert f"REQUESTS_CA_BUNDLE names {bundle}, which does not exist." in held["rateLimiter"]["reason"]
        bundle.write_bytes(CERTIFICATE.read_bytes())
        ended = client.ended(job["jobId"])
        assert_complete(client, ended)
        assert ended["result"]["requestsMade"] == len(server.paths("export.aspx")), (
            "requests that were not sent are not counted"
        )


@pytest.mark.parametrize(
    ("url", "environment", "cause"),
    [
        ("https://127.0.0.1:1", {"REQUESTS_CA_BUNDLE": "/nowhere.pem"}, "REQUESTS_CA_BUNDLE names /nowhere.pem"),
        ("http://dashboard.invalid", {"http_proxy": "socks5://127.0.0.1:1"}, "(http_proxy) needs the package PySocks"),
        ("http://dashboard.invalid", {"http_proxy": "http://127.0.0.1:1"}, "cannot be used: Connection refused"),
        ("http://dashboard.invalid", {"http_proxy": "nonsense://"}, "http_proxy is not the address of a proxy"),
        ("http://dashboard.invalid", {}, "DNS does not resolve dashboard.invalid"),
    ],
)
def test_a_local_network_problem_in_a_preview_is_reported_in_one_line(
    url: str, environment: dict[str, str], cause: str, new_site: NewSite
) -> None:
    site = new_site(ExternalDashboard(url), no_proxy="", **environment)
    result = run_preview(site)
    assert result.returncode == 1
    assert cause in result.stderr
    assert "Nothing was created" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_preview_returns_502_for_an_unverifiable_certificate(good: Respond, new_site: NewSite) -> None:
    with FaultServer(good, tls=True) as server:
        client = new_site(server, REQUESTS_CA_BUNDLE="", CURL_CA_BUNDLE="", SSL_CERT_FILE="").serve()
        body = {"jobType": "data-collection", "startDate": RANGE[0], "endDate": RANGE[1]}
        response = client.ask("POST", "/api/admin/backfill/preview", body)
        assert (response.status_code, response.json()["error"]["code"]) == (502, "DASHBOARD_UNAVAILABLE")
        assert "certificate of 127.0.0.1 cannot be verified" in response.json()["error"]["message"]
        assert server.received == []


class ExternalDashboard(Dashboard):
    """A dashboard without a process, at any URL."""

    def __init__(self, url: str) -> None:
        self.url = url


def run_preview(site: Site) -> subprocess.CompletedProcess[str]:
    return site.manage("backfill", "preview", "--from", RANGE[0], "--to", RANGE[1], check=False)


# robots.txt.


def with_robots(good: Respond, text: str, status: int = 200) -> Respond:
    robots = Answer(status, text.encode(), "text/plain")
    return lambda path: robots if path == "/robots.txt" else good(path)


def test_paths_that_robots_txt_disallows_are_not_requested_and_the_job_reports_it(
    server: FaultServer, good: Respond, new_site: NewSite
) -> None:
    server.respond = with_robots(good, "User-agent: *\nDisallow: /*export.aspx\n")
    site = new_site(server)
    client = site.serve()
    client.set_limits()
    job = client.start(*RANGE, cadence="month-ends")
    held = client.wait_for(job["jobId"], lambda job: "robots.txt" in job["rateLimiter"]["reason"], 30, "the job waits")
    assert "BACKFILL_IGNORE_ROBOTS=true" in held["rateLimiter"]["reason"]
    assert (held["status"], held["progress"]["failedItems"]) == ("running", 0)
    assert server.paths("export.aspx") == []
    assert server.paths().count("/robots.txt") == 1
    site.stop()
    site.more_env["BACKFILL_IGNORE_ROBOTS"] = "true"
    client = site.serve()
    assert_complete(client, client.ended(job["jobId"]))
    assert server.paths().count("/robots.txt") == 1, "robots.txt is not read again"


def test_a_preview_reports_that_robots_txt_disallows_the_calendar(
    server: FaultServer, good: Respond, new_site: NewSite
) -> None:
    server.respond = with_robots(good, "User-agent: *\nDisallow: /\n")
    result = run_preview(new_site(server))
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "robots.txt does not allow" in result.stderr
    assert server.paths() == ["/robots.txt"]


def test_a_job_waits_while_robots_txt_cannot_be_read(server: FaultServer, good: Respond, new_site: NewSite) -> None:
    site = new_site(server)
    client = site.serve()
    client.set_limits(maxDelayMs=500, maxRequestsPerMinute=120)
    job = client.start(*RANGE, cadence="month-ends")
    site.stop()
    server.respond = with_robots(good, "Broken.", 500)
    requests_before = len(server.paths("export.aspx"))
    client = site.serve()
    client.wait_for(
        job["jobId"], lambda job: "robots.txt cannot be read" in job["rateLimiter"]["reason"], 40, "the job waits"
    )
    assert len(server.paths("export.aspx")) == requests_before
    server.respond = good
    assert_complete(client, client.ended(job["jobId"]))
