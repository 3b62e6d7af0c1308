"""The coverage map: reading and selection with pointer, keys and touch, and the transfer to the start form."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from backfill.domain import month_end_of
from tests.browser.admin_site import AdminSite, axe_violations, has_horizontal_overflow, preview, status_badge

STORED = ("2020-07-01", "2020-08-31")


@pytest.fixture(scope="module", autouse=True)
def stored(shared_admin_site: AdminSite) -> None:
    """Store two closes of six districts, the analytics of one district, and the calendar from July 2020 on."""
    client = shared_admin_site.client
    shared_admin_site.reset()
    assert client.ask("POST", "/api/admin/backfill/coverage/calendar?from=2020-07-01").status_code == 200
    client.ended(client.start(*STORED, cadence="month-ends")["jobId"])
    client.ended(client.start(*STORED, jobType="analytics-generation", targetDistricts=["01"])["jobId"])


def open_page(admin_site: AdminSite, **options: Any) -> Page:
    page = admin_site.open(**options)
    expect(page.locator("#bf-coverage")).to_have_attribute("data-state", "ready")
    return page


def cell_centre(page: Page, row: int, month: str) -> tuple[float, float]:
    """Return the centre of a cell in the window. Row 0 is the summary."""
    page.locator("#bf-map").scroll_into_view_if_needed()
    coverage: dict[str, Any] = page.evaluate("(url) => fetch(url).then((answer) => answer.json())", "coverage/map/")
    box = page.locator("#bf-map").bounding_box()
    assert box is not None
    months, rows = len(coverage["months"]), len(coverage["districts"])
    cell_width, cell_height = (box["width"] - 2) / months, (box["height"] - 20 - 4 - 2) / rows
    return (
        box["x"] + (coverage["months"].index(month) + 0.5) * cell_width,
        box["y"] + 20 + (4 if row else 0) + (row + 0.5) * cell_height,
    )


def form_values(page: Page) -> tuple[str, str, list[str]]:
    chosen: list[str] = page.evaluate(
        "() => [...document.querySelectorAll('#bf-start-form [name=district]:checked')].map((box) => box.value)"
    )
    return page.input_value("#bf-from"), page.input_value("#bf-to"), chosen


def test_a_dragged_rectangle_sets_range_and_districts_of_the_form(admin_site: AdminSite) -> None:
    page = open_page(admin_site)
    page.mouse.move(*cell_centre(page, 2, "Jul 2024"))
    expect(page.locator("#bf-map-cell")).to_have_text("District 2, Jul 2024: nothing stored.")
    page.mouse.down()
    page.mouse.move(*cell_centre(page, 3, "Jun 2025"), steps=5)
    page.mouse.up()
    selected = page.locator("#bf-selection-text")
    expect(selected).to_have_text("Selected: Districts 2 to 3, Jul 2024 to Jun 2025. 24 district months: 24 missing.")
    page.click("#bf-selection-use")
    expect(page.locator("#bf-from")).to_be_focused()
    assert form_values(page) == ("2024-07-01", "2025-06-30", ["02", "03"])
    dialog = preview(page)
    expect(dialog.locator(".bf-plan-figures")).to_contain_text("36")  # two districts and the summary, in twelve months


def test_cells_can_be_read_selected_cleared_and_used_with_the_keyboard(admin_site: AdminSite) -> None:
    page = open_page(admin_site)
    page.locator("#bf-map").focus()
    live_region = page.locator("#bf-map-live-region")
    page.keyboard.press("ArrowRight")
    expect(live_region).to_have_text(re.compile(r"^District 1, "))
    page.keyboard.press("Home")
    expect(live_region).to_have_text("District 1, Jul 2008: unknown; its calendar is not read yet.")
    page.keyboard.press("ArrowDown")
    for _ in range(2):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    expect(live_region).to_have_text(re.compile(r"^Selected: Districts 2 to 3, Jul 2008 to Sep 2008\."))
    page.keyboard.press("Escape")
    expect(page.locator("#bf-selection")).to_be_hidden()
    expect(live_region).to_have_text("Selection cleared.")

    page.keyboard.press("Enter")
    expect(live_region).to_have_text(re.compile(r"^Selected: District 3, Sep 2008\."))
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.id") == "bf-selection-use":
            break
    expect(page.locator("#bf-selection-use")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#bf-from")).to_be_focused()
    assert form_values(page) == ("2008-09-01", "2008-09-30", ["03"])


def test_a_cell_shows_its_stored_dates(admin_site: AdminSite) -> None:
    page = open_page(admin_site)
    cell = page.locator("#bf-map-cell")
    page.mouse.move(*cell_centre(page, 1, "Jul 2020"))
    expect(cell).to_have_text("District 1, Jul 2020: analytics, 1 date stored, 1 with analytics.")
    page.mouse.move(*cell_centre(page, 0, "Jul 2020"))
    expect(cell).to_have_text(re.compile(r"^Summary, Jul 2020: analytics"))
    page.mouse.move(*cell_centre(page, 2, "Aug 2020"))
    expect(cell).to_have_text("District 2, Aug 2020: final close, 1 date stored.")


def test_the_largest_gap_can_be_shown_and_used(admin_site: AdminSite) -> None:
    page = open_page(admin_site)
    gap = page.locator("#bf-gaps li").first
    expect(gap).to_contain_text("All districts, ")
    title = gap.locator("strong").inner_text()
    first, last = (datetime.strptime(month, "%b %Y").date() for month in title.split(", ")[1].split(" to "))  # noqa: DTZ007
    gap.get_by_role("button", name="Show on the map").click()
    expect(page.locator("#bf-selection-text")).to_contain_text(f"{title}.")
    gap.get_by_role("button", name="Use in the start form").click()
    expect(page.locator("#bf-from")).to_be_focused()
    assert form_values(page) == (str(first), str(month_end_of(last)), [])
    expect(page.locator("#bf-start-form [name=cadence]:checked")).to_have_value("month-ends")


def test_the_summary_alone_cannot_be_used_in_the_form(admin_site: AdminSite) -> None:
    page = open_page(admin_site)
    page.mouse.click(*cell_centre(page, 0, "Jul 2012"))
    expect(page.locator("#bf-selection-text")).to_contain_text("Every job collects the summary")
    expect(page.locator("#bf-selection-use")).to_be_hidden()


def test_the_map_is_redrawn_for_another_theme_and_keeps_its_selection(admin_site: AdminSite) -> None:
    page = open_page(admin_site, color_scheme="light")
    page.mouse.click(*cell_centre(page, 1, "Jul 2020"))
    picture = "() => document.getElementById('bf-map').toDataURL()"
    light = page.evaluate(picture)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"(before) => ({picture})() !== before", arg=light)
    expect(page.locator("#bf-selection-text")).to_contain_text("District 1, Jul 2020")


def test_an_open_map_is_updated_after_a_job_has_stored_snapshots(admin_site: AdminSite) -> None:
    page = open_page(admin_site)
    cell = cell_centre(page, 3, "Aug 2025")
    page.mouse.move(*cell)
    expect(page.locator("#bf-map-cell")).to_have_text("District 3, Aug 2025: nothing stored.")
    with page.expect_response(lambda answer: answer.url.endswith("/coverage/map/") and answer.status == 200):
        page.fill("#bf-from", "2025-08-01")
        page.fill("#bf-to", "2025-08-31")
        preview(page).get_by_role("button", name="Start backfill").click()
        expect(page.locator("#bf-job-status")).to_contain_text("31 Aug 2025", timeout=20_000)
        expect(status_badge(page)).to_have_text("Nothing is running", timeout=30_000)
    page.mouse.move(0, 0)
    page.mouse.move(*cell_centre(page, 3, "Aug 2025"))
    expect(page.locator("#bf-map-cell")).to_have_text(
        "District 3, Aug 2025: final close, 1 date stored.", timeout=20_000
    )


def test_a_viewer_can_read_the_map_and_cannot_use_the_form(admin_site: AdminSite) -> None:
    page = open_page(admin_site, user="viewer")
    page.mouse.click(*cell_centre(page, 1, "Jul 2012"))
    expect(page.locator("#bf-selection-text")).to_contain_text("District 1, Jul 2012")
    expect(page.locator("#bf-selection-use")).to_be_hidden()
    expect(page.locator("#bf-gaps [data-action=use]").first).to_be_hidden()


def test_on_a_phone_the_map_scrolls_below_fixed_labels_and_two_taps_select_a_rectangle(admin_site: AdminSite) -> None:
    page = open_page(admin_site, viewport={"width": 375, "height": 800}, has_touch=True)
    assert not has_horizontal_overflow(page)
    axis = page.locator("#bf-map-axis")
    before = axis.bounding_box()
    page.locator("#bf-map-scroll").evaluate("(part) => { part.scrollLeft = 400; }")
    assert axis.bounding_box() == before
    box = page.locator("#bf-map-scroll").bounding_box()
    assert box is not None
    page.locator("#bf-map").scroll_into_view_if_needed()
    box = page.locator("#bf-map-scroll").bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + 60, box["y"] + 60)
    expect(page.locator("#bf-selection-text")).to_contain_text("1 district month")
    expect(page.locator("#bf-map-cell")).to_contain_text("Tap another cell to extend the selection to it.")
    page.touchscreen.tap(box["x"] + 160, box["y"] + 80)
    expect(page.locator("#bf-selection-text")).to_contain_text("district months")
    expect(page.locator("#bf-map-cell")).not_to_contain_text("Tap another cell")
    page.touchscreen.tap(box["x"] + 60, box["y"] + 60)
    expect(page.locator("#bf-selection-text")).to_contain_text("1 district month")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_the_map_and_the_table_have_no_axe_violations(admin_site: AdminSite, scheme: str, width: int) -> None:
    page = open_page(admin_site, color_scheme=scheme, viewport={"width": width, "height": 900})
    page.locator("#bf-gaps [data-action=show]").first.click()
    assert axe_violations(page) == []
    page.get_by_role("link", name="Show as a table").click()
    expect(page.get_by_role("heading", name="Months")).to_be_visible()
    assert axe_violations(page) == []
    assert not has_horizontal_overflow(page)
