"""Takes the pictures of the documentation from the sample dashboard: `make screenshots`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.admin_site import SECTION, AdminSite, chromium, fill_form, launch, preview, status_badge

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
WORLD = ("--districts", "40", "--clubs", "10", "--latency-ms", "60")
CLOSE_SIDEBAR = "localStorage.setItem('django.admin.navSidebarIsOpen', 'false')"


def take(page: Page, name: str) -> None:
    page.mouse.move(0, 0)
    page.evaluate("() => Promise.allSettled(document.getAnimations().map((animation) => animation.finished))")
    page.screenshot(path=PICTURES / f"{name}.png")
    print(f"{name}.png", flush=True)


def open_page(admin_site: AdminSite, **options: Any) -> Page:
    """Open a page with the sidebar of the admin closed."""
    page = admin_site.open("/admin/", **options)
    page.evaluate(CLOSE_SIDEBAR)
    page.goto(SECTION)
    return page


def run_jobs(admin_site: AdminSite) -> None:
    """Run the jobs that the pictures show."""
    admin_site.client.set_limits(maxDelayMs=200, maxConcurrent=16)
    some = [str(number) for number in range(1, 22)]
    for first, last, districts in (
        ("2022-07-01", "2024-06-30", []),
        ("2024-07-01", "2025-06-30", some),
        ("2021-06-01", "2021-06-30", []),
    ):
        if districts:
            admin_site.dashboard.play({"kind": "html", "times": -1, "match": "clubperformance~12~"})
        job = admin_site.client.start(first, last, cadence="month-ends", targetDistricts=districts)
        admin_site.client.ended(job["jobId"], within=240)
        admin_site.dashboard.forget()
    analytics = admin_site.client.start_analytics(startDate="2023-07-01", endDate="2024-06-30")
    admin_site.client.ended(analytics["jobId"], within=240)


def take_result_pages(admin_site: AdminSite) -> None:
    """Take the pictures of a district over two program years and of the world ranking."""
    for name, path, options in (
        ("district", "results/07/2024-06-30/", {}),
        ("world", "results/world/2024-06-30/", {"color_scheme": "dark"}),
    ):
        page = open_page(admin_site, **options)
        page.goto(f"{SECTION}{path}")
        expect(page.get_by_role("heading", level=1)).to_contain_text("30 Jun 2024")
        take(page, name)


def take_keep_complete(admin_site: AdminSite) -> None:
    """Take the picture of the card that keeps the history complete, when it is."""
    rules = [
        {"from": "2022-07-01", "cadence": "year-ends", "analytics": True},
        {"from": "program-year", "cadence": "month-ends"},
    ]
    body = {"enabled": True, "note": "for the annual report", "rules": rules}
    targets = "/api/admin/backfill/targets"
    response = admin_site.client.ask("PUT", targets, body, **{"If-Match": "*"})
    assert response.status_code == 200, response.text
    page = open_page(admin_site)
    expect(page.locator("#bf-keep-message")).to_contain_text("Complete to", timeout=240_000)
    page.mouse.move(0, 0)
    page.locator("#keep").screenshot(path=PICTURES / "keep.png")
    print("keep.png", flush=True)
    admin_site.client.ask("PUT", targets, {"enabled": False, "rules": []}, **{"If-Match": "*"})


def main() -> int:
    path = chromium()
    if path is None:
        print("Chromium is not installed: apt-get install chromium-headless-shell", file=sys.stderr)
        return 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = launch(playwright, path)
        with AdminSite.opened(browser, Path(folder), *WORLD) as admin_site:
            run_jobs(admin_site)
            take_result_pages(admin_site)
            take_keep_complete(admin_site)
            admin_site.client.set_limits(maxRequestsPerMinute=600, maxDelayMs=200)
            page = open_page(admin_site)
            fill_form(page, "2020-07-01", "2022-06-30")
            page.evaluate("document.querySelector('#start').scrollIntoView()")
            preview(page)
            take(page, "preview")
            admin_site.dashboard.play(
                {"kind": "html", "times": -1, "match": "clubperformance~24~"},
                {"kind": "stale_footer", "times": -1, "match": "clubperformance~38~"},
            )
            page.click("#bf-confirm")
            expect(status_badge(page)).to_have_text("Running", timeout=20_000)
            page.locator("#bf-districts > summary").click()
            expect(page.locator("#bf-sparkline")).to_be_visible(timeout=240_000)
            page.evaluate("window.scrollTo(0, 0)")
            take(page, "running")
            page.locator("#coverage").scroll_into_view_if_needed()
            page.evaluate("document.querySelector('#coverage').scrollIntoView()")
            take(page, "coverage")
            take(open_page(admin_site, color_scheme="dark"), "running-dark")
            take(open_page(admin_site, viewport={"width": 375, "height": 812}), "running-375")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
