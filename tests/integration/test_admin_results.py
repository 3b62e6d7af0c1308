"""The result pages of the admin: every figure is that of the stored result."""

from __future__ import annotations

import csv
import gzip
import html
import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from backfill.domain import SUMMARY, Actor, Channel, JobRequest, JobType, Report, ReportName, reports_of
from backfill.service.commands import BackfillService
from tests.factories import report_of
from tests.integration.admin_pages import OperatorFor, is_free_of_inline_code
from tests.integration.test_api_analytics import analytics_handler, compute_everything
from tests.unit.analytics.builders import AClub, some_clubs
from tests.unit.fakes import DAY, a_snapshot
from tests.unit.stored_snapshots import a_district, a_summary

RESULTS = "/admin/backfill/results"
A_YEAR_AGO = date(2023, 1, 31)
REAL = Path(__file__).resolve().parents[2] / ".." / "shared" / "dashboard" / "real"

CLUBS = [
    AClub(number="1", name="Thame <Speakers>", members="24", base="20", goals="9", code="P"),
    AClub(number="2", name="Oxford", members="15", base="14", goals="2", area="02"),
    AClub(number="3", name="Didcot", division="B", members="8", base="9", goals="1"),
]


@pytest.fixture
def with_analytics(served: BackfillService, monkeypatch: pytest.MonkeyPatch) -> BackfillService:
    """Return the service with analytics."""
    service = replace(
        served, handlers={**served.handlers, JobType.ANALYTICS_GENERATION: analytics_handler(served.storage)}
    )
    monkeypatch.setattr("backfill.bootstrap.backfill_service", lambda: service)
    return service


@pytest.fixture
def computed(with_analytics: BackfillService) -> BackfillService:
    """Return a service with results of district 91 in two program years, and a world result in the later year."""
    for snapshot in (
        a_district(A_YEAR_AGO, clubs=some_clubs(3, members="15")),
        a_district(date(2023, 12, 31), clubs=CLUBS),
        a_district(clubs=CLUBS),
        a_summary(DAY, {"% Club Growth": "2.50%"}, {"DISTRICT": "F", "REGION": ""}),
    ):
        with_analytics.storage.snapshots.put(snapshot)
    compute(with_analytics)
    return with_analytics


def compute(service: BackfillService) -> None:
    service.start(JobRequest(job_type=JobType.ANALYTICS_GENERATION), by=Actor("operator", Channel.ADMIN))
    compute_everything(service)


def words_of(response: Any) -> str:
    """Return the visible text in one line."""
    assert response.status_code == 200
    text = re.sub(r"<[^>]+>", " ", response.content.decode().partition("<main")[2])
    return re.sub(r"\s+", " ", html.unescape(text))


def body_of(service: BackfillService, day: date, district: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(service.history.result(day, district).body)
    return body


def test_the_page_of_a_district_shows_the_figures_of_its_result(computed: BackfillService, operator: Client) -> None:
    response = operator.get(f"{RESULTS}/91/2024-01-31/")
    words, result = words_of(response), body_of(computed, DAY, "91")
    for text in (
        "District 91, 31 Jan 2024",
        "Figures of January 2024, final close, as of 9 Feb 2024.",
        f"Members {result['membership']['total']} +4 base 43",
        f"Distinguished clubs {result['distinguished']['reported']['total']} 25.00 % of the base",
        "Intervention required 1",
        "Thriving 1",
        f"No. {result['rankings']['overallRank']} with {result['rankings']['score']} points",
        "Members 47 45 +2",
        "Division B",
    ):
        assert text in words
    for note in result["quality"]:
        assert note["message"] in words
    assert is_free_of_inline_code(response)
    assert "<Speakers>" not in response.content.decode()


def test_the_trend_contains_the_series_of_the_api(computed: BackfillService, operator: Client) -> None:
    page = operator.get(f"{RESULTS}/91/2024-01-31/").content.decode()
    script = re.search(r'<script id="bf-trend-data" type="application/json">(.*?)</script>', page)
    assert script is not None
    trend = json.loads(script[1])
    points = [
        point
        for year in ("2022-2023", "2023-2024")
        for point in operator.get(f"/api/analytics/series/91?programYear={year}").json()["points"]
    ]
    assert trend["lines"]["members"] == [point["members"] for point in points] == [45, 47, 47]
    assert trend["lines"]["payments"] == [point["payments"] for point in points]


def test_the_page_of_a_district_links_to_the_api_and_the_snapshot(computed: BackfillService, operator: Client) -> None:
    page = operator.get(f"{RESULTS}/91/2024-01-31/").content.decode()
    for address in (
        "/api/analytics/2024-01-31/91",
        "/api/analytics/series/91?programYear=2023-2024",
        "/api/snapshots/2024-01-31/91",
        f"{RESULTS}/world/2024-01-31/",
    ):
        assert f'href="{address}"' in page
        assert operator.get(address).status_code == 200


def test_the_world_ranking_of_a_date_links_to_the_districts(computed: BackfillService, operator: Client) -> None:
    response = operator.get(f"{RESULTS}/world/2024-01-31/")
    words, result = words_of(response), body_of(computed, DAY, SUMMARY)
    assert "Figures of January 2024, final close, as of 9 Feb 2024." in words
    assert "+2.50 % no. 1, 2 points" in words
    assert f"{result['totals']['districts']} 0 active clubs" in words
    assert f'href="{RESULTS}/91/2024-01-31/"' in response.content.decode()
    assert is_free_of_inline_code(response)


def test_a_path_without_a_date_redirects_to_the_newest_result(computed: BackfillService, operator: Client) -> None:
    assert operator.get(f"{RESULTS}/", follow=True).redirect_chain[-1][0] == f"{RESULTS}/world/2024-01-31/"
    assert operator.get(f"{RESULTS}/91/")["Location"] == f"{RESULTS}/91/2024-01-31/"
    assert operator.get(f"{RESULTS}/0091/?year=2022-2023")["Location"] == f"{RESULTS}/91/2023-01-31/"
    assert operator.get(f"{RESULTS}/91/?date=2023-12-31")["Location"] == f"{RESULTS}/91/2023-12-31/"
    assert operator.get(f"{RESULTS}/?district=091")["Location"] == f"{RESULTS}/91/"
    assert operator.get(f"{RESULTS}/?district=f&date=2024-01-31")["Location"] == f"{RESULTS}/F/2024-01-31/"


@pytest.mark.parametrize(
    ("path", "sentence", "query"),
    [
        (
            "91/2024-02-29/",
            "No data of this date is stored. Run a data-collection job",
            "job=data-collection&from=2024-02-29&to=2024-02-29&cadence=daily&district=91",
        ),
        (
            "91/2024-03-31/",
            "An analytics-generation job computes them from stored snapshots.",
            "job=analytics-generation&from=2024-03-31&to=2024-03-31&district=91",
        ),
        ("92/", "There are no analytics of district 92", "job=analytics-generation&district=92"),
        (
            "91/?year=2010-2011",
            "of district 91 of 2010-2011",
            "job=analytics-generation&from=2010-07-01&to=2011-06-30&district=91",
        ),
        (
            "world/2023-01-31/",
            "World ranking, 31 Jan 2023",
            "job=data-collection&from=2023-01-31&to=2023-01-31&cadence=daily",
        ),
        (
            "world/?year=2022-2023",
            "2022-2023 has no ranking",
            "job=analytics-generation&from=2022-07-01&to=2023-06-30",
        ),
    ],
)
def test_the_page_of_a_missing_result_links_to_the_next_necessary_job(
    computed: BackfillService, operator: Client, operator_for: OperatorFor, path: str, sentence: str, query: str
) -> None:
    computed.storage.snapshots.put(a_district(date(2024, 3, 31), clubs=CLUBS))
    response = operator_for("view_backfilljob", "add_backfilljob").get(f"{RESULTS}/{path}")
    page = html.unescape(response.content.decode())
    assert response.status_code == 404
    assert sentence in page
    assert f"/admin/backfill/?{query}#start" in page
    assert "#start" not in operator.get(f"{RESULTS}/{path}").content.decode()  # without the permission to start


def test_the_page_without_any_results_names_the_first_job(with_analytics: BackfillService, operator: Client) -> None:
    response = operator.get(f"{RESULTS}/", follow=True)
    assert response.status_code == 404
    assert "There is no ranking yet. An analytics-generation job computes one" in response.content.decode()


@pytest.mark.parametrize("path", ["91/2024-02-30/", "xyz/", "0/", "91/yesterday/", "99999/", "92/?year=0000-0001"])
def test_a_path_with_an_invalid_date_or_district_is_not_found(
    computed: BackfillService, operator: Client, path: str
) -> None:
    assert operator.get(f"{RESULTS}/{path}").status_code == 404


def test_an_invalid_district_in_the_search_field_is_reported(computed: BackfillService, operator: Client) -> None:
    response = operator.get(f"{RESULTS}/?district=London")
    assert response.status_code == 422
    assert "A district is a number like 91, or F or U." in response.content.decode()


@pytest.mark.parametrize("path", ["", "91/", "91/2024-01-31/", "world/2024-01-31/"])
def test_result_pages_require_the_permission_to_view_jobs(
    computed: BackfillService, operator_for: OperatorFor, path: str
) -> None:
    assert operator_for("add_backfilljob").get(f"{RESULTS}/{path}").status_code == 403
    assert Client().get(f"{RESULTS}/{path}").status_code == 302


@pytest.mark.parametrize("path", ["91/2024-01-31/", "world/2024-01-31/"])
def test_a_result_page_needs_at_most_fifteen_queries(
    computed: BackfillService, operator: Client, path: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(15):
        assert operator.get(f"{RESULTS}/{path}").status_code == 200


# Real reports


def real_report(name: ReportName, district: str, day: date) -> Report:
    (path,) = (REAL / name / district).glob(f"{day}_*.csv.gz")
    content = gzip.decompress(path.read_bytes())
    return replace(report_of(content), rows=len(list(csv.reader(content.decode().splitlines()))) - 2)


@pytest.mark.skipif(not REAL.is_dir(), reason="The real exports of ../shared/dashboard are missing.")
def test_the_pages_of_district_91_show_the_official_figures_of_the_dashboard(
    with_analytics: BackfillService, operator: Client
) -> None:
    """The June closes of ten program years, compared with the row of the district in each summary."""
    closes = [date(year, 6, 30) for year in range(2015, 2025)]
    for day in closes:
        for district in (SUMMARY, "91"):
            reports = {name: real_report(name, district, day) for name in reports_of(district)}
            with_analytics.storage.snapshots.put(a_snapshot(day, district, data_month=day, reports=reports))
    compute(with_analytics)
    for day in closes:
        rows = with_analytics.history.rows(with_analytics.history.snapshot(day, SUMMARY))
        official = next(row for row in rows if row["DISTRICT"] == "91")
        page = words_of(operator.get(f"{RESULTS}/91/{day}/"))
        base = f"{int(official['Payment Base'].replace(',', '')):,}"
        assert f"base {base}" in page
        assert f"{official['% Distinguished Clubs'].removesuffix('%')} % of the base" in page
        ranking = operator.get(f"{RESULTS}/world/{day}/?sort=district")
        assert f"{len(rows)} districts" in words_of(ranking)
    assert "5 program years" in operator.get(f"{RESULTS}/91/2024-06-30/").content.decode()
