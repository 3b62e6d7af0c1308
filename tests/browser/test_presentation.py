"""The page keeps still while it polls, and fits small screens, forced colours and paper."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.admin_site import SECTION, AdminSite, has_horizontal_overflow, status_badge

SHIFTS = """() => {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries().filter((entry) => !entry.hadRecentInput)) {
      const moved = entry.sources.map(({ node, previousRect: from, currentRect: to }) =>
        `${node?.className || node?.nodeName}: ${node?.textContent.trim().slice(0, 60)} ` +
        `(${[from.x, from.y, from.width, from.height]} to ${[to.x, to.y, to.width, to.height]})`);
      window.shifts.push({ value: entry.value, moved });
    }
  }).observe({ type: "layout-shift" });
}"""
SMALL_TARGETS = """() => [...document.querySelectorAll("#content :is(a, button, select, summary, input)")]
  .filter((target) => target.type !== "hidden")
  .map((target) => (["radio", "checkbox"].includes(target.type) ? target.closest("label") : target))
  .filter((target) => target.checkVisibility() && !target.closest("canvas, [aria-hidden=true]"))
  .filter((target) => target.getBoundingClientRect().height < 36)
  .map((target) => target.outerHTML.slice(0, 120))"""
WRAPPED = """() => [...document.querySelectorAll(".bf-jobs tbody td")].flatMap((cell) => {
  const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  const wrapped = [];
  while (walker.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const lines = new Set([...range.getClientRects()].filter((box) => box.width).map((box) => box.top));
    if (walker.currentNode.parentElement.closest("small")) continue;  // a note is text of any length
    if (walker.currentNode.textContent.trim() && lines.size > 1) wrapped.push(cell.textContent.trim());
  }
  return wrapped;
})"""


@pytest.fixture
def failed(admin_site: AdminSite) -> str:
    """A job with failed items."""
    admin_site.dashboard.play({"kind": "html", "times": -1, "match": "clubperformance~03~"})
    job: str = admin_site.client.start("2022-09-01", "2022-10-31", cadence="month-ends", skipExisting=False)["jobId"]
    admin_site.client.ended(job)
    admin_site.dashboard.forget()
    return job


def running(admin_site: AdminSite, page: Page) -> None:
    admin_site.client.set_limits(maxRequestsPerMinute=200)
    admin_site.client.start("2020-07-01", "2021-06-30", cadence="month-ends", skipExisting=False)
    page.goto(SECTION)
    expect(status_badge(page)).to_have_text("Running", timeout=20_000)


def test_the_layout_does_not_shift_while_the_page_polls_and_the_history_does_not_wrap(
    admin_site: AdminSite, failed: str
) -> None:
    page = admin_site.open("/admin/")
    page.evaluate("localStorage.setItem('django.admin.navSidebarIsOpen', 'true')")
    running(admin_site, page)
    expect(page.locator(".bf-progress-figures")).to_contain_text("left")
    # The message of an outage is the longest. Its place grows once, and the failures below may cause an outage, too.
    admin_site.dashboard.play({"kind": "html", "times": -1, "match": "clubperformance"})
    message = page.locator("#bf-status-message")
    expect(message).to_contain_text("Waiting for the dashboard", timeout=20_000)
    admin_site.dashboard.forget()
    expect(message).not_to_contain_text("Waiting for the dashboard", timeout=40_000)
    page.evaluate(SHIFTS)
    admin_site.dashboard.play({"kind": "html", "times": -1, "match": "clubperformance~01~"})
    expect(page.locator("#bf-cause-HTML_PAGE")).to_be_visible(timeout=60_000)
    shifts = page.evaluate("() => window.shifts")
    assert round(sum(shift["value"] for shift in shifts), 2) == 0, "\n".join(map(str, shifts))
    assert page.evaluate(WRAPPED) == []


def test_the_list_of_districts_keeps_its_height_while_the_page_polls(admin_site: AdminSite) -> None:
    page = admin_site.open("/admin/")
    running(admin_site, page)
    page.locator("#bf-districts summary").click()
    page.locator("#bf-districts-all").click()
    districts, polled = page.locator(".bf-district-list"), page.locator("#bf-poll-status")
    expect(districts.locator("li")).to_have_count(6)
    heights = []
    for _ in range(4):
        expect(polled).not_to_have_text(polled.inner_text())
        heights.append(districts.evaluate("(list) => list.getBoundingClientRect().height"))
    assert len(set(heights)) == 1, heights


@pytest.mark.parametrize("width", [375, 320])
def test_a_phone_has_large_targets_and_no_horizontal_overflow(admin_site: AdminSite, failed: str, width: int) -> None:
    page = admin_site.open("/admin/", viewport={"width": width, "height": 800})
    running(admin_site, page)
    for path in (SECTION, f"{SECTION}jobs/{failed}/", f"{SECTION}coverage/"):
        page.goto(path)
        for details in page.locator("details:not([open]) > summary").all():
            if details.is_visible():
                details.click()
        assert not has_horizontal_overflow(page), path
        assert page.evaluate(SMALL_TARGETS) == [], path


def test_print_and_forced_colours_keep_the_content(admin_site: AdminSite, failed: str) -> None:
    page = admin_site.open(f"{SECTION}jobs/{failed}/", viewport={"width": 740, "height": 1000}, color_scheme="dark")
    page.emulate_media(forced_colors="active")
    track = page.locator(".bf-progress")
    assert track.evaluate("(bar) => getComputedStyle(bar).borderTopStyle") == "solid"
    page.emulate_media(forced_colors="none", media="print")
    for hidden in ("#header", ".bf-page-nav", "#items .bf-toolbar", "#bf-retry-all", ".bf-copy"):
        expect(page.locator(hidden).first).to_be_hidden()
    expect(page.locator(".bf-parameters dl")).to_be_visible()
    expect(page.locator("#items thead")).to_be_visible()
    assert page.locator("body").evaluate("(body) => getComputedStyle(body).color") == "rgb(0, 0, 0)"
    assert not has_horizontal_overflow(page)
    page.goto(f"{SECTION}coverage/")
    expect(page.locator("#header")).to_be_hidden()
    assert not has_horizontal_overflow(page)
