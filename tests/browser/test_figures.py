"""The figures of a job are right from its first second to its page after its end."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.admin_site import SECTION, AdminSite, fill_form, preview


def test_time_left_requests_and_limits_are_correct_while_a_job_runs(admin_site: AdminSite) -> None:
    """R5.1, R6.2, R12.1, R12.4"""
    admin_site.client.set_limits(maxRequestsPerMinute=600)
    page = admin_site.open()
    fill_form(page, "2023-07-01", "2026-06-30")
    body = {"jobType": "data-collection", "startDate": "2023-07-01", "endDate": "2026-06-30", "cadence": "month-ends"}
    preview(page).get_by_role("button", name="Start backfill").click()
    planned = admin_site.client.ask("POST", "/api/admin/backfill/preview", body).json()["preview"]
    expected = planned["estimatedDuration"] / 1000
    job = admin_site.client.get("/api/admin/backfill/jobs?status=pending,running")["jobs"][0]["jobId"]
    early = admin_site.client.wait_for(
        job, lambda job: job["progress"]["processedItems"] >= 1, 20, "the first item is stored"
    )
    assert 0.6 * expected < early["progress"]["estimatedSecondsLeft"] < 1.6 * expected

    admin_site.client.wait_for(
        job, lambda job: job["rateLimiter"]["requestsThisMinute"] > 40, 30, "40 requests are sent"
    )
    page.locator("#bf-lower-limits").click()
    page.fill("#bf-lower-max_requests_per_minute", "30")
    page.click("#bf-confirm-lower-limits")
    expect(page.locator(".bf-job-limits")).to_contain_text("30 requests a minute")
    requests = page.locator(".bf-job-details div", has_text="Requests")
    expect(requests).to_contain_text("in the last minute, before the limit was lowered to 30")
    expect(requests).not_to_contain_text("of 30 this minute")

    admin_site.client.ask("DELETE", f"/api/admin/backfill/{job}")
    ended = admin_site.client.ended(job)["progress"]
    page.goto(SECTION)
    row = page.locator(f"#bf-row-{job}")
    expect(row).to_contain_text(f"{ended['processedItems']} stored")
    expect(row).to_contain_text("left undone")
    page.goto(f"{SECTION}jobs/{job}/")
    page.locator(".bf-parameters > summary").click()
    parameters = page.locator(".bf-parameters")
    expect(parameters.locator("div", has=page.get_by_text("Limits", exact=True))).to_contain_text(
        "600 requests a minute"
    )
    expect(parameters.locator("div", has_text="Limits lowered to")).to_contain_text("30 requests a minute")
