"""The admin under a path of its host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.harness import Dashboard, Site
from tests.browser.admin_site import SECTION, AdminSite, fill_form, preview, status_badge

PREFIX = "/backfill"


@pytest.fixture
def below(browser: Browser, tmp_path: Path) -> Iterator[AdminSite]:
    dashboard = Dashboard.sample("--districts", "4", "--clubs", "6", "--latency-ms", "20")
    site = Site(tmp_path, f"sqlite:///{tmp_path}/site.sqlite3", dashboard.url, {"SCRIPT_NAME": PREFIX})
    try:
        site.prepare()
        yield AdminSite(browser, site, dashboard, site.serve())
    finally:
        site.stop()
        dashboard.stop()


def test_a_job_is_started_and_watched_under_a_path_of_the_host(below: AdminSite) -> None:
    below.client.set_limits()
    page = below.open(f"{PREFIX}{SECTION}")
    paths: set[str] = set()
    page.on("request", lambda request: paths.add(urlsplit(request.url).path))
    failures: list[str] = []
    page.on("response", lambda answer: failures.append(answer.url) if answer.status >= 400 else None)
    page.reload()
    fill_form(page, "2024-01-01", "2024-03-31")
    expect(page.locator("#bf-curl")).to_contain_text(f"{below.client.url}{PREFIX}/api/admin/backfill")
    preview(page).get_by_role("button", name="Start backfill").click()
    expect(page.locator("#bf-history tbody tr").first).to_contain_text("Completed", timeout=60_000)
    page.locator("#bf-history tbody a").first.click()
    page.wait_for_url(f"**{PREFIX}{SECTION}jobs/**")
    expect(status_badge(page)).to_have_text("Completed")
    page.goto(f"{PREFIX}{SECTION}coverage/")
    page.goto(f"{PREFIX}/api/docs")
    expect(page.locator(".opblock").first).to_be_visible(timeout=30_000)
    assert {path for path in paths if not path.startswith(f"{PREFIX}/")} == set()
    assert failures == []
    assert below.errors == []
