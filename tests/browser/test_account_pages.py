"""The page of API tokens, and the page of the OpenAPI document."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.admin_site import AdminSite, axe_violations


def test_a_token_is_created_used_and_revoked_on_its_page(admin_site: AdminSite) -> None:
    page = admin_site.open("/admin/api-tokens/")
    page.fill("#id_name", "reports")
    page.select_option("#id_days", "30")
    page.click("text=Create token")
    key = page.locator("#new-token-key").inner_text()
    base = admin_site.client.url
    headers = {"Authorization": f"Token {key}"}
    assert page.request.get(f"{base}/api/admin/backfill/jobs", headers=headers).status == 200
    assert axe_violations(page) == []
    page.goto("/admin/api-tokens/")
    expect(page.locator("#new-token-key")).to_have_count(0)
    row = page.locator("tr", has_text="reports")
    row.get_by_role("button").click()
    expect(page.locator(".messagelist")).to_contain_text("The token was revoked.")
    fresh = admin_site.browser.new_context()
    assert fresh.request.get(f"{base}/api/admin/backfill/jobs", headers=headers).status == 401


def test_the_page_of_the_document_works_under_the_security_policy(admin_site: AdminSite) -> None:
    """The fixture fails if the console reports a violation of the policy."""
    page = admin_site.open("/api/docs", user="nobody")
    page.locator("#operations-Backfill-startJob").wait_for()
    page.locator("#operations-Backfill-listJobs .opblock-summary-control").click()
    page.locator("#operations-Backfill-listJobs .try-out__btn").click()
    page.locator("#operations-Backfill-listJobs .execute").click()
    status = "#operations-Backfill-listJobs .live-responses-table tbody .response-col_status"
    expect(page.locator(status)).to_contain_text("401")
