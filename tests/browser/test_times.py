"""Times: seconds where they matter, a tooltip with all zones, and a zone that the browser keeps."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from playwright.sync_api import expect

from tests.browser.admin_site import SECTION, AdminSite, axe_violations, status_badge


def test_times_have_a_tooltip_and_follow_the_chosen_zone(admin_site: AdminSite) -> None:
    admin_site.dashboard.play({"kind": "html", "times": -1, "match": "clubperformance~03~"})
    job = admin_site.client.start("2022-09-01", "2022-09-30", cadence="month-ends", skipExisting=False)["jobId"]
    admin_site.client.ended(job)
    page = admin_site.open(f"{SECTION}jobs/{job}/", timezone_id="America/St_Johns")
    seconds = re.compile(r"^Today, \d\d:\d\d:\d\d$")
    settled = page.locator("#items tbody tr").first.locator("time")
    expect(settled).to_have_text(seconds)
    expect(page.locator("#audit-log tbody time").first).to_have_text(seconds)
    expect(page.locator("#bf-cause-HTML_PAGE time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))

    tip = page.locator("#bf-time-tip")
    settled.hover()
    expect(tip).to_contain_text(re.compile(r"\d\d:\d\d:\d\d UTC"))
    expect(tip).to_contain_text("local time (America/St_Johns)")
    expect(tip).to_contain_text("ago")
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    settled.focus()
    expect(tip).to_be_visible()
    expect(settled).to_have_accessible_description(re.compile("UTC.*St_Johns.*ago"))
    assert axe_violations(page) == []

    moment = datetime.fromisoformat(settled.get_attribute("datetime") or "")
    page.select_option("#bf-zone", "local")
    expect(settled).to_contain_text(f"{moment.astimezone(ZoneInfo('America/St_Johns')):%H:%M:%S}")

    admin_site.dashboard.forget()
    admin_site.client.set_limits(maxRequestsPerMinute=240)
    running = admin_site.client.start("2020-07-01", "2021-06-30", cadence="month-ends", skipExisting=False)
    page.goto(SECTION)
    expect(status_badge(page)).to_have_text("Running", timeout=20_000)
    started = page.locator(".bf-job-summary time")
    begun = datetime.fromisoformat(started.get_attribute("datetime") or "")
    counts = page.locator(".bf-progress-figures").inner_text()
    expect(page.locator(".bf-progress-figures")).not_to_have_text(counts)
    expect(started).to_have_text(f"at {begun.astimezone(ZoneInfo('America/St_Johns')):%H:%M}")
    admin_site.client.ask("DELETE", f"/api/admin/backfill/{running['jobId']}")
    expect(page.locator("#bf-history tbody tr").first).to_contain_text("Cancelled at", timeout=20_000)
    row = page.locator("#bf-history tbody tr").first.locator("time")
    expect(row).to_contain_text(f"{begun.astimezone(ZoneInfo('America/St_Johns')):%H:%M}")
