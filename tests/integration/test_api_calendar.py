"""Previews and starts that read the dashboard's calendar: time limits, progress, permission; and unknown months."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backfill.api import calendar_access
from backfill.api.calendar_access import disconnect_check
from tests.integration.calendar_site import YEAR, CalendarSite, calendar_site
from tests.integration.checked_client import CheckedClient

START = "/api/admin/backfill"
PREVIEW = f"{START}/preview"
CALENDAR = f"{START}/coverage/calendar?from=2012-07-01&to=2013-06-30"

ClientFor = Callable[..., CheckedClient]


@pytest.fixture
def site(api: CheckedClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[CalendarSite]:
    with calendar_site(monkeypatch) as site:
        yield site


@pytest.fixture
def slow(site: CalendarSite, monkeypatch: pytest.MonkeyPatch) -> CalendarSite:
    """Requests wait for a fifth of a second."""
    monkeypatch.setattr(calendar_access, "ASYNC_WAIT", 0.2)
    monkeypatch.setattr(calendar_access, "LONGEST_WAIT", 0.2)
    return site


def post(client: CheckedClient, path: str, body: Any = None, prefer: str = "") -> Any:
    headers = {"Prefer": prefer} if prefer else {}
    return client.post(path, body, format="json", headers=headers)


@pytest.mark.parametrize("prefer", ["respond-async", "return=minimal, Respond-Async; x=1, wait=10"])
def test_a_preview_that_is_to_respond_early_returns_the_progress_and_continues_when_repeated(
    slow: CalendarSite, api: CheckedClient, prefer: str
) -> None:
    """R11.2"""
    first = post(api, PREVIEW, YEAR, prefer)
    assert (first.status_code, first["Preference-Applied"], first["Retry-After"]) == (202, "respond-async", "1")
    assert "Prefer" in first["Vary"]
    calendar = first.json()["calendar"]
    assert calendar["needed"] == 12
    assert 0 < calendar["stored"] < 12
    answers = [first]
    while answers[-1].status_code == 202:
        answers.append(post(api, PREVIEW, YEAR, prefer))
    assert answers[-1].status_code == 200
    assert answers[-1].json()["preview"]["itemBreakdown"]["dates"][-1] == "2013-06-30"
    assert len(slow.dashboard.page_requests) == 12


@pytest.mark.parametrize("path", [PREVIEW, START])
def test_without_the_preference_an_incomplete_calendar_is_a_retryable_error_and_nothing_is_created(
    slow: CalendarSite, api: CheckedClient, path: str
) -> None:
    """R11.2"""
    response = post(api, path, YEAR)
    assert (response.status_code, response["Retry-After"]) == (503, "1")
    error = response.json()["error"]
    assert (error["code"], error["retryable"]) == ("CALENDAR_INCOMPLETE", True)
    assert error["details"]["needed"] == 12
    assert 0 < error["details"]["stored"] < 12
    assert api.get(f"{START}/jobs").json()["total"] == 0
    while (response := post(api, path, YEAR)).status_code == 503:
        pass
    assert response.status_code in {200, 201}
    assert len(slow.dashboard.page_requests) == 12


def test_a_start_ignores_the_preference_so_that_202_never_means_a_job(slow: CalendarSite, api: CheckedClient) -> None:
    assert post(api, START, YEAR, "respond-async").status_code == 503


def test_a_complete_calendar_answers_at_once_in_spite_of_the_preference(site: CalendarSite, api: CheckedClient) -> None:
    assert post(api, PREVIEW, YEAR).status_code == 200
    assert post(api, PREVIEW, YEAR, "respond-async").status_code == 200


def test_a_user_who_may_only_view_reads_no_dashboard_and_previews_what_is_stored(
    site: CalendarSite, api: CheckedClient, client_for: ClientFor
) -> None:
    """R9.1"""
    viewer = client_for("view_backfilljob")
    response = post(viewer, PREVIEW, YEAR, "respond-async")
    assert response.status_code == 403
    error = response.json()["error"]
    assert error["code"] == "PERMISSION_DENIED"
    assert "backfill.add_backfilljob" in error["message"]
    assert site.dashboard.page_requests == []
    assert post(api, PREVIEW, YEAR).status_code == 200
    assert post(viewer, PREVIEW, YEAR).status_code == 200
    assert (
        post(client_for("view_backfilljob", "add_backfilljob"), PREVIEW, {**YEAR, "endDate": "2013-07-31"}).status_code
        == 200
    )


def test_more_previews_than_may_wait_are_answered_at_once(api: CheckedClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with calendar_site(monkeypatch, max_waiting=0) as site:
        response = post(api, PREVIEW, YEAR)
        assert response.status_code == 503
        assert "Other requests already wait" in response.json()["error"]["message"]
        assert post(api, PREVIEW, YEAR, "respond-async").status_code == 202
        assert site.rests()


# Coverage.


def test_unknown_months_are_named_and_their_calendar_is_read_on_request(slow: CalendarSite, api: CheckedClient) -> None:
    """R9.1"""
    path = f"{START}/coverage?from=2012-07-01&to=2013-06-30&resolution=month"
    before = api.get(path).json()["coverage"]
    assert (len(before["unknownMonths"]), before["gaps"]) == (12, [])
    first = post(api, CALENDAR, prefer="respond-async")
    assert first.status_code == 202
    seen = [first.json()["calendar"]["stored"]]
    while (response := post(api, CALENDAR, prefer="respond-async")).status_code == 202:
        seen.append(response.json()["calendar"]["stored"])
    assert seen == sorted(seen)
    assert response.json()["calendar"] == {"needed": 12, "stored": 12, "estimatedSecondsLeft": 0}
    after = api.get(path).json()["coverage"]
    assert after["unknownMonths"] == []
    assert after["gaps"][0]["months"] == 12
    days = api.get(f"{START}/coverage?from=2012-07-01&to=2012-07-31").json()["coverage"]["dates"]
    assert days[30]["districts"]["01"] == "none"
    assert days[0]["districts"]["01"] == "unknown"  # it may belong to June, which has not been read


def test_reading_the_calendar_needs_the_permission_to_start_jobs(site: CalendarSite, client_for: ClientFor) -> None:
    assert post(client_for("view_backfilljob"), CALENDAR).status_code == 403
    assert site.dashboard.page_requests == []


def test_a_range_of_the_calendar_that_is_wrong_is_refused(site: CalendarSite, api: CheckedClient) -> None:
    response = post(api, f"{START}/coverage/calendar?from=2013-07-01&to=2012-07-01")
    assert response.status_code == 400
    assert post(api, CALENDAR, {"from": "2012-07-01"}).status_code == 400


# Clients that disconnect.


def test_a_closed_connection_of_gunicorn_counts_as_disconnected() -> None:
    server, client = socket.socketpair()
    with server, client:
        is_disconnected = disconnect_check({"gunicorn.socket": server})
        assert not is_disconnected()
        client.sendall(b"GET / HTTP/1.1")  # the next request on the connection
        assert not is_disconnected()
        server.recv(100)
        client.close()
        assert is_disconnected()
    assert not disconnect_check({})()
