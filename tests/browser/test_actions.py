"""Actions that operators expect: bound limits, notes, running again, retries by cause, and finding a job."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.admin_site import (
    SECTION,
    AdminSite,
    axe_violations,
    fill_form,
    has_horizontal_overflow,
    preview,
    status_badge,
)

RATE = "#bf-limit-max_requests_per_minute"


def test_a_start_keeps_to_the_limits_of_its_preview_or_says_the_difference(admin_site: AdminSite) -> None:
    """R11.4, R12.2, R12.3"""
    admin_site.client.set_limits(maxRequestsPerMinute=1200)
    page = admin_site.open()
    fill_form(page, "2022-03-01", "2022-03-31")
    dialog = preview(page)
    admin_site.client.set_limits(maxRequestsPerMinute=600)  # another operator
    dialog.get_by_role("button", name="Start backfill").click()
    expect(dialog.locator(".bf-changes")).to_contain_text("1,200 requests per minute when previewed, 600 now")
    assert axe_violations(page) == []
    dialog.get_by_role("button", name="Back to the form").click()

    page.fill(RATE, "2400")
    expect(page.locator(".bf-unsaved")).to_contain_text("apply only to a job that you start here")
    dialog = preview(page)
    expect(dialog).to_contain_text("2,400 requests a minute")
    expect(dialog).to_contain_text("Not saved: they apply to this job only.")
    dialog.get_by_role("button", name="Start backfill").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("#bf-toast")).to_contain_text("Job created")
    limits = [
        admin_site.client.get("/api/admin/backfill/jobs?limit=1")["jobs"][0]["config"]["rateLimits"],
        admin_site.client.get("/api/admin/backfill/config/rate-limit")["config"],
    ]
    assert [each["maxRequestsPerMinute"] for each in limits] == [2400, 600]


def test_notes_are_given_with_actions_and_later_and_a_job_is_run_again(admin_site: AdminSite) -> None:
    admin_site.client.set_limits(maxRequestsPerMinute=240)
    page = admin_site.open()
    fill_form(page, "2020-07-01", "2021-06-30")
    page.uncheck("[name=skip_existing]")
    dialog = preview(page)
    dialog.get_by_label("Note").fill("The close of 2021")
    dialog.get_by_role("button", name="Start backfill").click()
    expect(page.locator("#bf-notes")).to_contain_text("The close of 2021")
    page.locator("#bf-pause-note").click()
    dialog.get_by_label("Note").fill("The dashboard is slow")
    dialog.get_by_role("button", name="Pause").click()
    expect(dialog).to_be_hidden()
    expect(status_badge(page)).to_have_text("Paused", timeout=25_000)
    page.locator("#bf-add-note").click()
    dialog.get_by_role("button", name="Add the note").click()
    expect(dialog).to_contain_text("Enter a note.")
    expect(dialog.get_by_label("Note")).to_be_focused()
    assert axe_violations(page) == []
    dialog.get_by_label("Note").fill("Ask <Ann> & Bob")
    dialog.get_by_role("button", name="Add the note").click()
    expect(page.locator("#bf-notes")).to_contain_text("Ask <Ann> & Bob")
    expect(page.locator("#bf-add-note")).to_be_focused()
    page.locator("#bf-older-notes summary").click()
    expect(page.locator("#bf-older-notes")).to_contain_text("The close of 2021")
    page.locator("#bf-cancel").click()
    dialog.get_by_label("Note").fill("Wrong year")
    dialog.get_by_role("button", name="Cancel job").click()
    row = page.locator("#bf-history tbody tr").first
    expect(row).to_contain_text("Wrong year")

    row.get_by_role("link", name="Run again").click()
    expect(page.locator("#bf-copied")).to_contain_text("The settings of job")
    expect(page.locator("#bf-from")).to_have_value("2020-07-01")
    expect(page.locator("#bf-to")).to_have_value("2021-06-30")
    expect(page.locator("[name=cadence][value=month-ends]")).to_be_checked()
    expect(page.locator("[name=skip_existing]")).not_to_be_checked()
    expect(page.locator("#bf-start")).to_be_in_viewport()
    page.locator("#bf-history tbody tr").first.get_by_role("link").first.click()
    for text in ("The close of 2021", "The dashboard is slow", "Ask <Ann> & Bob", "Wrong year"):
        expect(page.locator("#audit-log")).to_contain_text(f"Note: {text}")
    assert axe_violations(page) == []
    page.set_viewport_size({"width": 375, "height": 800})
    assert not has_horizontal_overflow(page)
    page.goto(f"{SECTION}?status=cancelled")
    assert axe_violations(page) == []
    assert not has_horizontal_overflow(page)


def test_a_retried_cause_is_counted_off_and_the_rest_is_downloaded(admin_site: AdminSite, tmp_path: Path) -> None:
    """R5.4"""
    admin_site.dashboard.play(
        {"kind": "html", "times": -1, "match": "clubperformance~03~"},
        {"kind": "missing_column", "times": -1, "match": "clubperformance~02~"},
    )
    job = admin_site.client.start("2022-01-01", "2022-02-28", cadence="month-ends", skipExisting=False)
    ended = admin_site.client.ended(job["jobId"])
    assert ended["progress"]["failedItems"] == 4, ended["progress"]
    admin_site.dashboard.forget()
    page = admin_site.open()
    expect(status_badge(page)).to_have_text("Completed, 4 failed")
    page.locator("#bf-cause-HTML_PAGE").get_by_role("button", name="Retry this group").click()
    expect(page.locator("#bf-job-status")).to_contain_text("Last job:", timeout=20_000)
    expect(page.locator("#bf-job-status")).to_contain_text("2 items of the first job are still failed.")
    rows = page.locator("#bf-history tbody tr")
    expect(rows.nth(1)).to_contain_text("Completed, 2 failed")
    expect(rows.nth(1)).to_contain_text("Retried by job")
    page.locator(".bf-left-of-retried a").click()
    expect(page.locator("#bf-failures-title")).to_have_text("2 of 4 failed items are still failed")
    expect(page.locator(".bf-retries")).to_contain_text("retried 2 items")
    expect(page.locator("#bf-cause-HTML_PAGE")).to_have_count(0)
    assert axe_violations(page) == []
    page.get_by_role("link", name="List failed items").click()
    expect(page.locator("#bf-code")).to_have_value("MISSING_COLUMN")
    expect(page.locator("#items tbody tr")).to_have_count(2)
    page.fill("#items [name=district]", "2")
    page.locator("#items").get_by_role("button", name="Filter").click()
    with page.expect_download() as download:
        page.locator("#bf-items-csv").click()
    download.value.save_as(tmp_path / "items.csv")
    with (tmp_path / "items.csv").open(encoding="utf-8-sig", newline="") as file:
        found = [(row["districtId"], row["reason"]) for row in csv.DictReader(file)]
    assert found == [("02", "MISSING_COLUMN")] * 2


def test_filters_of_the_history_are_in_the_address_and_the_back_button_returns_to_them(admin_site: AdminSite) -> None:
    """R6.3"""
    body = {"jobType": "data-collection", "startDate": "2022-04-30", "endDate": "2022-04-30", "note": "Ledger of July"}
    job = admin_site.client.created(body)
    admin_site.client.ended(job["jobId"])
    page = admin_site.open()
    history = page.locator("#bf-history")
    page.fill("#bf-filter-text", "ledger of JULY")
    page.click("#bf-filter")
    expect(history.locator("tbody tr")).to_have_count(1)
    expect(history).to_contain_text("Ledger of July")
    expect(page).to_have_url(re.compile(r"\?q=ledger\+of\+JULY#history$"))
    page.fill("#bf-filter-by", "nobody")
    with page.expect_response(lambda response: "/history/" in response.url):
        page.evaluate("document.body.dispatchEvent(new CustomEvent('bf-history'))")  # as if a job had ended
    expect(page.locator("#bf-filter-by")).to_have_value("nobody")
    page.click("#bf-filter")
    expect(history).to_contain_text("No matching jobs")
    assert axe_violations(page) == []
    page.go_back()
    expect(history.locator("tbody tr")).to_have_count(1)
    page.wait_for_load_state("load")  # the scripts of the reloaded page handle the next change of the address
    expect(page.locator("#bf-filter-text")).to_have_value("ledger of JULY")
    expect(page.locator("#bf-filter-by")).to_have_value("")
    page.go_forward()
    expect(history).to_contain_text("No matching jobs")
    page.click("#bf-clear-filter")
    expect(page.locator("#bf-filter-text")).to_have_value("")
    expect(page.locator(f"#bf-row-{job['jobId']}")).to_be_visible()
    page.fill("#bf-filter-since", job["createdAt"][:10])
    page.fill("#bf-filter-until", job["createdAt"][:10])
    page.select_option("#bf-filter-status", "succeeded")
    page.click("#bf-filter")
    expect(page).to_have_url(re.compile("since="))
    expect(page.locator(f"#bf-row-{job['jobId']}")).to_be_visible()
    page.fill("#bf-filter-until", "2020-01-01")
    page.click("#bf-filter")
    expect(history).to_contain_text("No matching jobs")
