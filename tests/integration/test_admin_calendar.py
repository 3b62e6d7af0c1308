"""The admin while the dashboard's calendar is read: the dialog with the progress, and unknown months."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import pytest
from django.test import Client

from adminui import calendar_reading
from tests.integration.admin_pages import OperatorFor, is_free_of_inline_code
from tests.integration.calendar_site import YEAR, CalendarSite, calendar_site

PREVIEW, START = "/admin/backfill/preview/", "/admin/backfill/start/"
READ = "/admin/backfill/coverage/calendar/"
HTMX = {"HX-Request": "true"}
FORM = {
    "job_type": YEAR["jobType"],
    "start_date": YEAR["startDate"],
    "end_date": YEAR["endDate"],
    "cadence": YEAR["cadence"],
    "skip_existing": "on",
    "district": ["01", "02"],
}


@pytest.fixture
def site(db: None, operator_for: OperatorFor, monkeypatch: pytest.MonkeyPatch) -> Iterator[CalendarSite]:
    monkeypatch.setattr(calendar_reading, "_POLL_WAIT", 0.2)
    monkeypatch.setattr(calendar_reading, "LONGEST_WAIT", 0.4)
    with calendar_site(monkeypatch) as site:
        yield site


@pytest.fixture
def starter(operator_for: OperatorFor) -> Client:
    return operator_for("view_backfilljob", "add_backfilljob")


def progress_of(html: str) -> tuple[int, int]:
    found = re.search(r"Reading the dashboard's calendar: (\d+) of (\d+) pages, about [\w ]+ left", unescape(html))
    assert found is not None, html
    return int(found[1]), int(found[2])


def test_a_preview_shows_the_progress_and_repeats_the_form_until_the_plan_is_there(
    site: CalendarSite, starter: Client
) -> None:
    """R11.4"""
    answer = starter.post(PREVIEW, FORM, headers=HTMX)
    assert (answer.status_code, answer["HX-Retarget"], answer["HX-Reswap"]) == (202, "#bf-dialog", "morph:innerHTML")
    html = answer.content.decode()
    stored, needed = progress_of(html)
    assert needed == 12
    assert 0 < stored < 12
    assert 'role="progressbar"' in html
    assert "data-close" in html
    repeated = [(name, value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html)]
    fields = {name: [value for key, value in repeated if key == name] for name, _ in repeated}
    assert fields.pop("csrfmiddlewaretoken", None) is not None
    assert fields == {name: value if isinstance(value, list) else [value] for name, value in FORM.items()}
    while (answer := starter.post(PREVIEW, fields, headers=HTMX)).status_code == 202:
        assert progress_of(answer.content.decode()) > (stored, 0)
    assert answer.status_code == 200
    assert "Starts exactly this plan" in answer.content.decode()
    assert len(site.dashboard.page_requests) == 12


def test_without_scripts_the_progress_is_a_page_with_a_button_that_continues(
    site: CalendarSite, starter: Client
) -> None:
    answer = starter.post(PREVIEW, FORM)
    assert answer.status_code == 202
    html = answer.content.decode()
    progress_of(html)
    assert "Continue reading" in html
    assert is_free_of_inline_code(answer)


def test_a_start_whose_calendar_is_read_first_creates_the_job_once_it_is_complete(
    site: CalendarSite, starter: Client
) -> None:
    assert starter.post(START, FORM, headers=HTMX).status_code == 202
    assert site.service.active() is None
    while (answer := starter.post(START, FORM, headers=HTMX)).status_code == 202:
        pass
    assert answer.status_code == 204
    assert site.service.active() is not None


def test_the_calendar_of_unknown_months_is_read_with_progress(
    site: CalendarSite, starter: Client, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R8.1"""
    monkeypatch.setattr("adminui.views.coverage.FIRST_DAY", site.service.now().date().replace(day=1, month=1))
    page = starter.get("/admin/backfill/coverage/").content.decode()
    assert "months are unknown" in page
    assert "Read the calendar" in page
    assert "Read the calendar" not in operator.get("/admin/backfill/coverage/").content.decode()
    assert operator.post(READ, headers=HTMX).status_code == 403
    answers = [starter.post(READ, {"view": "table"}, headers=HTMX)]
    while answers[-1].status_code == 202:
        answers.append(starter.post(READ, {"view": "table"}, headers=HTMX))
    assert progress_of(answers[0].content.decode())
    assert (answers[-1].status_code, answers[-1]["HX-Redirect"]) == (204, "/admin/backfill/coverage/")
    assert "are unknown" not in starter.get("/admin/backfill/coverage/").content.decode()


def test_an_address_of_the_coverage_that_a_sign_in_returns_to_leads_to_the_coverage(starter: Client) -> None:
    answer = starter.get(READ)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/backfill/coverage/")
