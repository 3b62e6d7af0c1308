"""The coverage map and its table, as the admin answers them."""

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
    """January 2024 is whole but for district 02, and today is in March."""
    monkeypatch.setattr(responses, "now", lambda: NOW)
    snapshots = served.storage.snapshots
    served.storage.calendars.save(CalendarMonthFactory.build(districts=("02", "91")))
    snapshots.put(a_district())
    snapshots.put(a_summary())
    return served


def test_the_map_has_a_row_for_each_district_and_the_whole_history(stored: BackfillService, operator: Client) -> None:
    answer = operator.get(MAP).json()
    assert answer["districts"] == ["all", "02", "91"]
    assert (answer["first"], answer["months"][-1]) == ("2008-07", "Mar 2024")
    january = answer["months"].index("Jan 2024")
    assert [row[january] for row in answer["cells"]] == ["f", "N", "f"]


def test_the_map_is_not_sent_again_before_something_is_stored(stored: BackfillService, operator: Client) -> None:
    first = operator.get(MAP)
    again = operator.get(MAP, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    stored.storage.snapshots.put(a_district(DAY, "02"))
    assert operator.get(MAP, headers={"If-None-Match": first["ETag"]}).status_code == 200


def test_the_table_says_the_same_and_leads_to_a_filled_form(
    stored: BackfillService, operator: Client, operator_for: OperatorFor
) -> None:
    starter = operator_for("view_backfilljob", "add_backfilljob")
    answer = starter.get(TABLE)
    text = answer.content.decode()
    assert "District 2" in text
    assert "?from=2024-01-01&amp;to=2024-01-31&amp;cadence=month-ends&amp;district=2#start" in text
    assert is_free_of_inline_code(answer)
    form = starter.get("/admin/backfill/?from=2024-01-01&to=2024-01-31&cadence=month-ends&district=2").content.decode()
    assert 'value="2024-01-01"' in form
    assert "#start" not in operator.get(TABLE).content.decode()  # for one who may not start


def test_an_empty_store_says_what_to_do(served: BackfillService, operator: Client) -> None:
    answer = operator.get(MAP).json()
    assert answer["isEmpty"]
    assert "months are unknown" in answer["unknown"]
    assert "Nothing is stored yet" in operator.get(TABLE).content.decode()


@pytest.mark.parametrize("path", [MAP, TABLE])
def test_to_look_needs_the_permission_of_the_api(operator_for: OperatorFor, path: str) -> None:
    assert operator_for("add_backfilljob").get(path).status_code == 403
    assert Client().get(path).status_code == 302


@pytest.mark.parametrize("path", [MAP, TABLE])
def test_few_queries_make_the_map(
    stored: BackfillService, operator: Client, path: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(10):
        assert operator.get(path).status_code == 200


def test_what_the_page_itself_shows_does_not_wait_for_the_map(
    stored: BackfillService, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise AssertionError("The page looked through the whole history.")

    monkeypatch.setattr(type(stored.storage.snapshots), "days", refuse)
    page = operator.get("/admin/backfill/")
    assert page.status_code == 200
    assert f'data-url="{MAP}"' in page.content.decode()
