"""The pages of results: a district over time, and the world on a date."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.admin_site import SECTION, Desk, faults, is_wider_than_the_window

RESULTS = f"{SECTION}results/"
DISTRICT, WORLD = f"{RESULTS}01/2022-06-30/", f"{RESULTS}world/2022-06-30/"


@pytest.fixture(scope="module")
def shared_desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Two program years of closes, with analytics; on a desk of its own, for the stories need these years empty."""
    with Desk.opened(browser, tmp_path_factory.mktemp("results")) as desk:
        client = desk.client
        client.set_limits()
        client.ended(client.start("2020-07-01", "2022-06-30", cadence="month-ends")["jobId"], within=120)
        client.ended(client.start("2020-07-01", "2022-06-30", jobType="analytics-generation")["jobId"], within=120)
        yield desk


def opened(desk: Desk, path: str = DISTRICT, **options: Any) -> Page:
    page = desk.open(path, **options)
    if path == DISTRICT:
        expect(page.locator("#bf-charts")).to_have_attribute("data-state", "ready")
    return page


def test_the_page_of_a_district_shows_the_figures_of_the_api(desk: Desk) -> None:
    page = opened(desk)
    result = desk.client.get("/api/analytics/2022-06-30/01")
    figures = page.locator("#figures .bf-tiles")
    expect(figures).to_contain_text(f"{result['membership']['total']:,}")
    expect(figures).to_contain_text(f"{result['payments']['total']:,}")
    for name, category in (("interventionRequired", 0), ("vulnerable", 1), ("thriving", 2)):
        counts = page.locator(".bf-health-counts strong")
        expect(counts.nth(category)).to_have_text(str(result["health"][name]))
    expect(page.locator("#quality tbody tr")).to_have_count(len(result["quality"]))
    expect(page.locator("#divisions .bf-division")).to_have_count(len(result["divisions"]))


def test_the_charts_are_drawn_and_read_together_under_the_pointer(desk: Desk) -> None:
    page = opened(desk)
    charts = page.locator(".bf-chart")
    expect(charts.locator("canvas")).to_have_count(4)
    readings = page.locator(".bf-chart-value")
    expect(readings.first).to_contain_text("30 Jun 2022")
    page.locator(".u-over").first.scroll_into_view_if_needed()
    page.locator(".u-over").first.hover(position={"x": 3, "y": 40})
    for n in range(4):
        expect(readings.nth(n)).to_contain_text("Jul 2020")
    page.mouse.move(0, 0)
    expect(readings.first).to_contain_text("30 Jun 2022")
    page.get_by_role("button", name="This program year").click()
    page.locator(".u-over").first.hover(position={"x": 3, "y": 40})
    expect(readings.first).to_contain_text("Jul 2021")


def test_the_points_of_the_charts_are_a_table_too(desk: Desk) -> None:
    page = opened(desk)
    page.get_by_role("heading", name="Points as a table").click()
    points = desk.client.get("/api/analytics/series/01?programYear=2021-2022")["points"]
    rows = page.locator("#trend tbody tr")
    expect(rows).to_have_count(len(points))
    expect(rows.last).to_contain_text(f"{points[-1]['members']:,}")
    rows.first.get_by_role("link").click()
    expect(page).to_have_url(re.compile(rf"/results/01/{points[0]['date']}/$"))


def test_another_year_date_and_district_are_chosen_above(desk: Desk) -> None:
    page = opened(desk)
    page.get_by_role("link", name="Earlier: 31 May 2022").click()
    expect(page.get_by_role("heading", name="District 1, 31 May 2022")).to_be_visible()
    page.select_option("#bf-year", "2020-2021")
    page.get_by_role("button", name="Show the program year").click()
    expect(page.get_by_role("heading", name="District 1, 30 Jun 2021")).to_be_visible()
    page.fill("#bf-district", "2")
    page.get_by_role("button", name="Show the district").click()
    expect(page.get_by_role("heading", name="District 2, 30 Jun 2021")).to_be_visible()


def test_the_world_is_sorted_by_a_heading_and_leads_to_a_district(desk: Desk) -> None:
    page = opened(desk, WORLD)
    world = desk.client.get("/api/analytics/2022-06-30/world")["districts"]
    rows = page.locator("#ranking tbody tr")
    expect(rows).to_have_count(len(world))
    expect(page.get_by_role("columnheader", name="Rank", exact=True)).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("link", name="Payment growth").click()
    expect(page.get_by_role("columnheader", name="Payment growth")).to_have_attribute("aria-sort", "descending")
    most = max(world, key=lambda district: world[district]["paymentGrowthPercent"])
    first = rows.first.get_by_role("link")
    expect(first).to_have_text(most.lstrip("0"))
    first.click()
    expect(page.get_by_role("heading", name=f"District {most.lstrip('0')}, 30 Jun 2022")).to_be_visible()


def test_where_there_is_no_result_the_next_job_on_the_way_to_it_is_prepared(desk: Desk) -> None:
    page = opened(desk, f"{RESULTS}01/2019-06-30/")
    expect(page.get_by_role("heading", name="No result yet")).to_be_visible()
    page.get_by_role("link", name="Prepare the data collection").click()
    expect(page.locator("[name=job_type][value=data-collection]")).to_be_checked()
    expect(page.locator("#bf-from")).to_have_value("2019-06-30")
    expect(page.locator("#bf-start-form [name=district][value='01']")).to_be_checked()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("path", [DISTRICT, WORLD, f"{RESULTS}02/2010-06-30/"])
def test_axe_finds_nothing_and_nothing_passes_the_edge(desk: Desk, path: str, scheme: str, width: int) -> None:
    page = opened(desk, path, color_scheme=scheme, viewport={"width": width, "height": 900})
    for part in page.locator("details.bf-block > summary").all():
        part.click()
    assert faults(page) == []
    assert not is_wider_than_the_window(page)
