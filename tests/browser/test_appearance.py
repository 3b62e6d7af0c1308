"""Light and dark, wide and 375 px: nothing for axe to find, nothing beyond the window's edge."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.admin_site import SECTION, Desk, faults, fill_form, is_wider_than_the_window, preview, status_badge

WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 375, "height": 800}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "375px"])
def test_axe_finds_nothing_and_nothing_passes_the_edge(desk: Desk, scheme: str, viewport: dict[str, int]) -> None:
    page = desk.open(color_scheme=scheme, viewport=viewport)
    expect(page.locator("#bf-start-form")).to_be_visible()
    assert faults(page) == []
    assert not is_wider_than_the_window(page)
    fill_form(page, "2023-07-01", "2023-08-31")
    preview(page)
    assert faults(page) == []
    page.keyboard.press("Escape")

    desk.dashboard.play({"kind": "html", "times": -1, "match": "clubperformance~03~"})
    desk.client.set_limits(maxRequestsPerMinute=400, maxDelayMs=200)
    job = desk.client.start("2023-07-01", "2023-12-31", cadence="month-ends", skipExisting=False)
    page.goto(SECTION)
    expect(status_badge(page)).to_contain_text("Running", timeout=20_000)
    page.locator("#bf-districts > summary").click()
    page.locator("#bf-districts-all").click()
    expect(page.locator("#bf-cause-HTML_PAGE")).to_be_visible(timeout=30_000)
    assert faults(page) == []
    assert not is_wider_than_the_window(page)
    page.locator("#bf-cancel").click()
    expect(page.locator("#bf-dialog")).to_be_visible()
    assert faults(page) == []
    page.locator("#bf-confirm-cancel").click()
    desk.client.ended(job["jobId"])
    page.goto(SECTION)
    expect(page.locator("#bf-history tbody tr").first).to_contain_text("Broken report")
    assert not is_wider_than_the_window(page)

    page.goto(f"{SECTION}jobs/{job['jobId']}/")
    expect(page.locator("#items tbody tr").first).to_be_visible()
    assert faults(page) == []
    assert not is_wider_than_the_window(page)


def test_what_a_job_waits_for_stays_within_the_window_however_long_its_words_are(desk: Desk) -> None:
    desk.dashboard.play({"kind": "truncate", "match": "~", "times": -1})
    desk.client.set_limits(maxRequestsPerMinute=400, maxDelayMs=2000)
    desk.client.start("2023-07-01", "2023-12-31", cadence="month-ends", skipExisting=False)
    page = desk.open(viewport=NARROW)
    expect(page.locator("#bf-status-message")).to_contain_text("clubperformance", timeout=20_000)
    assert not is_wider_than_the_window(page)
