"""The card "Keep complete": turned on with a preview, complete, changed by two users, and turned off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.harness import Json
from tests.browser.admin_site import AdminSite, axe_violations, has_horizontal_overflow

WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 375, "height": 800}
TARGETS = "/api/admin/backfill/targets"


@pytest.fixture
def site(admin_site: AdminSite) -> Iterator[AdminSite]:
    """A site whose coverage target is off and has no rules, before and after the test."""
    turn_off(admin_site)
    yield admin_site
    turn_off(admin_site)


def turn_off(site: AdminSite) -> None:
    response = site.client.ask("GET", TARGETS)
    off = {"enabled": False, "rules": []}
    response = site.client.ask("PUT", TARGETS, off, **{"If-Match": response.headers["ETag"]})
    assert response.status_code == 200, response.text


def target(site: AdminSite) -> Json:
    found: Json = site.client.get(TARGETS)["target"]
    return found


def fill_rule(page: Page, number: int, first: str = "2021-03-01") -> None:
    page.fill(f"#bf-rule-{number}-start", first)
    page.select_option(f"#bf-rule-{number}-cadence", "year-ends")


def test_it_is_turned_on_after_a_preview_reaches_complete_and_is_turned_off(site: AdminSite) -> None:
    page = site.open()
    expect(page.locator("#bf-keep-message")).to_have_text("Off: nothing is collected automatically.")
    page.click("#bf-keep-edit > summary")
    fill_rule(page, 1)
    page.click("#bf-add-rule")
    expect(page.locator("#bf-rule-2-begins")).to_be_focused()
    expect(page.locator("#bf-rule-1-start")).to_have_value("2021-03-01")
    page.click("#bf-rule-2-remove")
    expect(page.locator("#bf-rule-2-begins")).to_have_count(0)
    page.fill("#bf-keep-note", "year-ends for the report")
    page.locator("#bf-keep-note").press("Enter")

    dialog = page.locator("#bf-dialog")
    expect(dialog.get_by_role("heading", name="Keep this complete?")).to_be_focused(timeout=60_000)
    expect(dialog.locator(".bf-plan-figures")).to_contain_text("Items to fetch")
    expect(dialog).to_contain_text("Year-ends since 1 Mar 2021, all districts, with analytics")
    assert not target(site)["enabled"], "a preview changes nothing"
    dialog.get_by_role("button", name="Turn on").click()
    expect(page.locator("#bf-toast")).to_have_text("Turned on; the first check starts now.")
    expect(page.locator("#bf-keep-title")).to_be_focused()
    expect(page.locator("#keep")).to_contain_text("Note: year-ends for the report")

    expect(page.locator("#bf-keep-message")).to_contain_text("Complete to", timeout=120_000)
    expect(page.locator("#bf-keep-message")).to_contain_text("next check")
    assert target(site)["status"] == "complete"
    page.reload()
    expect(page.locator("#bf-history tbody tr").first).to_contain_text("keeper")
    page.click("#bf-keep-check")
    expect(page.locator("#bf-toast")).to_have_text("The check takes place as soon as no job is active.")

    page.click("#bf-keep-off")
    expect(page.locator("#bf-keep-message")).to_have_text("Off: nothing is collected automatically.")
    expect(page.locator("#bf-keep-on")).to_be_visible()
    settings = target(site)
    assert (settings["enabled"], len(settings["rules"])) == (False, 1)


def test_a_lost_update_is_shown_with_the_rules_of_the_other_user_and_own_entries(site: AdminSite) -> None:
    page, other = site.open(), site.open()
    page.click("#bf-keep-edit > summary")
    fill_rule(page, 1)
    page.fill("#bf-keep-note", "mine")
    page.click("#bf-keep-preview")
    expect(page.locator("#bf-keep-confirm")).to_be_visible(timeout=60_000)

    other.click("#bf-keep-edit > summary")
    fill_rule(other, 1, "2022-03-01")
    other.click("#bf-keep-preview")
    other.click("#bf-keep-confirm", timeout=60_000)
    expect(other.locator("#bf-keep-off")).to_be_visible()
    other.click("#bf-keep-off")

    page.click("#bf-keep-confirm")
    expect(page.locator("#bf-dialog")).to_be_hidden()
    expect(page.locator("#bf-keep-changed")).to_contain_text("Nothing was saved.")
    expect(page.locator("#bf-keep-changed")).to_be_focused()
    expect(page.locator("#bf-keep-status")).to_contain_text("Year-ends since 1 Mar 2022")
    expect(page.locator("#bf-keep-note")).to_have_value("mine")
    page.click("#bf-keep-preview")
    page.click("#bf-keep-confirm", timeout=60_000)
    expect(page.locator("#bf-keep-status")).to_contain_text("Year-ends since 1 Mar 2021")


def test_an_invalid_rule_is_reported_at_its_field(site: AdminSite) -> None:
    page = site.open()
    page.click("#bf-keep-edit > summary")
    page.fill("#bf-rule-1-start", "2021-03-01")
    page.fill("#bf-rule-1-districts", "46-41")
    page.click("#bf-keep-preview")
    expect(page.locator("#bf-rule-1-districts")).to_be_focused()
    expect(page.locator("#rules-0-error-districts")).to_contain_text("from the smaller number to the larger one")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "375px"])
def test_the_form_and_its_dialog_have_no_axe_violations_and_no_horizontal_overflow(
    site: AdminSite, scheme: str, viewport: dict[str, int]
) -> None:
    page = site.open(color_scheme=scheme, viewport=viewport)
    page.click("#bf-keep-edit > summary")
    fill_rule(page, 1)
    page.click("#bf-add-rule")
    page.select_option("#bf-rule-2-begins", "program-year")
    expect(page.locator("#bf-rule-2-start")).to_be_hidden()
    assert axe_violations(page) == []
    assert not has_horizontal_overflow(page)
    page.click("#bf-keep-preview")
    expect(page.locator("#bf-keep-confirm")).to_be_visible(timeout=60_000)
    assert axe_violations(page) == []
    assert not has_horizontal_overflow(page)


def test_a_user_without_the_permission_sees_the_status_and_whom_to_ask(site: AdminSite) -> None:
    page = site.open(user="viewer")
    expect(page.locator("#keep")).to_contain_text("Off: nothing is collected automatically.")
    expect(page.locator("#keep")).to_contain_text("Can change coverage target")
    expect(page.locator("#keep button")).to_have_count(0)
    assert axe_violations(page) == []
