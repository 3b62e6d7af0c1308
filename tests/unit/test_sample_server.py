"""The sample dashboard over HTTP: responses, faults, log, and the command that serves it."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.management import CommandError, call_command

from sample_dashboard.program_year import ProgramYear
from sample_dashboard.server import SampleServer
from sample_dashboard.world import SampleWorld

ROOT = Path(__file__).resolve().parents[2]
WORLD = SampleWorld(date(2026, 11, 23), districts=4, clubs=6)
GOOD = "/export.aspx?type=CSV&report=clubperformance~01~10/31/2026~11/2/2026~2026-2027"
DEADLINE = 60.0


@pytest.fixture(scope="module")
def running() -> Iterator[SampleServer]:
    with SampleServer(WORLD) as server:
        yield server


@pytest.fixture
def server(running: SampleServer) -> SampleServer:
    running.control.reset()
    return running


def fetch(url: str, **options: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=DEADLINE, **options)


def get(server: SampleServer, path: str, **options: Any) -> requests.Response:
    return fetch(server.url + path, **options)


def post(server: SampleServer, path: str, value: object = None) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.post(server.url + path, json=value, timeout=DEADLINE)


def break_next(server: SampleServer, **fault: Any) -> None:
    assert post(server, "/__control", {"faults": [fault]}).json() == {"ok": True}


def get_from_a_server_that_stops(server: SampleServer) -> None:
    """Sends a request whose response may be incomplete."""
    with suppress(requests.ConnectionError):
        get(server, GOOD)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "The condition was not met in time."
        time.sleep(0.005)


# Responses


def test_a_report_is_served_as_the_sample_world_writes_it(server: SampleServer) -> None:
    answer = get(server, GOOD)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.content == WORLD.report("clubperformance~01~10/31/2026~11/2/2026~2026-2027")


def test_a_closed_year_is_served_under_its_name_and_the_live_year_without_it(server: SampleServer) -> None:
    assert get(server, "/2024-2025/Club.aspx?id=02&month=3").content == WORLD.calendar_page(ProgramYear(2024), "02", 3)
    assert get(server, "/Club.aspx?id=02&month=10").content == WORLD.calendar_page(ProgramYear(2026), "02", 10)
    report = "clubperformance~02~6/30/2025~~2024-2025"
    archived = get(server, f"/2024-2025/export.aspx?type=CSV&report={report}")
    assert archived.content == WORLD.report(report, ProgramYear(2024))


@pytest.mark.parametrize("page", ["Club.aspx?month=10", "export.aspx?type=CSV&report=districtsummary~~~"])
def test_a_request_for_the_live_year_by_its_name_is_a_server_error(server: SampleServer, page: str) -> None:
    answer = get(server, f"/2026-2027/{page}")
    assert (answer.status_code, answer.text) == (500, "URL Rewrite Module Error.")


@pytest.mark.parametrize("year", ["2019-2020", "2031-2032", "2024-2026", "nonsense"])
def test_an_unknown_year_redirects_to_the_error_page(server: SampleServer, year: str) -> None:
    answer = get(server, f"/{year}/Club.aspx?month=6", allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/error.aspx")
    page = get(server, f"/{year}/Club.aspx?month=6")
    assert page.status_code == 200
    assert "An error has occured please report this" in page.text


def test_an_unknown_report_returns_the_error_page_with_status_200(server: SampleServer) -> None:
    answer = get(server, "/export.aspx?type=CSV&report=nothing~01~~~")
    assert answer.status_code == 200
    assert "An error has occured" in answer.text


@pytest.mark.parametrize("path", ["/elsewhere", "/export.aspx", "/Club.asp", "/2024-2025/default.aspx"])
def test_any_other_path_is_not_found(server: SampleServer, path: str) -> None:
    assert get(server, path).status_code == 404


@pytest.mark.parametrize("path", ["/", "/default.aspx"])
def test_the_home_page_is_served(server: SampleServer, path: str) -> None:
    answer = get(server, path)
    assert (answer.status_code, answer.content) == (200, WORLD.home_page())


def test_the_calendar_page_of_an_unknown_district_redirects_to_the_error_page(
    server: SampleServer,
) -> None:
    for path in ("/Club.aspx?id=01&month=10", "/2024-2025/Club.aspx?id=201&month=3"):
        answer = get(server, path, allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (302, "/error.aspx")


def test_the_calendar_page_of_an_unknown_district_can_show_another_district() -> None:
    world = replace(WORLD, unknown_id="other")
    with SampleServer(world) as server:
        page = get(server, "/Club.aspx?id=01&month=10").content
    assert page == world.calendar_page(ProgramYear(2026), "02", 10)


@pytest.mark.parametrize("month", ["0", "13", "x", "", "-1", "99999999999"])
def test_an_invalid_month_shows_the_newest_month(server: SampleServer, month: str) -> None:
    assert get(server, f"/Club.aspx?month={month}").content == WORLD.calendar_page(WORLD.live_year)


def test_one_connection_serves_many_requests(server: SampleServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as connection:
        for _ in range(3):
            connection.sendall(b"GET /error.aspx HTTP/1.1\r\nHost: here\r\n\r\n")
            reply = b""
            while not reply.endswith(b"</html>\r\n"):
                piece = connection.recv(65536)
                assert piece
                reply += piece
            assert reply.startswith(b"HTTP/1.1 200 ")


# Faults


@pytest.mark.parametrize(("kind", "retry_after"), [("429", 2), ("503", "7"), ("429", None)])
def test_the_server_can_throttle_with_429_and_503(server: SampleServer, kind: str, retry_after: object) -> None:
    break_next(server, kind=kind, times=1, **({} if retry_after is None else {"retry_after": retry_after}))
    answer = get(server, GOOD)
    assert answer.status_code == int(kind)
    assert answer.headers.get("Retry-After") == (None if retry_after is None else str(retry_after))
    assert get(server, GOOD).status_code == 200


def test_the_server_can_respond_with_500(server: SampleServer) -> None:
    break_next(server, kind="500", times=2)
    assert [get(server, GOOD).status_code for _ in range(3)] == [500, 500, 200]


def test_the_server_can_reset_the_connection(server: SampleServer) -> None:
    break_next(server, kind="reset")
    with pytest.raises(requests.ConnectionError, match="reset"):
        get(server, GOOD)
    assert get(server, GOOD).status_code == 200


@pytest.mark.parametrize("path", [GOOD, "/Club.aspx?month=10"])
def test_the_server_can_stop_in_the_middle_of_a_response(server: SampleServer, path: str) -> None:
    whole = len(get(server, path).content)
    break_next(server, kind="truncate")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match=f"{whole // 2} bytes read"):
        get(server, path)


def test_the_server_can_respond_with_a_web_page_no_rows_or_an_old_footer(server: SampleServer) -> None:
    good = get(server, GOOD).content.splitlines()
    break_next(server, kind="html")
    assert "An error has occured" in get(server, GOOD).text
    break_next(server, kind="empty")
    assert get(server, GOOD).content.splitlines() == [good[0], good[-1]]
    break_next(server, kind="stale_footer")
    stale = get(server, GOOD).content.splitlines()
    assert stale[:-1] == good[:-1]
    assert stale[-1] == b"Month of Jan, As of 01/31/2020"


def test_the_server_can_respond_with_another_date_another_district_or_other_columns(server: SampleServer) -> None:
    good = get(server, GOOD).content.splitlines()
    break_next(server, kind="wrong_as_of")
    assert get(server, GOOD).content.splitlines() == [*good[:-1], good[-1][:-10] + b"01/31/2020"]
    break_next(server, kind="wrong_district")
    other = get(server, GOOD).content.splitlines()
    assert [other[0], other[-1]] == [good[0], good[-1]]
    assert [row.partition(b",")[0] for row in other[1:-1]] == [b'"U"'] * (len(good) - 2)
    break_next(server, kind="missing_column")
    other = get(server, GOOD).content.splitlines()
    assert other[1:] == good[1:]
    assert other[0].startswith(b'"District","New Division"')
    assert get(server, GOOD).content.splitlines() == good


@pytest.mark.parametrize("kind", ["hang", "latency"])
def test_the_server_can_be_slow_before_a_valid_response(server: SampleServer, kind: str) -> None:
    break_next(server, kind=kind, seconds=0.15)
    before = time.monotonic()
    assert get(server, GOOD).status_code == 200
    assert time.monotonic() - before >= 0.15


def test_a_fault_affects_only_matching_requests_and_can_be_permanent(server: SampleServer) -> None:
    break_next(server, kind="500", times=-1, match="/export.aspx clubperformance~01")
    assert [get(server, GOOD).status_code for _ in range(4)] == [500] * 4
    assert get(server, "/Club.aspx").status_code == 200
    assert get(server, GOOD.replace("~01~", "~02~")).status_code == 200
    assert post(server, "/__reset").json() == {"ok": True}
    assert get(server, GOOD).status_code == 200


@pytest.mark.parametrize(
    "value",
    [
        {"faults": [{"kind": "flood"}]},
        {"faults": ["429"]},
        {"faults": [{"kind": "429", "times": "many"}]},
        {},
        [],
        None,
        {"faults": [{"kind": "hang", "seconds": None}]},
    ],
)
def test_an_invalid_fault_is_refused_and_changes_nothing(server: SampleServer, value: object) -> None:
    break_next(server, kind="500", times=-1)
    answer = post(server, "/__control", value)
    assert answer.status_code == 400
    assert answer.json()["ok"] is False
    assert get(server, GOOD).status_code == 500


# The date


def test_the_date_advances_and_publishes_more_without_a_restart() -> None:
    with SampleServer(WORLD) as other:
        assert b"11/23/2026" not in get(other, "/Club.aspx?month=11").content
        assert post(other, "/__today", {"today": "2026-11-24"}).json() == {"ok": True}
        assert other.world == replace(WORLD, today=date(2026, 11, 24))
        assert b"11/23/2026" in get(other, "/Club.aspx?month=11").content
        assert [entry["path"] for entry in other.control.log()] == ["/Club.aspx"] * 2


@pytest.mark.parametrize("value", [{"today": "tomorrow"}, {"today": 20261124}, {"today": "1999-01-01"}, {}, [], None])
def test_an_invalid_date_is_refused_and_changes_nothing(server: SampleServer, value: object) -> None:
    answer = post(server, "/__today", value)
    assert (answer.status_code, answer.json()["ok"]) == (400, False)
    assert server.world == WORLD


# The log


def test_the_log_contains_each_request_and_how_it_ended(server: SampleServer) -> None:
    before = time.time()
    get(server, GOOD, headers={"User-Agent": "a test"})
    get(server, "/2026-2027/Club.aspx?month=3")
    break_next(server, kind="reset")
    with pytest.raises(requests.ConnectionError):
        get(server, GOOD)
    first, second, third = get(server, "/__log").json()
    assert first["path"] == "/export.aspx"
    assert first["report"] == "clubperformance~01~10/31/2026~11/2/2026~2026-2027"
    assert (first["status"], second["status"], third["status"]) == (200, 500, "reset")
    assert ("fault" in first, third["fault"]) == (False, "reset")
    assert (first["user_agent"], first["in_flight"]) == ("a test", 1)
    assert before <= first["time"] <= first["ended"] <= second["time"] <= time.time()
    assert second["report"] == ""


def test_the_log_counts_requests_in_flight_and_a_stop_does_not_wait_for_them() -> None:
    with SampleServer(WORLD) as other:
        break_next(other, kind="hang", seconds=60, match="clubperformance")
        thread = threading.Thread(target=get_from_a_server_that_stops, args=(other,))
        thread.start()
        wait_until(lambda: len(other.control.log()) == 1)
        get(other, "/Club.aspx")
        hanging, quick = other.control.log()
        assert "status" not in hanging
        assert "ended" not in hanging
        assert quick["in_flight"] == 2
    thread.join(DEADLINE)
    assert not thread.is_alive()


def test_consecutive_requests_never_count_as_two_in_flight(server: SampleServer) -> None:
    for _ in range(50):
        get(server, "/Club.aspx")
    assert {entry["in_flight"] for entry in server.control.log()} == {1}


def test_every_response_takes_at_least_the_latency() -> None:
    with SampleServer(WORLD, latency=0.1) as slow:
        get(slow, "/Club.aspx")
        (entry,) = slow.control.log()
    assert entry["ended"] - entry["time"] >= 0.1


def test_a_stopped_server_closes_existing_connections() -> None:
    with requests.Session() as session:
        session.trust_env = False
        with SampleServer(WORLD) as short_lived:
            assert session.get(f"{short_lived.url}/Club.aspx", timeout=DEADLINE).status_code == 200
        with pytest.raises(requests.ConnectionError):
            session.get(f"{short_lived.url}/Club.aspx", timeout=DEADLINE)


# The command


def environment() -> dict[str, str]:
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "backfill_site.settings",
        "DJANGO_DEBUG": "true",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",  # the command needs no database
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_its_address_and_stops_after_a_signal(number: signal.Signals) -> None:
    command = [
        sys.executable,
        "manage.py",
        "sample_dashboard",
        "--port",
        "0",
        "--districts",
        "3",
        "--clubs",
        "5",
        "--today",
        "2026-11-23",
        "--seed",
        "abc",
    ]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], DEADLINE)[0], "The command printed nothing in time."
            line = process.stdout.readline()
            assert line.startswith("Sample dashboard on http://127.0.0.1:"), process.communicate(timeout=DEADLINE)
            page = fetch(line.split()[-1] + "/Club.aspx").content
            process.send_signal(number)
            rest, errors = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert (process.returncode, rest, errors) == (0, "", "")
    world = SampleWorld(date(2026, 11, 23), seed="abc", districts=3, clubs=5)
    assert page == world.calendar_page(world.live_year)


def test_a_port_in_use_is_reported_in_one_line(server: SampleServer) -> None:
    with pytest.raises(CommandError, match=rf"^Port {server.port} on 127\.0\.0\.1 is in use\. Choose another --port"):
        call_command("sample_dashboard", port=server.port, stdout=StringIO())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": 70_000}, "70000 is not a port"),
        ({"districts": 1}, "3 to 200 districts"),
        ({"clubs": 0}, "1 to 400 clubs"),
        ({"latency_ms": -1}, "--latency-ms"),
        ({"today": date(2000, 1, 1)}, "begins on 2009-09-01"),
        ({"host": "192.0.2.1"}, "Cannot listen on 192.0.2.1"),
    ],
)
def test_invalid_options_are_refused_with_a_message(options: dict[str, Any], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("sample_dashboard", **({"port": 0} | options), stdout=StringIO())


def test_an_invalid_date_is_refused() -> None:
    with pytest.raises(CommandError, match="must be a date like YYYY-MM-DD"):
        call_command("sample_dashboard", "--port=0", "--today=tomorrow")
