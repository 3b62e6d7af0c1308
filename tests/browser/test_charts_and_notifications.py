"""The values of the sparkline, notifications, and the way to the section."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from uuid import UUID

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.harness import eventually
from tests.browser.admin_site import SECTION, AdminSite, axe_violations, status_badge

MONTH = ("2022-09-01", "2022-09-30")
NOTIFICATION = """
window.shown = [];
window.Notification = class {
  static permission = "granted";
  static requestPermission = async () => "granted";
  constructor(title, options) { window.shown.push(`${title}: ${options.body}`); }
};
"""


def store_minutes(admin_site: AdminSite, job: str, counts: list[int]) -> None:
    """Replace the minutes of an ended job, so that no test waits for them."""
    with closing(sqlite3.connect(admin_site.site.folder / "site.sqlite3", timeout=20)) as connection, connection:
        where = (UUID(job).hex,)
        (text,) = connection.execute("SELECT progress FROM backfill_backfilljob WHERE id = ?", where).fetchone()
        minutes = [[f"2026-03-14T09:{n:02d}:00+00:00", count] for n, count in enumerate(counts)]
        progress = json.dumps({**json.loads(text), "minutes": minutes})
        connection.execute("UPDATE backfill_backfilljob SET progress = ? WHERE id = ?", (progress, *where))


def test_the_items_of_each_minute_can_be_read_by_pointer_and_keyboard(admin_site: AdminSite) -> None:
    job = admin_site.client.start(*MONTH, cadence="month-ends", skipExisting=False)["jobId"]
    admin_site.client.ended(job)
    store_minutes(admin_site, job, [3, 10, 20, 30, 40, 7])  # the first and the last are incomplete
    page = admin_site.open(f"{SECTION}jobs/{job}/")
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
    assert axe_violations(page) == []


def shown(page: Page) -> list[str]:
    notifications: list[str] = page.evaluate("() => window.shown")
    return notifications


def test_the_browser_notifies_when_a_job_is_held_and_when_it_ends(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On a site of its own, because the hold lasts longer than the test."""
    with AdminSite.opened(browser, tmp_path_factory.mktemp("held")) as admin_site:
        admin_site.client.set_limits(maxRequestsPerMinute=240)
        page = admin_site.open("/admin/")
        page.add_init_script(NOTIFICATION)
        job = admin_site.client.start("2020-07-01", "2021-06-30", cadence="month-ends")["jobId"]
        page.goto(SECTION)
        expect(status_badge(page)).to_have_text("Running", timeout=20_000)
        button = page.locator("#bf-notify")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        admin_site.dashboard.play({"kind": "429", "retry_after": 600})
        eventually(lambda: len(shown(page)) == 1, 20, "the hold is notified")
        assert shown(page)[0].startswith("The backfill job is held: Waiting until")
        admin_site.client.ask("DELETE", f"/api/admin/backfill/{job}")
        eventually(lambda: len(shown(page)) == 2, 20, "the end is notified")
        assert shown(page)[1].startswith("The backfill job has ended: ")
        assert admin_site.errors == []
        page.context.close()


def test_the_root_address_and_view_site_lead_to_the_section(admin_site: AdminSite) -> None:
    page = admin_site.open("/admin/")
    page.goto("/")
    expect(page).to_have_url(f"{admin_site.client.url}{SECTION}")
    page.get_by_role("link", name="View site").click()
    expect(page).to_have_url(f"{admin_site.client.url}{SECTION}")
