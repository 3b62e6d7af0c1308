"""The values of the sparkline, notifications, and the way to the section."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from uuid import UUID

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.harness import eventually
from tests.browser.desk import SECTION, Desk, faults, status_badge

MONTH = ("2022-09-01", "2022-09-30")
NOTIFICATION = """
window.shown = [];
window.Notification = class {
  static permission = "granted";
  static requestPermission = async () => "granted";
  constructor(title, options) { window.shown.push(`${title}: ${options.body}`); }
};
"""


def store_minutes(desk: Desk, job: str, counts: list[int]) -> None:
    """Replace the minutes of an ended job, so that no test waits for them."""
    with closing(sqlite3.connect(desk.site.folder / "site.sqlite3", timeout=20)) as connection, connection:
        where = (UUID(job).hex,)
        (text,) = connection.execute("SELECT progress FROM backfill_backfilljob WHERE id = ?", where).fetchone()
        minutes = [[f"2026-03-14T09:{n:02d}:00+00:00", count] for n, count in enumerate(counts)]
        progress = json.dumps({**json.loads(text), "minutes": minutes})
        connection.execute("UPDATE backfill_backfilljob SET progress = ? WHERE id = ?", (progress, *where))


def test_the_items_of_each_minute_are_read_by_pointer_and_by_keys(desk: Desk) -> None:
    job = desk.client.start(*MONTH, cadence="month-ends", skipExisting=False)["jobId"]
    desk.client.ended(job)
    store_minutes(desk, job, [3, 10, 20, 30, 40, 7])  # the first and the last are incomplete
    page = desk.open(f"{SECTION}jobs/{job}/")
    chart, value = page.locator("#bf-sparkline"), page.locator("#bf-sparkline-value")
    chart.hover(position={"x": 1, "y": 20})
    expect(value).to_have_text("09:01: 10 items")
    page.mouse.move(0, 0)
    expect(value).to_have_text("")
    chart.focus()
    expect(value).to_have_text("09:04: 40 items")
    page.keyboard.press("ArrowLeft")
    expect(value).to_have_text("09:03: 30 items")
    expect(chart).to_have_attribute("aria-valuetext", "09:03: 30 items")
    assert faults(page) == []


def shown(page: Page) -> list[str]:
    notifications: list[str] = page.evaluate("() => window.shown")
    return notifications


def test_a_browser_that_asked_for_it_is_notified_when_a_job_is_held_and_when_it_ends(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On a site of its own, because the hold lasts longer than the test."""
    with Desk.opened(browser, tmp_path_factory.mktemp("held")) as desk:
        desk.client.set_limits(maxRequestsPerMinute=240)
        page = desk.open("/admin/")
        page.add_init_script(NOTIFICATION)
        job = desk.client.start("2020-07-01", "2021-06-30", cadence="month-ends")["jobId"]
        page.goto(SECTION)
        expect(status_badge(page)).to_have_text("Running", timeout=20_000)
        button = page.locator("#bf-notify")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        desk.dashboard.play({"kind": "429", "retry_after": 600})
        eventually(lambda: len(shown(page)) == 1, 20, "the hold is notified")
        assert shown(page)[0].startswith("The backfill job is held: Waiting until")
        desk.client.ask("DELETE", f"/api/admin/backfill/{job}")
        eventually(lambda: len(shown(page)) == 2, 20, "the end is notified")
        assert shown(page)[1].startswith("The backfill job has ended: ")
        assert desk.troubles == []
        page.context.close()


def test_the_bare_address_and_view_site_lead_to_the_section(desk: Desk) -> None:
    page = desk.open("/admin/")
    page.goto("/")
    expect(page).to_have_url(f"{desk.client.url}{SECTION}")
    page.get_by_role("link", name="View site").click()
    expect(page).to_have_url(f"{desk.client.url}{SECTION}")
