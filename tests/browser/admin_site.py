"""A real server with the sample dashboard, and pages in Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, Playwright, expect

from tests.acceptance.harness import Client, Dashboard, Site
from tests.shared import free_port

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
SECTION = "/admin/backfill/"


def chromium() -> str | None:
    """Return the path of Chromium, or None if it is not installed.

    The headless shell, which draws the same pages without the window of a browser around them, takes less time.
    """
    names = ("chromium-headless-shell", "chromium", "chromium-browser")
    return os.environ.get("BACKFILL_TEST_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def launch(playwright: Playwright, path: str) -> Browser:
    return playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))


@dataclass
class AdminSite:
    """A site with two users: `operator` has all permissions, `viewer` may only view.

    Each password equals the user name.
    """

    browser: Browser
    site: Site
    dashboard: Dashboard
    client: Client
    errors: list[str] = field(default_factory=list)
    """Script errors and violations of the content security policy on any page."""
    _states: dict[tuple[str, str], Any] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def opened(cls, browser: Browser, folder: Path, *world: str) -> Iterator[AdminSite]:
        dashboard = Dashboard.sample(*(world or ("--districts", "6", "--clubs", "8", "--latency-ms", "20")))
        site = Site(folder, f"sqlite:///{folder}/site.sqlite3", dashboard.url)
        try:
            site.prepare()
            port = free_port()
            client = site.serve("--bind", f"127.0.0.1:{port}")
            yield cls(browser, site, dashboard, client)
        finally:
            site.stop()
            dashboard.stop()

    def reset(self) -> None:
        """Cancel jobs, reset the dashboard and set wide limits."""
        active = self.client.get("/api/admin/backfill/jobs?status=pending,running,pausing,paused,cancelling")["jobs"]
        for job in active:
            self.client.ask("DELETE", f"/api/admin/backfill/{job['jobId']}")
            self.client.ended(job["jobId"])
        self.dashboard.forget()
        self.client.set_limits(maxDelayMs=200)

    def open(self, path: str = SECTION, *, user: str = "operator", address: str = "", **options: Any) -> Page:
        """Open a page in a new context, with the user logged in."""
        base = address or self.client.url
        options = {"viewport": {"width": 1280, "height": 900}, **options}
        context = self.browser.new_context(base_url=base, storage_state=self._states.get((base, user)), **options)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.on("pageerror", lambda error: self.errors.append(f"{page.url}: {error}"))
        page.on("console", lambda message: self._record_message(page, message.type, message.text))
        page.goto(path)
        if "/login/" in page.url:
            page.fill("#id_username", user)
            page.fill("#id_password", user)
            page.click("[type=submit]")
            page.wait_for_url(f"**{path}")
            self._states[base, user] = context.storage_state()
        return page

    def _record_message(self, page: Page, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and "status of 4" not in text and "ERR_CONNECTION" not in text:
            self.errors.append(f"{page.url}: {text}")


def status_badge(page: Page) -> Locator:
    return page.locator("#bf-job-status .bf-status-badge").first


def fill_form(page: Page, first: str, last: str, cadence: str = "month-ends") -> None:
    page.fill("#bf-from", first)
    page.fill("#bf-to", last)
    page.check(f"#bf-start-form [name=cadence][value={cadence}]", force=True)


def preview(page: Page) -> Locator:
    """Submit the form and return the dialog with the plan."""
    page.click("#bf-preview-button")
    dialog = page.locator("#bf-dialog")
    expect(dialog).to_be_visible(timeout=30_000)
    expect(page.locator("#bf-calendar-abort")).to_have_count(0, timeout=60_000)
    return dialog


def axe_violations(page: Page) -> list[str]:
    """Return the violations result by axe."""
    page.evaluate("() => Promise.allSettled(document.getAnimations().map((animation) => animation.finished))")
    page.evaluate(AXE.read_text())
    result: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['html'][:160]}" for violation in result["violations"] for node in violation["nodes"]
    ]


def has_horizontal_overflow(page: Page) -> bool:
    wider: bool = page.evaluate("() => document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return wider
