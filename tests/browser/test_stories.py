"""User stories of the admin, from the first click to the visible result."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.acceptance.harness import kill_group
from tests.browser.admin_site import SECTION, AdminSite, fill_form, preview, status_badge
from tests.shared import free_port

YEAR = ("2020-07-01", "2021-06-30")
MONTH = ("2020-07-01", "2020-07-31")


def test_a_job_is_previewed_started_from_the_dialog_watched_and_cancelled(admin_site: AdminSite) -> None:
    """R4.1, R5.1, R5.2, R5.3, R7.1, R8.2, R8.3, R8.4, R11.1, R11.2, R11.4"""
    page = admin_site.open()
    fill_form(page, *YEAR)
    page.uncheck("[name=skip_existing]")  # another test may have stored the year
    dialog = preview(page)
    expect(dialog.get_by_role("heading", name="Start data collection?")).to_be_focused()
    expect(dialog.locator(".bf-plan-figures")).to_contain_text("72")
    dialog.get_by_role("button", name="Back to the form").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("#bf-preview-button")).to_be_focused()

    admin_site.client.set_limits(maxRequestsPerMinute=240)
    dialog = preview(page)
    dialog.get_by_role("button", name="Start backfill").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("#bf-toast")).to_contain_text("Job created; it starts as soon as a worker is free.")
    expect(page.locator("#bf-job-status-title")).to_be_focused()
    expect(status_badge(page)).to_have_text("Running")
    expect(page.locator("#bf-start")).not_to_have_attribute("open", "")
    expect(page.locator("#bf-poll-status")).to_contain_text("Updates every second")
    expect(page.locator("#bf-status-message")).to_contain_text("Fetching")
    expect(page).to_have_title(re.compile(r"^[1-9]\d?% · "), timeout=20_000)

    page.locator("#bf-districts > summary").click()
    page.locator("#bf-districts-all").click()
    expect(page.locator(".bf-district-list li")).to_have_count(6)
    expect(page.locator("#bf-district-all")).to_contain_text("of 12")
    counts = page.locator(".bf-progress-figures").inner_text()
    expect(page.locator(".bf-progress-figures")).not_to_have_text(counts)
    expect(page.locator("#bf-districts")).to_have_attribute("open", "")
    expect(page.locator("#bf-districts-all")).to_have_attribute("aria-pressed", "true")

    page.locator("#bf-cancel").click()
    expect(dialog.get_by_role("button", name="Keep it running")).to_be_focused()
    dialog.get_by_role("button", name="Cancel job").click()
    expect(page.locator("#bf-job-status")).to_contain_text("Cancelled at")
    expect(page.locator("#bf-history tbody tr").first).to_contain_text("Cancelled at")
    expect(page.locator("#bf-start")).to_have_attribute("open", "")


def test_failed_items_are_grouped_by_cause_and_a_group_is_retried(admin_site: AdminSite) -> None:
    """R5.4"""
    admin_site.dashboard.play({"kind": "html", "times": -1, "match": "clubperformance~03~"})
    page = admin_site.open()
    fill_form(page, "2021-07-01", "2021-08-31")
    preview(page).get_by_role("button", name="Start backfill").click()
    expect(status_badge(page)).to_have_text("Completed, 2 failed", timeout=40_000)
    cause = page.locator("#bf-cause-HTML_PAGE")
    expect(cause).to_contain_text("The report page was broken")
    expect(cause).to_contain_text("District 3")

    admin_site.dashboard.forget()
    cause.get_by_role("button", name="Retry this group").click()
    expect(page.locator("#bf-toast")).to_contain_text("Job created with 2 items.")
    expect(status_badge(page)).to_have_text("Nothing is running", timeout=20_000)
    expect(page.locator("#bf-job-status")).to_contain_text("Completed")
    expect(page.locator("#bf-live-region")).to_contain_text("Nothing is running Last job: Data collection")
    expect(page.locator("#bf-history tbody tr").first).to_contain_text("Retry of job")


def test_the_page_reports_a_killed_server_and_later_the_resumed_job(
    browser: Browser, tmp_path_factory: object, shared_admin_site: AdminSite
) -> None:
    """R10.4"""
    folder = tmp_path_factory.mktemp("killed")  # type: ignore[attr-defined]
    with AdminSite.opened(browser, folder) as admin_site:
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        kill_group(admin_site.client.process)
        admin_site.client = admin_site.site.serve("--bind", f"127.0.0.1:{port}")
        admin_site.client.set_limits(maxRequestsPerMinute=240)
        job = admin_site.client.start(*YEAR, cadence="month-ends")
        page = admin_site.open(address=address)
        admin_site.client.wait_for(
            job["jobId"], lambda job: job["progress"]["processedItems"] > 2, 20, "items are stored"
        )

        kill_group(admin_site.client.process)
        expect(page.locator("#bf-poll-status")).to_contain_text("No response since")
        page.locator("#bf-pause").click()
        expect(page.locator("#bf-alerts")).to_contain_text("Unexpected response from the server.")
        admin_site.errors.clear()  # the console also reports the failed request
        admin_site.client = admin_site.site.serve("--bind", f"127.0.0.1:{port}")
        expect(page.locator("#bf-poll-status")).to_contain_text("Updates every second", timeout=20_000)
        expect(page.locator("#bf-resumed")).to_contain_text("Resumed", timeout=40_000)
        expect(status_badge(page)).to_have_text("Running, resumed")
        assert admin_site.errors == []
        page.context.close()


def test_limits_can_be_changed_next_to_the_form_and_apply_to_the_next_job(admin_site: AdminSite) -> None:
    """R12.1, R12.2, R12.3"""
    page = admin_site.open()
    page.fill("#bf-limit-max_requests_per_minute", "0")
    page.click("#bf-save-limits")
    expect(page.locator("#bf-limit-max_requests_per_minute-error")).to_contain_text("between 1 and 6,000")
    expect(page.locator("#bf-limit-max_requests_per_minute")).to_be_focused()
    page.fill("#bf-limit-max_requests_per_minute", "240")
    page.click("#bf-save-limits")
    expect(page.locator("#bf-limits")).to_contain_text("Saved. These limits apply to the next job.")

    fill_form(page, *YEAR)
    page.uncheck("[name=skip_existing]")
    dialog = preview(page)
    expect(dialog).to_contain_text("240 requests a minute")
    dialog.get_by_role("button", name="Start backfill").click()
    expect(page.locator(".bf-job-limits")).to_contain_text("240 requests a minute")

    page.locator("#bf-lower-limits").click()
    page.fill("#bf-lower-max_requests_per_minute", "500")
    page.click("#bf-confirm-lower-limits")
    expect(page.locator("#bf-dialog [role=alert]")).to_contain_text("can only be lowered")
    expect(page.locator("#bf-lower-max_requests_per_minute")).to_have_value("500")
    page.fill("#bf-lower-max_requests_per_minute", "60")
    page.click("#bf-confirm-lower-limits")
    expect(page.locator(".bf-job-limits")).to_contain_text("60 requests a minute")


def test_a_changed_plan_is_reported_and_nothing_is_started(admin_site: AdminSite) -> None:
    page = admin_site.open()
    fill_form(page, "2022-07-01", "2022-07-31")
    dialog = preview(page)
    done = admin_site.client.start("2022-07-01", "2022-07-31", cadence="month-ends")
    admin_site.client.ended(done["jobId"])
    dialog.get_by_role("button", name="Start backfill").click()
    expect(dialog).to_contain_text("The plan changed since you previewed it, so nothing was started.")
    expect(dialog.locator(".bf-changes")).to_contain_text("0 now")
    dialog.get_by_role("button", name="Start the new plan").click()
    expect(dialog).to_be_hidden(timeout=20_000)
    expect(status_badge(page)).to_have_text("Nothing is running", timeout=20_000)
    expect(page.locator("#bf-job-status")).to_contain_text("Completed")


def test_a_job_can_be_paused_and_resumed(admin_site: AdminSite) -> None:
    admin_site.client.set_limits(maxRequestsPerMinute=240)
    admin_site.client.start(*YEAR, cadence="month-ends", skipExisting=False)
    page = admin_site.open()
    page.locator("#bf-pause").click()
    expect(status_badge(page)).to_have_text("Paused", timeout=25_000)
    expect(page.locator("#bf-status-message")).to_contain_text("until the job is resumed")
    page.locator("#bf-resume").click()
    expect(status_badge(page)).to_contain_text("Running", timeout=20_000)


def test_start_is_disabled_with_a_reason_while_a_job_is_active_and_preview_works(admin_site: AdminSite) -> None:
    admin_site.client.set_limits(maxRequestsPerMinute=240)
    job = admin_site.client.start(*YEAR, cadence="month-ends", skipExisting=False)
    page = admin_site.open()
    page.locator("#bf-start > summary").click()
    fill_form(page, *YEAR)
    start = page.locator("#bf-start-button")
    expect(start).to_have_attribute("aria-disabled", "true")
    expect(page.locator("#bf-start-help")).to_contain_text("Preview works now.")
    start.press("Enter")
    expect(page.locator("#bf-dialog")).to_be_hidden()
    preview(page)
    page.keyboard.press("Escape")
    admin_site.client.ask("DELETE", f"/api/admin/backfill/{job['jobId']}")
    expect(start).not_to_have_attribute("aria-disabled", "true", timeout=20_000)
    expect(page.locator("#bf-start-help")).to_contain_text("Both first show what would run.")


def test_districts_are_found_by_typing_and_only_ticked_districts_are_selected(admin_site: AdminSite) -> None:
    page = admin_site.open()
    fill_form(page, *MONTH)
    preview(page)  # fetches the calendar
    page.goto(SECTION)
    page.locator("#bf-districts-text").press_sequentially("3")
    box = page.locator("#bf-district-checkboxes").get_by_label("3", exact=True)
    box.click()
    expect(box).to_be_checked()
    expect(page.locator("#bf-districts-text")).to_have_value("")
    expect(page.locator("#bf-chosen-districts")).to_have_text("3")
    page.locator("#bf-districts-text").press_sequentially("1-2")
    page.locator("#bf-from").focus()
    expect(page.locator("#bf-district-count")).to_have_text("3 chosen")


def test_a_selected_view_of_districts_is_kept_when_an_older_response_arrives(admin_site: AdminSite) -> None:
    admin_site.client.set_limits(maxRequestsPerMinute=240)
    admin_site.client.start(*YEAR, cadence="month-ends", skipExisting=False)
    page = admin_site.open()
    page.locator("#bf-districts > summary").click()
    counts = page.locator(".bf-progress-figures").inner_text()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/backfill/now/*", hold, times=1)
    page.wait_for_event("request", lambda request: "/backfill/now/" in request.url)
    page.locator("#bf-districts-all").click()
    held[0].continue_()
    expect(page.locator(".bf-progress-figures")).not_to_have_text(counts)
    expect(page.locator(".bf-district-list li")).to_have_count(6)
    expect(page.locator("#bf-districts-all")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("cookie", ["sessionid", "csrftoken"])
def test_an_expired_session_is_reported_and_the_form_keeps_its_values(admin_site: AdminSite, cookie: str) -> None:
    page = admin_site.open()
    fill_form(page, *YEAR)
    page.context.clear_cookies(name=cookie)
    page.click("#bf-preview-button")
    expect(page.locator("#bf-alerts")).to_contain_text("Your session has changed")
    expect(page.locator("#bf-dialog")).to_be_hidden()
    expect(page.locator("#bf-from")).to_have_value(YEAR[0])


def test_the_history_can_be_filtered_and_updates_when_a_job_ends(admin_site: AdminSite) -> None:
    """R6.1, R6.2, R6.3, R6.5, R8.5"""
    admin_site.client.set_limits(maxRequestsPerMinute=200)
    page = admin_site.open()
    job = admin_site.client.start(*MONTH, cadence="month-ends", skipExisting=False)
    page.reload()
    row = page.locator(f"#bf-row-{job['jobId']}")
    expect(row).to_have_class(re.compile("bf-current"))
    expect(row).to_contain_text("Completed", timeout=30_000)
    expect(row).not_to_have_class(re.compile("bf-current"))

    page.select_option("#bf-filter-status", "failed")
    page.click("#bf-filter")
    expect(page.locator("#bf-history")).to_contain_text("No matching jobs")
    assert "status=failed" in page.url
    page.reload()
    expect(page.locator("#bf-filter-status")).to_have_value("failed")
    page.select_option("#bf-filter-status", "completed")
    page.click("#bf-filter")
    expect(row).to_be_visible()
    row.get_by_role("link").first.click()
    expect(page.locator("h1").last).to_contain_text("Data collection")
    expect(page.locator("#items tbody tr")).to_have_count(6)
    expect(page.locator("#audit-log")).to_contain_text("Started the job")
    expect(page.locator("#audit-log")).to_contain_text("API")


def test_a_job_can_be_started_and_controlled_with_the_keyboard_alone(admin_site: AdminSite) -> None:
    admin_site.client.set_limits(maxRequestsPerMinute=240)
    page = admin_site.open()
    keys = page.keyboard
    page.locator("#bf-preset-this-year").focus()
    keys.press("Space")
    expect(page.locator("#bf-preset-this-year")).to_have_attribute("aria-pressed", "true")
    page.locator("#bf-districts-text").focus()
    keys.type("2-3")
    keys.press("Enter")
    expect(page.locator("#bf-district-count")).to_contain_text(re.compile("2 chosen|all"))
    page.locator("#bf-start-button").focus()
    keys.press("Enter")
    dialog = page.locator("#bf-dialog")
    expect(dialog.locator("h2")).to_be_focused(timeout=30_000)
    keys.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#bf-start-button")).to_be_focused()
    keys.press("Enter")
    expect(dialog.locator("h2")).to_be_focused(timeout=30_000)
    while not page.locator("#bf-confirm").evaluate("(button) => button === document.activeElement"):
        keys.press("Tab")
    keys.press("Enter")
    expect(status_badge(page)).to_contain_text("Running", timeout=20_000)

    page.locator("#bf-pause").focus()
    counts = page.locator(".bf-progress-figures").inner_text()
    expect(page.locator(".bf-progress-figures")).not_to_have_text(counts)
    expect(page.locator("#bf-pause")).to_be_focused()  # the updated fragment keeps the focus
    page.locator("#bf-cancel").focus()
    keys.press("Enter")
    expect(dialog.get_by_role("button", name="Keep it running")).to_be_focused()
    keys.press("Escape")
    expect(page.locator("#bf-cancel")).to_be_focused()


def test_an_action_in_one_tab_is_shown_in_another_tab(admin_site: AdminSite) -> None:
    admin_site.client.set_limits(maxRequestsPerMinute=240)
    first = admin_site.open()
    second = first.context.new_page()
    second.goto(SECTION)
    expect(status_badge(second)).to_be_visible()
    fill_form(first, *YEAR)
    first.uncheck("[name=skip_existing]")
    preview(first).get_by_role("button", name="Start backfill").click()
    expect(status_badge(second)).to_have_text("Running", timeout=20_000)
    second.locator("#bf-cancel").click()
    second.locator("#bf-confirm-cancel").click()
    expect(first.locator("#bf-job-status")).to_contain_text("Cancelled at", timeout=20_000)


def test_a_viewer_sees_everything_and_the_names_of_the_missing_permissions(admin_site: AdminSite) -> None:
    admin_site.client.set_limits(maxRequestsPerMinute=240)
    admin_site.client.start(*YEAR, cadence="month-ends", skipExisting=False)
    page = admin_site.open(user="viewer")
    expect(status_badge(page)).to_have_text("Running", timeout=20_000)
    expect(page.locator("#bf-cancel, #bf-pause, #bf-start-form, #bf-save-limits")).to_have_count(0)
    page.locator("#bf-start > summary").click()
    expect(page.locator("#bf-start")).to_contain_text(
        "“Backfill | backfill job | Can add backfill job”, “Backfill | backfill job | Can change backfill job”"
    )
    expect(page.locator("#bf-limits")).to_contain_text("240")
    counts = page.locator(".bf-progress-figures").inner_text()
    expect(page.locator(".bf-progress-figures")).not_to_have_text(counts)
