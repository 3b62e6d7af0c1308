"""Both colour schemes, wide and at 375 px: no violations found by axe, and no horizontal overflow."""

from __future__ import annotations

import pytest
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

WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 375, "height": 800}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "375px"])
def test_the_pages_of_a_job_have_no_axe_violations_and_no_horizontal_overflow(
    admin_site: AdminSite, scheme: str, viewport: dict[str, int]
) -> None:
    page = admin_site.open(color_scheme=scheme, viewport=viewport)
    expect(page.locator("#bf-start-form")).to_be_visible()
    assert axe_violations(page) == []
    assert not has_horizontal_overflow(page)
    fill_form(page, "2023-07-01", "2023-08-31")
    preview(page)
    assert axe_violations(page) == []
    page.keyboard.press("Escape")

    admin_site.dashboard.play({"kind": "html", "times": -1, "match": "clubperformance~03~"})
    admin_site.client.set_limits(maxRequestsPerMinute=400, maxDelayMs=200)
    job = admin_site.client.start("2023-07-01", "2023-12-31", cadence="month-ends", skipExisting=False)
    page.goto(SECTION)
    expect(status_badge(page)).to_contain_text("Running", timeout=20_000)
    page.locator("#bf-districts > summary").click()
    page.locator("#bf-districts-all").click()
    expect(page.locator("#bf-cause-HTML_PAGE")).to_be_visible(timeout=30_000)
    assert axe_violations(page) == []
    assert not has_horizontal_overflow(page)
    page.locator("#bf-cancel").click()
    expect(page.locator("#bf-dialog")).to_be_visible()
    assert axe_violations(page) == []
    page.locator("#bf-confirm-cancel").click()
    admin_site.client.ended(job["jobId"])
    page.goto(SECTION)
    expect(page.locator("#bf-history tbody tr").first).to_contain_text("Broken report")
    assert not has_horizontal_overflow(page)

    page.goto(f"{SECTION}jobs/{job['jobId']}/")
    expect(page.locator("#items tbody tr").first).to_be_visible()
    assert axe_violations(page) == []
    assert not has_horizontal_overflow(page)


def test_a_long_wait_reason_does_not_overflow_the_window(admin_site: AdminSite) -> None:
    admin_site.dashboard.play({"kind": "truncate", "match": "~", "times": -1})
    admin_site.client.set_limits(maxRequestsPerMinute=400, maxDelayMs=2000)
    admin_site.client.start("2023-07-01", "2023-12-31", cadence="month-ends", skipExisting=False)
    page = admin_site.open(viewport=NARROW)
    expect(page.locator("#bf-status-message")).to_contain_text("clubperformance", timeout=20_000)
    assert not has_horizontal_overflow(page)


def test_the_sign_in_page_and_the_api_page_have_no_axe_violations_of_their_own(admin_site: AdminSite) -> None:
    """Swagger UI, which shows the API, has violations of its own."""
    of_swagger = {"color-contrast", "heading-order", "nested-interactive", "region"}
    page = admin_site.browser.new_context(base_url=admin_site.client.url).new_page()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto("/admin/login/")
        assert axe_violations(page) == []
        page.fill("#id_username", "operator")
        page.fill("#id_password", "wrong")
        page.click("[type=submit]")
        expect(page.locator(".errornote")).to_be_visible()
        assert axe_violations(page) == []
    page.goto("/api/docs")
    page.locator("#operations-tag-Backfill").wait_for()
    assert [found for found in axe_violations(page) if found.partition(":")[0] not in of_swagger] == []
