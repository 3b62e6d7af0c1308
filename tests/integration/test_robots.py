"""The rules of robots.txt and their application, with a real server and real threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backfill.dashboard.client import DashboardClient
from backfill.dashboard.robots import robot_rules
from backfill.domain import RateLimits, WaitReason
from backfill.domain.clock import SYSTEM_CLOCK, Clock
from backfill.errors import DisallowedByRobots, LocalProblem, RobotsUnavailable, Stopped
from backfill.job_types.collection.robots import Robots
from backfill.rate_limit import Limiter
from sample_dashboard.pages import ERROR_PAGE
from sample_dashboard.server import Answer
from tests.fault_server import FaultServer
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import FakeClock, eventually

EXPORT = "/2022-2023/export.aspx?type=CSV&report=clubperformance~91~1/31/2023~2/8/2023~2022-2023"
CALENDAR = "/Club.aspx?id=01&month=1"
FAST_LIMITS = RateLimits(max_requests_per_minute=6000, max_concurrent=3, min_delay_ms=0, max_delay_ms=20)


# Rules.


@pytest.mark.parametrize(
    ("text", "export", "calendar"),
    [
        ("", True, True),
        ("User-agent: *\nDisallow:", True, True),
        ("User-agent: *\nDisallow: /", False, False),
        ("User-agent: *\nDisallow: /*/export.aspx", False, True),
        ("User-agent: *\nDisallow: /export.aspx", True, True),
        ("User-agent: *\nDisallow: /Club.aspx", True, False),
        ("User-agent: *\nDisallow: /\nAllow: /*export.aspx?type=CSV", True, False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: unified-backfill-service\nAllow: /", True, True),
        ("User-agent: Unified-Backfill-Service\nDisallow: /\n\nUser-agent: *\nAllow: /", False, False),
        ("User-agent: GPTBot\nDisallow: /", True, True),
        ("\ufeffUser-agent: *\r\nDisallow: /\r\n", False, False),
        ("\r\n<html>User-agent: *\nDisallow: /</html>", True, True),
    ],
)
def test_rules_allow_or_disallow_each_path(text: str, export: bool, calendar: bool) -> None:
    rules = robot_rules(text.encode())
    assert (rules.allows(EXPORT), rules.allows(CALENDAR)) == (export, calendar)


def test_rules_apply_to_the_full_path_of_a_dashboard_below_the_root() -> None:
    rules = robot_rules(b"User-agent: *\nDisallow: /mirror/Club.aspx", "/mirror")
    assert (rules.allows(EXPORT), rules.allows(CALENDAR)) == (True, False)


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("5", 5.0), ("0.5", 0.5), ("0", 0.0), ("-3", 0.0), ("nan", 0.0), ("soon", 0.0), ("100000", 86_400.0)],
)
def test_a_crawl_delay_is_a_number_of_seconds(delay: str, seconds: float) -> None:
    assert robot_rules(f"User-agent: *\nCrawl-delay: {delay}".encode()).crawl_delay == seconds


@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
@example(b"Crawl-delay: 5")
@example(b"User-agent: *\nDisallow: *$**$\nRequest-rate: 1/0\nVisit-time: 9999-1")
def test_a_robots_txt_with_any_content_can_be_parsed(content: bytes) -> None:
    rules = robot_rules(content)
    assert isinstance(rules.allows(EXPORT), bool)
    assert 0 <= rules.crawl_delay <= 86_400


# Requests for robots.txt.


class Dashboard:
    """A dashboard whose robots.txt can be changed, and the cached rules of a process."""

    def __init__(self, server: FaultServer, client: DashboardClient) -> None:
        self.server, self.client, self.clock = server, client, FakeClock()
        self.robots = Robots(client, now=self.clock)

    def serve_robots(self, text: str | bytes, status: int = 200, **headers: str) -> None:
        body = text.encode() if isinstance(text, str) else text
        self.server.respond = lambda path: Answer(status, body, "text/plain", headers)

    @property
    def reads(self) -> int:
        assert set(self.server.paths()) <= {"/robots.txt"}
        return len(self.server.received)


@contextmanager
def run_dashboard(path: str = "") -> Iterator[Dashboard]:
    with (
        FaultServer(lambda path: Answer(404, ERROR_PAGE)) as server,
        closing(DashboardClient(server.url + path, read_timeout=1)) as client,
    ):
        yield Dashboard(server, client)


def limiter_of(limits: RateLimits = FAST_LIMITS, clock: Clock = SYSTEM_CLOCK) -> Limiter:
    return Limiter(limits, MemoryStorage().control.update_schedule, clock=clock)


@pytest.mark.parametrize("path", ["", "/mirror"])
def test_robots_txt_is_read_at_the_root_of_the_host_once_a_day(path: str) -> None:
    with run_dashboard(path) as dashboard:
        dashboard.serve_robots("User-agent: *\nDisallow: /private")
        limiter = limiter_of()
        for _ in range(5):
            dashboard.robots.check(limiter, EXPORT)
        dashboard.robots.wait(dashboard.client, limiter_of(), CALENDAR)
        assert dashboard.reads == 1
        dashboard.clock.forward(hours=23, minutes=59)
        dashboard.robots.check(limiter, EXPORT)
        assert dashboard.reads == 1
        dashboard.clock.forward(minutes=1)
        dashboard.robots.check(limiter, EXPORT)
        assert dashboard.reads == 2
        report = limiter.report()
    assert (report.requests_made, report.answers) == (2, {"200": 2}), "the limiter counts requests for robots.txt"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204])
def test_a_missing_robots_txt_allows_everything(status: int) -> None:
    with run_dashboard() as dashboard:
        dashboard.serve_robots("User-agent: *\nDisallow: /" if status != 204 else "", status)
        dashboard.robots.check(limiter := limiter_of(), EXPORT)
        assert limiter.report().answers == {str(status): 1}


def test_a_web_page_or_a_redirect_instead_of_robots_txt_allows_everything() -> None:
    with run_dashboard() as dashboard:
        dashboard.serve_robots(ERROR_PAGE)
        dashboard.robots.check(limiter_of(), EXPORT)
    with run_dashboard() as dashboard:
        dashboard.serve_robots(b"", 302, Location="/error.aspx")
        dashboard.robots.check(limiter_of(), EXPORT)


def test_the_error_for_a_disallowed_path_names_the_path_and_the_setting() -> None:
    with run_dashboard() as dashboard:
        dashboard.serve_robots("User-agent: *\nDisallow: /*/export.aspx")
        limiter = limiter_of()
        dashboard.robots.check(limiter, CALENDAR)
        with pytest.raises(DisallowedByRobots, match=r"request /2022-2023/export\.aspx\..*BACKFILL_IGNORE_ROBOTS=true"):
            dashboard.robots.check(limiter, EXPORT)
        assert dashboard.reads == 1


def test_a_job_waits_for_a_disallowed_path_and_continues_once_it_is_allowed() -> None:
    with run_dashboard() as dashboard:
        dashboard.serve_robots("User-agent: *\nDisallow: /")
        offset = 0.0
        limiter = limiter_of(clock=Clock(monotonic=lambda: time.monotonic() + offset))
        thread = threading.Thread(target=dashboard.robots.wait, args=(dashboard.client, limiter, EXPORT), daemon=True)
        thread.start()
        assert eventually(lambda: limiter.report().waits_for is WaitReason.ROBOTS)
        report = limiter.report()
        assert limiter.is_holding
        assert "does not allow unified-backfill-service to request /2022-2023/export.aspx" in report.reason
        assert report.waiting_until is not None
        assert report.waiting_until - limiter._now() > timedelta(hours=23)
        dashboard.serve_robots("")
        dashboard.clock.forward(days=1)
        offset = 86_400.0
        limiter.drain(on=False)  # wakes the waiting thread
        thread.join(10)
        assert not thread.is_alive()
        assert limiter.report().waits_for is not WaitReason.ROBOTS
        assert dashboard.reads == 2


def test_robots_txt_is_read_again_if_an_operator_ends_the_wait() -> None:
    with run_dashboard() as dashboard:
        dashboard.serve_robots("User-agent: *\nDisallow: /")
        limiter = limiter_of()
        thread = threading.Thread(target=dashboard.robots.wait, args=(dashboard.client, limiter, EXPORT), daemon=True)
        thread.start()
        assert eventually(lambda: limiter.report().waits_for is WaitReason.ROBOTS)
        dashboard.serve_robots("")
        limiter.end_hold()
        thread.join(10)
        assert not thread.is_alive()
        assert dashboard.reads == 2


def test_a_slow_robots_txt_does_not_delay_a_cancel() -> None:
    """R7.2: the request belongs to the client of the job, which aborts it."""
    with run_dashboard() as dashboard:
        answers = threading.Event()

        def respond(_: str) -> Answer:
            answers.wait(20)
            return Answer(200, b"", "text/plain")

        dashboard.server.respond = respond
        limiter, client, ended = limiter_of(), DashboardClient(dashboard.server.url).scope(), list[Stopped]()

        def wait() -> None:
            with pytest.raises(Stopped) as stopped:
                dashboard.robots.wait(client, limiter, EXPORT)
            ended.append(stopped.value)

        threads = [threading.Thread(target=wait, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert eventually(lambda: dashboard.server.received)
        limiter.drain()
        client.abort()
        for thread in threads:
            thread.join(2)
        answers.set()
        assert len(ended) == 3


@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_unreadable_robots_txt_fails_a_preview_and_delays_a_job(status: int) -> None:
    with run_dashboard() as dashboard:
        dashboard.serve_robots("Broken.", status)
        with pytest.raises(RobotsUnavailable, match=rf'robots\.txt cannot be read.*"{status} '):
            dashboard.robots.check(limiter_of(), EXPORT)
        limiter = limiter_of(replace(FAST_LIMITS, min_delay_ms=50, max_delay_ms=100))
        dashboard.robots = Robots(dashboard.robots._client, now=limiter._now)
        threads = [
            threading.Thread(target=dashboard.robots.wait, args=(dashboard.client, limiter, EXPORT), daemon=True)
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        assert eventually(lambda: limiter.report().waits_for is WaitReason.DOWN)
        report = limiter.report()
        assert "robots.txt cannot be read" in report.reason
        assert report.down_since is not None
        dashboard.serve_robots("")
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads)
        assert limiter.report().waits_for is not WaitReason.DOWN
        assert limiter.report().down_since is None


def test_an_unreachable_server_raises_the_error_for_an_unreadable_robots_txt() -> None:
    with run_dashboard() as dashboard:
        pass
    with closing(DashboardClient(dashboard.server.url)) as client:
        robots = Robots(client, now=dashboard.clock)
        with pytest.raises(RobotsUnavailable, match="Connection refused"):
            robots.check(limiter_of(), EXPORT)


def test_a_local_problem_is_not_reported_as_an_unreadable_robots_txt() -> None:
    with closing(DashboardClient("http://dashboard.invalid")) as client:
        limiter = limiter_of()
        with pytest.raises(LocalProblem, match="DNS does not resolve"):
            Robots(client, now=FakeClock()).check(limiter, EXPORT)
        assert limiter.report().requests_made == 0


def test_the_threads_of_a_job_read_robots_txt_once() -> None:
    with run_dashboard() as dashboard:
        limiter = limiter_of()
        threads = [
            threading.Thread(target=dashboard.robots.wait, args=(dashboard.client, limiter, EXPORT), daemon=True)
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert dashboard.reads == 1


def test_a_cancelled_job_does_not_wait_for_robots_txt() -> None:
    with run_dashboard() as dashboard:
        dashboard.serve_robots("User-agent: *\nDisallow: /")
        limiter, stopped = limiter_of(), threading.Event()

        def wait() -> None:
            with pytest.raises(Stopped):
                dashboard.robots.wait(dashboard.client, limiter, EXPORT)
            stopped.set()

        threading.Thread(target=wait, daemon=True).start()
        assert eventually(lambda: limiter.report().waits_for is WaitReason.ROBOTS)
        limiter.drain()
        assert stopped.wait(10)


def test_a_crawl_delay_is_kept_between_requests_and_named_as_the_reason_for_the_rate() -> None:
    with run_dashboard() as dashboard:
        dashboard.serve_robots("User-agent: *\nCrawl-delay: 0.5")
        limiter = limiter_of()
        dashboard.robots.check(limiter, EXPORT)
        for _ in range(3):
            with limiter.request():
                dashboard.server.respond("/asked")
                dashboard.server.received.append(replace(dashboard.server.received[0], at=time.time()))
        starts = [one.at for one in dashboard.server.received]
        gaps = [later - earlier for earlier, later in pairwise(starts)]
        assert min(gaps) > 0.45, "the server logs a request late"
        report = limiter.report()
        assert report.pace == 120
        assert "120 requests a minute, the Crawl-delay of the dashboard's robots.txt" in report.reason
        assert report.waits_for is WaitReason.CRAWL_DELAY
