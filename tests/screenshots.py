"""The pictures of the README, taken from the sample world: `make screenshots`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.admin_site import SECTION, Desk, chromium, fill_form, launched, preview, status_badge

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
WORLD = ("--districts", "40", "--clubs", "10", "--latency-ms", "60")
CLOSED = "localStorage.setItem('django.admin.navSidebarIsOpen', 'false')"


def take(page: Page, name: str) -> None:
    page.mouse.move(0, 0)
    page.evaluate("() => Promise.allSettled(document.getAnimations().map((animation) => animation.finished))")
    page.screenshot(path=PICTURES / f"{name}.png")
    print(f"{name}.png", flush=True)


def opened(desk: Desk, **options: Any) -> Page:
    """With the sidebar of the admin closed."""
    page = desk.open("/admin/", **options)
    page.evaluate(CLOSED)
    page.goto(SECTION)
    return page


def history(desk: Desk) -> None:
    """Some jobs that have ended, and what they stored."""
    desk.client.set_limits(maxDelayMs=200, maxConcurrent=16)
    some = [str(number) for number in range(1, 22)]
    for first, last, districts in (
        ("2022-07-01", "2024-06-30", []),
        ("2024-07-01", "2025-06-30", some),
        ("2021-06-01", "2021-06-30", []),
    ):
        if districts:
            desk.dashboard.play({"kind": "html", "times": -1, "match": "clubperformance~12~"})
        job = desk.client.start(first, last, cadence="month-ends", targetDistricts=districts)
        desk.client.ended(job["jobId"], within=240)
        desk.dashboard.forget()
    analytics = desk.client.start_analytics(startDate="2023-07-01", endDate="2024-06-30")
    desk.client.ended(analytics["jobId"], within=240)


def results(desk: Desk) -> None:
    """A district over two program years, and the ranking of the world."""
    for name, path, options in (
        ("district", "results/07/2024-06-30/", {}),
        ("world", "results/world/2024-06-30/", {"color_scheme": "dark"}),
    ):
        page = opened(desk, **options)
        page.goto(f"{SECTION}{path}")
        expect(page.get_by_role("heading", level=1)).to_contain_text("30 Jun 2024")
        take(page, name)


def main() -> int:
    path = chromium()
    if path is None:
        print("Chromium is not here: apt-get install chromium", file=sys.stderr)
        return 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = launched(playwright, path)
        with Desk.opened(browser, Path(folder), *WORLD) as desk:
            history(desk)
            results(desk)
            page = opened(desk)
            fill_form(page, "2020-07-01", "2022-06-30")
            desk.client.set_limits(maxRequestsPerMinute=600, maxDelayMs=200)
            page.evaluate("document.querySelector('#start').scrollIntoView()")
            preview(page)
            take(page, "preview")
            desk.dashboard.play(
                {"kind": "html", "times": -1, "match": "clubperformance~24~"},
                {"kind": "stale_footer", "times": -1, "match": "clubperformance~38~"},
            )
            page.click("#bf-confirm")
            expect(status_badge(page)).to_have_text("Running", timeout=20_000)
            page.locator("#bf-districts > summary").click()
            expect(page.locator(".bf-sparkline")).to_be_visible(timeout=240_000)
            take(page, "running")
            page.locator("#coverage").scroll_into_view_if_needed()
            page.evaluate("document.querySelector('#coverage').scrollIntoView()")
            take(page, "coverage")
            take(opened(desk, color_scheme="dark"), "running-dark")
            take(opened(desk, viewport={"width": 375, "height": 812}), "running-375")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
