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


def assert_whole(client: Client, job: Json) -> None:
    assert (job["status"], job["progress"]["failedItems"]) == ("completed", 0)
    items = client.items(job["jobId"])
    assert {(item["outcome"], item["attempts"]) for item in items} == {("processed", 1)}


# The network of this machine.


def test_a_ca_bundle_that_goes_missing_holds_the_job_until_it_is_back(
    good: Respond, new_site: NewSite, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(CERTIFICATE.read_bytes())
    with FaultServer(good, tls=True) as server:
        client = new_site(server, REQUESTS_CA_BUNDLE=str(bundle), SSL_CERT_FILE="").serve()
        client.set_limits(maxRequestsPerMinute=240, maxDelayMs=1000)
        job = client.start(*RANGE, cadence="month-ends")
        client.wait_for(job["jobId"], lambda job: job["progress"]["processedItems"] >= 1, 30, "an item is settled")
        bundle.unlink()
        held = client.wait_for(
            job["jobId"], lambda job: "REQUESTS_CA_BUNDLE" in job["rateLimiter"]["reason"], 30, "it holds"
        )
        assert held["status"] == "running"
        assert held["rateLimiter"]["state"] == "backing-off"
        assert f"REQUESTS_CA_BUNDLE names {bundle}, which does not exist." in held["rateLimiter"]["reason"]
        bundle.write_bytes(CERTIFICATE.read_bytes())
        ended = client.ended(job["jobId"])
        assert_whole(client, ended)
        assert ended["result"]["requestsMade"] == len(server.paths("export.aspx")), "what was not sent is not counted"


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
def test_a_preview_over_a_local_problem_is_one_line_that_names_it(
    url: str, environment: dict[str, str], cause: str, new_site: NewSite
) -> None:
    site = new_site(RemoteCompute(url), no_proxy="", **environment)
    failed = previewed(site)
    assert failed.returncode == 1
    assert cause in failed.stderr
    assert "Nothing was created" in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_a_certificate_that_cannot_be_verified_is_502_for_a_preview(good: Respond, new_site: NewSite) -> None:
    with FaultServer(good, tls=True) as server:
        client = new_site(server, REQUESTS_CA_BUNDLE="", CURL_CA_BUNDLE="", SSL_CERT_FILE="").serve()
        body = {"jobType": "data-collection", "startDate": RANGE[0], "endDate": RANGE[1]}
        response = client.ask("POST", "/api/admin/backfill/preview", body)
        assert (response.status_code, response.json()["error"]["code"]) == (502, "DASHBOARD_UNAVAILABLE")
        assert "certificate of 127.0.0.1 cannot be verified" in response.json()["error"]["message"]
        assert server.received == []


class RemoteCompute(Dashboard):
    """Return the URL of a port without a server."""

    def __init__(self, url: str) -> None:
        self.url = url


def previewed(site: Site) -> subprocess.CompletedProcess[str]:
    return site.manage("backfill", "preview", "--from", RANGE[0], "--to", RANGE[1], check=False)


# robots.txt.


def with_robots(good: Respond, text: str, status: int = 200) -> Respond:
    robots = Answer(status, text.encode(), "text/plain")
    return lambda path: robots if path == "/robots.txt" else good(path)


def test_what_robots_txt_disallows_is_never_requested_and_the_job_says_so(
    server: FaultServer, good: Respond, new_site: NewSite
) -> None:
    server.respond = with_robots(good, "User-agent: *\nDisallow: /*export.aspx\n")
    site = new_site(server)
    client = site.serve()
    client.set_limits()
    job = client.start(*RANGE, cadence="month-ends")
    held = client.wait_for(job["jobId"], lambda job: "robots.txt" in job["rateLimiter"]["reason"], 30, "it holds")
    assert "BACKFILL_IGNORE_ROBOTS=true" in held["rateLimiter"]["reason"]
    assert (held["status"], held["progress"]["failedItems"]) == ("running", 0)
    assert server.paths("export.aspx") == []
    assert server.paths().count("/robots.txt") == 1
    site.stop()
    site.more_env["BACKFILL_IGNORE_ROBOTS"] = "true"
    client = site.serve()
    assert_whole(client, client.ended(job["jobId"]))
    assert server.paths().count("/robots.txt") == 1, "it is not even read"


def test_a_preview_says_that_robots_txt_disallows_the_calendar(
    server: FaultServer, good: Respond, new_site: NewSite
) -> None:
    server.respond = with_robots(good, "User-agent: *\nDisallow: /\n")
    failed = previewed(new_site(server))
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
    assert "robots.txt does not allow" in failed.stderr
    assert server.paths() == ["/robots.txt"]


def test_a_robots_txt_that_cannot_be_read_holds_the_job_until_it_can(
    server: FaultServer, good: Respond, new_site: NewSite
) -> None:
    site = new_site(server)
    client = site.serve()
    client.set_limits(maxDelayMs=500, maxRequestsPerMinute=120)
    job = client.start(*RANGE, cadence="month-ends")
    site.stop()
    server.respond = with_robots(good, "Broken.", 500)
    asked = len(server.paths("export.aspx"))
    client = site.serve()
    client.wait_for(
        job["jobId"], lambda job: "robots.txt cannot be read" in job["rateLimiter"]["reason"], 40, "it holds"
    )
    assert len(server.paths("export.aspx")) == asked
    server.respond = good
    assert_whole(client, client.ended(job["jobId"]))
