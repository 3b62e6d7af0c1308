"""The coverage map and the coverage table of the admin."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from adminui import responses
from backfill.service.commands import BackfillService
from tests.factories import NOW, CalendarMonthFactory
from tests.integration.admin_pages import OperatorFor, is_free_of_inline_code
from tests.unit.fakes import DAY
from tests.unit.stored_snapshots import a_district, a_summary

MAP = "/admin/backfill/coverage/map/"
TABLE = "/admin/backfill/coverage/"


@pytest.fixture
def stored(served: BackfillService, monkeypatch: pytest.MonkeyPatch) -> BackfillService:
    """Store January 2024 without district 02, and set today to a day in March."""
    monkeypatch.setattr(responses, "now", lambda: NOW)
    snapshots = served.storage.snapshots
    served.storage.calendars.save(CalendarMonthFactory.build(districts=("02", "91")))
    snapshots.put(a_district())
    snapshots.put(a_summary())
    return served


def test_the_map_contains_every_district_and_every_month(stored: BackfillService, operator: Client) -> None:
    response = operator.get(MAP).json()
    assert response["districts"] == ["all", "02", "91"]
    assert (response["first"], response["months"][-1]) == ("2008-07", "Mar 2024")
    january = response["months"].index("Jan 2024")
    assert [row[january] for row in response["cells"]] == ["f", "N", "f"]


def test_the_map_is_sent_again_only_after_a_snapshot_was_stored(stored: BackfillService, operator: Client) -> None:
    first = operator.get(MAP)
    again = operator.get(MAP, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    stored.storage.snapshots.put(a_district(DAY, "02"))
    assert operator.get(MAP, headers={"If-None-Match": first["ETag"]}).status_code == 200


def test_the_table_links_each_gap_to_a_prefilled_form(
    stored: BackfillService, operator: Client, operator_for: OperatorFor
) -> None:
    client = operator_for("view_backfilljob", "add_backfilljob")
    response = client.get(TABLE)
    text = response.content.decode()
    assert "District 2" in text
    assert "?from=2024-01-01&amp;to=2024-01-31&amp;cadence=month-ends&amp;district=2#start" in text
    assert is_free_of_inline_code(response)
    form = client.get("/admin/backfill/?from=2024-01-01&to=2024-01-31&cadence=month-ends&district=2").content.decode()
    assert 'value="2024-01-01"' in form
    assert "#start" not in operator.get(TABLE).content.decode()  # without the permission to start


def test_an_empty_store_is_reported(served: BackfillService, operator: Client) -> None:
    response = operator.get(MAP).json()
    assert response["isEmpty"]
    assert "months are unknown" in response["unknown"]
    assert "Nothing is stored yet" in operator.get(TABLE).content.decode()


@pytest.mark.parametrize("path", [MAP, TABLE])
def test_the_map_and_the_table_require_the_permission_to_view_jobs(operator_for: OperatorFor, path: str) -> None:
    assert operator_for("add_backfilljob").get(path).status_code == 403
    assert Client().get(path).status_code == 302


@pytest.mark.parametrize("path", [MAP, TABLE])
def test_the_map_and_the_table_need_at_most_ten_queries(
    stored: BackfillService, operator: Client, path: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(10):
        assert operator.get(path).status_code == 200


def test_the_page_is_rendered_without_computing_the_map(
    stored: BackfillService, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise AssertionError("The page computes the map.")

    monkeypatch.setattr(type(stored.storage.snapshots), "days", refuse)
    page = operator.get("/admin/backfill/")
    assert page.status_code == 200
    assert f'data-url="{MAP}"' in page.content.decode()
