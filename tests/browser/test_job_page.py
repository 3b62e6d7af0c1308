"""The page of a job follows the job to its end and beyond without a reload."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.admin_site import SECTION, AdminSite


def test_the_page_of_a_job_is_complete_when_the_job_ends(admin_site: AdminSite) -> None:
    admin_site.client.set_limits(maxRequestsPerMinute=300, maxDelayMs=200)
    job = admin_site.client.start("2022-09-01", "2022-10-31", cadence="month-ends", skipExisting=False)["jobId"]
    page = admin_site.open(f"{SECTION}jobs/{job}/")
    page.locator("#bf-pause").click()
    expect(page.locator("#audit-log")).to_contain_text("Paused the job")
    page.locator("#bf-resume").click()
    expect(page.locator("#audit-log")).to_contain_text("Resumed the job")
    districts = page.locator("#bf-districts > summary")
    districts.click()  # it has the focus from now on, and is updated nevertheless
    expect(districts).to_contain_text("to do")
    expect(page.locator("#bf-job-status")).to_contain_text("Completed", timeout=30_000)
    expect(districts).to_be_focused()
    expect(districts).not_to_contain_text("to do")
    expect(page.locator("#items tbody tr")).to_have_count(admin_site.client.job(job)["progress"]["totalItems"])


def test_missing_permissions_have_the_names_of_the_permission_list(admin_site: AdminSite) -> None:
    page = admin_site.open("/admin/auth/user/2/change/")
    names = page.locator("#id_user_permissions_from option, #id_user_permissions_to option").all_inner_texts()
    viewer = admin_site.open(user="viewer")
    shown = viewer.locator("#bf-start .bf-status-message").inner_text()
    for codename in ("Can add backfill job", "Can change backfill job", "Can change rate limits"):
        (name,) = [name for name in names if name.endswith(codename)]
        assert f"“{name.strip()}”" in shown


def test_analytics_begin_without_dates_and_do_not_mention_publishing(admin_site: AdminSite) -> None:
    """R4.2, R4.5"""
    page = admin_site.open()
    before = page.locator("#bf-from").input_value()
    assert before
    page.check("[name=job_type][value=analytics-generation]")
    expect(page.locator("#bf-from")).to_have_value("")
    expect(page.locator("#bf-to")).to_have_value("")
    expect(page.locator("#bf-start-form")).not_to_contain_text("calendar, which", use_inner_text=True)
    page.fill("#bf-from", "2008-08-01")
    page.fill("#bf-to", "2008-08-31")
    page.click("#bf-preview-button")
    dialog = page.locator("#bf-dialog")
    expect(dialog).to_contain_text("no snapshots are stored for these dates and districts")
    expect(dialog).not_to_contain_text("publish")
    page.keyboard.press("Escape")
    page.check("[name=job_type][value=data-collection]")
    expect(page.locator("#bf-from")).to_have_value(before)
    page.check("[name=job_type][value=analytics-generation]")
    expect(page.locator("#bf-from")).to_have_value("2008-08-01")
