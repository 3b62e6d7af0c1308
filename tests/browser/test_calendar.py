"""Reading the dashboard's calendar: the progress of a preview, aborting it, and unknown months of the coverage."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.admin_site import AdminSite, axe_violations, fill_form

PROGRESS = re.compile(r"^Reading the dashboard's calendar: \d+ of 12 pages, about \d+ s left$")


@pytest.fixture(scope="module")
def new_site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminSite]:
    """A site that knows nothing of the calendar."""
    with AdminSite.opened(browser, tmp_path_factory.mktemp("calendar")) as site:
        yield site
        # htmx reports a request that is aborted on purpose in the console.
        assert [text for text in site.errors if not re.search("htmx:(sendAbort|afterRequest)", text)] == []


def pages_requested(site: AdminSite) -> int:
    return sum("Club.aspx" in request["path"] for request in site.dashboard.log())


def test_a_preview_shows_the_pages_that_are_read_and_stops_when_it_is_aborted(new_site: AdminSite) -> None:
    """R11.4"""
    site = new_site
    site.client.set_limits(maxRequestsPerMinute=60, minDelayMs=0)
    page = site.open()
    fill_form(page, "2020-07-01", "2021-06-30")
    page.click("#bf-preview-button")
    progress = page.locator("#bf-calendar-progress")
    expect(progress).to_have_text(PROGRESS)
    bar = page.get_by_role("progressbar", name="Calendar pages")
    expect(bar).to_have_attribute("aria-valuenow", re.compile("^[1-9]"))
    assert axe_violations(page) == []
    page.locator("#bf-calendar-abort").focus()
    first = progress.inner_text()
    expect(progress).not_to_have_text(first)
    expect(page.locator("#bf-calendar-abort")).to_be_focused()  # updates keep the focus
    page.keyboard.press("Enter")
    expect(page.locator("#bf-dialog")).to_be_hidden()
    expect(page.locator("#bf-preview-button")).to_be_focused()
    page.wait_for_timeout(4500)
    stopped = pages_requested(site)
    page.wait_for_timeout(2500)
    assert pages_requested(site) == stopped
    assert 2 <= stopped < 12

    site.client.set_limits()
    page.click("#bf-preview-button")
    expect(page.locator("#bf-confirm")).to_be_visible(timeout=15_000)
    expect(page.locator(".bf-plan-figures")).to_contain_text("72")
    page.keyboard.press("Escape")
    expect(page.locator("#bf-dialog")).to_be_hidden()


def test_unknown_months_are_hatched_on_the_map_and_their_calendar_is_read_on_request(new_site: AdminSite) -> None:
    """R9.1"""
    site = new_site
    site.client.set_limits(maxRequestsPerMinute=300, minDelayMs=0)
    page = site.open()
    unknown = page.locator("#bf-unknown")
    expect(unknown).to_contain_text(re.compile(r"\d+ months are unknown"))
    page.locator("#bf-map").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Home")
    expect(page.locator("#bf-map-live-region")).to_contain_text("unknown; its calendar is not read yet")
    expect(page.locator("#bf-gaps")).not_to_contain_text("2008")
    page.click("#bf-read-calendar")
    expect(page.locator("#bf-calendar-progress")).to_contain_text("Reading the dashboard's calendar")
    page.locator("#bf-calendar-abort").click()
    expect(page.locator("#bf-dialog")).to_be_hidden()
    expect(unknown).to_be_visible()
    site.client.set_limits()
    page.click("#bf-read-calendar")
    expect(unknown).to_be_hidden(timeout=60_000)
    expect(page.locator("#bf-dialog")).to_be_hidden()
    expect(page.locator("#bf-toast")).to_contain_text("every month is known")
    page.locator("#bf-map").focus()
    page.keyboard.press("Home")
    expect(page.locator("#bf-map-live-region")).not_to_contain_text("unknown")
