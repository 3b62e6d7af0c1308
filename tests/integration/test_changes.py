"""The differences between two stored dates, over the API, on the command line and in the admin."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any

import pytest
from django.test import Client

from backfill.service.commands import BackfillService
from tests.integration.admin_pages import OperatorFor, is_free_of_inline_code
from tests.integration.checked_client import CheckedClient
from tests.integration.conftest import ClientFor
from tests.integration.test_admin_results import words_of
from tests.integration.test_command_line import error_of, json_of, output_of
from tests.unit.analytics.builders import AClub
from tests.unit.stored_snapshots import a_district, a_summary, broken

MARCH, JUNE, JULY = date(2026, 3, 31), date(2026, 6, 30), date(2026, 7, 31)
CHANGES = "/api/changes"
PAGE = "/admin/backfill/results/91/changes/"


def club(number: int, **cells: Any) -> AClub:
    return AClub(**{"number": f"{number:08d}", "name": f"Club {number}", "plan": "Y", **cells})


@pytest.fixture
def stored(served: BackfillService) -> BackfillService:
    """Return a service with a district in March, June and July 2026, and the other districts of June and July.

    Clubs 1 to 4 are in district 91. In June club 2 is suspended, club 3 is in another area, club 4 is missing and club
    5 is new. In July district 06 is dissolved, its club 9 is in district 91, and club 1 is in the new district 201.
    """
    paid = {"Total to Date": "20"}
    march = [club(number, goals="4", paid=paid) for number in (1, 2, 3, 4)]
    june = [
        club(1, goals="6", members="25", code="D", paid={"Total to Date": "41"}),
        club(2, status="Suspended", paid=paid),
        club(3, area="02", goals="4", paid=paid),
        club(5, name="=1+1", charter="Charter 05/05/26"),
    ]
    july = [club(3, area="02"), club(5), club(9, members="17", paid={"Total to Date": "2"})]
    for snapshot in (
        a_district(MARCH, clubs=march, dates=False, as_of=MARCH),
        a_district(JUNE, clubs=june, dates=False, as_of=JUNE),
        a_district(JUNE, "06", clubs=[club(9, members="16", paid=paid)], as_of=JUNE),
        a_summary(JUNE, {}, {"DISTRICT": "06"}, as_of=JUNE),
        a_district(JULY, clubs=july, dates=False, as_of=JULY),
        a_district(JULY, "201", clubs=[club(1, division="X")], as_of=JULY),
        a_summary(JULY, {}, {"DISTRICT": "201"}, {"DISTRICT": "202"}, as_of=JULY),
    ):
        served.storage.snapshots.put(snapshot)
    return served


def changes_of(api: CheckedClient, first: date, last: date, district: str = "91") -> dict[str, Any]:
    response = api.get(f"{CHANGES}?from={first}&to={last}&district={district}")
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


def api_error_of(response: Any) -> dict[str, Any]:
    error: dict[str, Any] = response.json()["error"]
    return error


def numbers(clubs: list[dict[str, Any]]) -> list[str]:
    return [each["clubNumber"] for each in clubs]


# The API.


def test_each_change_is_listed(api: CheckedClient, stored: BackfillService) -> None:
    changes = changes_of(api, MARCH, JUNE)
    assert {kind: numbers(changes[kind]) for kind in ("new", "closed", "moved", "suspended", "reopened")} == {
        "new": ["5"],
        "closed": ["4"],
        "moved": ["3"],
        "suspended": ["2"],
        "reopened": [],
    }
    assert changes["new"][0]["to"]["charterDate"] == "2026-05-05"
    assert (changes["moved"][0]["from"]["area"], changes["moved"][0]["to"]["area"]) == ("01", "02")
    assert changes["levelsGained"] == [
        {"clubNumber": "1", "clubName": "Club 1", "basis": basis, "from": None, "to": "distinguished"}
        for basis in ("reported", "qualifying")
    ]
    first = changes["clubs"][0]
    assert (first["members"], first["payments"]) == (
        {"from": 20, "to": 25, "change": 5},
        {"from": 20, "to": 41, "change": 21},
    )
    assert changes["totals"]["clubs"] == {"from": 4, "to": 3, "change": -1}
    assert (changes["isSameProgramYear"], changes["isComplete"]) == (True, False)
    assert changes["notes"] == [
        "The district summary of 2026-03-31 is not stored, so clubs may be in districts that were not searched."
    ]


def test_clubs_are_followed_into_other_districts(api: CheckedClient, stored: BackfillService) -> None:
    changes = changes_of(api, JUNE, JULY)
    moved = {each["clubNumber"]: each for each in changes["moved"]}
    assert {number: (each["from"]["districtId"], each["to"]["districtId"]) for number, each in moved.items()} == {
        "1": ("91", "201"),
        "9": ("06", "91"),
    }
    assert moved["9"]["members"] == {"from": 16, "to": 17, "change": 1}
    assert moved["9"]["payments"] == {"from": 20, "to": 2, "change": None}
    assert numbers(changes["closed"]) == ["2"]
    assert not changes["isSameProgramYear"]
    assert "Payments, goals and levels restart on 1 July" in changes["notes"][0]
    assert "On 1 July 2026 districts were reorganised" in changes["notes"][1]
    assert changes["notes"][2] == "Clubs may be in districts without a readable snapshot on 2026-07-31: 202."


def test_a_district_that_was_formed_or_dissolved_is_compared(api: CheckedClient, stored: BackfillService) -> None:
    formed = changes_of(api, JUNE, JULY, "201")
    assert (formed["from"]["exists"], formed["from"]["asOf"]) == (False, None)
    assert [each["from"]["districtId"] for each in formed["moved"]] == ["91"]
    assert formed["totals"]["members"] == {"from": None, "to": 20, "change": None}
    dissolved = changes_of(api, JUNE, JULY, "6")
    assert (dissolved["to"]["exists"], numbers(dissolved["moved"])) == (False, ["9"])
    assert "District 06 did not exist on 2026-07-31" in dissolved["notes"][2]


def test_unreadable_districts_are_named(api: CheckedClient, stored: BackfillService) -> None:
    damaged = broken(a_district(JULY, "201", clubs=[club(1)], as_of=date(2026, 8, 5)))
    assert stored.storage.snapshots.put(damaged)
    changes = changes_of(api, JUNE, JULY)
    assert numbers(changes["closed"]) == ["1", "2"]
    assert changes["notes"][-1].endswith("on 2026-07-31: 201, 202.")


def test_changes_have_an_etag_and_are_csv_on_request(api: CheckedClient, stored: BackfillService) -> None:
    address = f"{CHANGES}?from={MARCH}&to={JUNE}&district=91"
    etag = api.get(address)["ETag"]
    assert api.get(address, HTTP_IF_NONE_MATCH=etag).status_code == 304
    rows = list(csv.DictReader(io.StringIO(api.get(address, HTTP_ACCEPT="text/csv").content.decode())))
    assert [(row["club_number"], row["changes"], row["members_change"]) for row in rows] == [
        ("1", "", "5"),
        ("2", "suspended", "0"),
        ("3", "moved", "0"),
        ("4", "closed", ""),
        ("5", "new", ""),
    ]
    assert rows[0]["levels_gained"] == "reported distinguished, qualifying distinguished"
    assert rows[4]["club_name"] == "'=1+1"


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("", "VALIDATION_ERROR", "district is required."),
        ("from=2026-03-31&district=91", "VALIDATION_ERROR", "to is required."),
        ("from=2026-06-30&to=2026-03-31&district=91", "INVALID_DATE_RANGE", "must be before the second"),
        ("from=2026-06-30&to=2026-06-30&district=91", "INVALID_DATE_RANGE", "must be after the first"),
        ("from=2026-02-30&to=2026-06-30&district=91", "VALIDATION_ERROR", "from must be a day of the calendar"),
        ("from=2026-03-31&to=2026-06-30&district=all", "VALIDATION_ERROR", "district"),
        ("from=2026-03-31&to=2026-06-30&district=91&x=1", "VALIDATION_ERROR", "x is not a parameter"),
    ],
)
def test_an_invalid_query_is_refused(
    api: CheckedClient, stored: BackfillService, query: str, code: str, message: str
) -> None:
    response = api.get(f"{CHANGES}?{query}")
    assert response.status_code == 400
    assert api_error_of(response)["code"] == code
    assert message in api_error_of(response)["message"]


@pytest.mark.parametrize(
    ("first", "last", "nearest"),
    [
        ("2026-04-15", "2026-06-30", "The nearest stored dates are 2026-03-31 and 2026-06-30."),
        ("2026-03-31", "2026-09-30", "The nearest stored date is 2026-07-31."),
        ("2025-06-30", "2026-06-30", "The nearest stored date is 2026-03-31."),
    ],
)
def test_a_date_that_is_not_stored_names_the_nearest_ones(
    api: CheckedClient, stored: BackfillService, first: str, last: str, nearest: str
) -> None:
    response = api.get(f"{CHANGES}?from={first}&to={last}&district=91")
    assert response.status_code == 404
    assert api_error_of(response)["code"] == "SNAPSHOT_NOT_FOUND"
    assert nearest in api_error_of(response)["message"]
    assert api_error_of(response)["details"]["nearest"] == [
        word.rstrip(".") for word in nearest.split() if word[0].isdigit()
    ]


def test_an_unknown_district_is_refused(api: CheckedClient, stored: BackfillService) -> None:
    response = api.get(f"{CHANGES}?from={MARCH}&to={JUNE}&district=77")
    assert response.status_code == 404
    assert "No snapshot of district 77 is stored." in api_error_of(response)["message"]


def test_a_damaged_snapshot_is_an_error_that_says_what_to_do(api: CheckedClient, stored: BackfillService) -> None:
    stored.storage.snapshots.put(broken(a_district(JUNE, as_of=date(2026, 7, 20))))
    response = api.get(f"{CHANGES}?from={MARCH}&to={JUNE}&district=91")
    assert "Collect that date again with skipExisting set to false." in api_error_of(response)["message"]


def test_changes_need_the_permission_to_view(client_for: ClientFor, stored: BackfillService) -> None:
    assert client_for().get(f"{CHANGES}?from={MARCH}&to={JUNE}&district=91").status_code == 403


# The command line.

OPTIONS = ("--district", "91", "--from", str(MARCH), "--to", str(JUNE))


def test_the_command_prints_the_changes(stored: BackfillService) -> None:
    text = output_of("changes", *OPTIONS)
    assert "members    80 -> 65 (-15)" in text
    assert "Moved: 1 club\n  3 Club 3: district 91, division A, area 01 -> district 91, division A, area 02" in text
    assert "Levels gained: 2\n  1 Club 1: reported none -> distinguished" in text


def test_the_command_prints_the_json_of_the_api_and_csv(api: CheckedClient, stored: BackfillService) -> None:
    assert json_of("changes", *OPTIONS) == changes_of(api, MARCH, JUNE)
    assert output_of("changes", *OPTIONS, "--csv").splitlines()[0].startswith("club_number,club_name,changes,")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((*OPTIONS, "--json", "--csv"), "Use --json or --csv, not both."),
        (("--district", "91", "--from", "x", "--to", "2026-06-30"), "--from must be a date like 2024-01-31"),
        (("--district", "91", "--from", "2026-06-30", "--to", "2026-03-31"), "must be before the second"),
        (("--district", "91", "--from", "2026-04-30", "--to", "2026-06-30"), "The nearest stored dates are"),
        (("--district", "x1", "--from", "2026-04-30", "--to", "2026-06-30"), "x1"),
    ],
)
def test_invalid_options_are_one_line(stored: BackfillService, options: tuple[str, ...], message: str) -> None:
    error = error_of("changes", *options)
    assert message in error
    assert "\n" not in error


# The admin.


def test_the_page_shows_the_changes_of_the_last_two_dates(operator: Client, stored: BackfillService) -> None:
    response = operator.get(PAGE)
    words = words_of(response)
    assert "Changes of district 91" in words
    assert "30 Jun 2026 to 31 Jul 2026" in words
    assert "Moved clubs" in words
    assert "District 06, division A, area 01 District 91, division A, area 01" in words
    assert "On 1 July 2026 districts were reorganised" in words
    assert is_free_of_inline_code(response)


def test_the_page_compares_the_chosen_dates(operator: Client, stored: BackfillService) -> None:
    response = operator.get(f"{PAGE}?from={MARCH}&to={JUNE}")
    words = words_of(response)
    for text in ("New clubs", "Closed clubs", "Suspended clubs", "Levels gained", "=1+1 (5)", "Members and payments"):
        assert text in words, text
    assert (
        'href="/admin/backfill/results/91/changes.csv?from=2026-03-31&amp;to=2026-06-30"' in response.content.decode()
    )


def test_dates_that_cannot_be_compared_are_explained(operator: Client, stored: BackfillService) -> None:
    for query, status, text in (
        ("from=2026-04-30&to=2026-06-30", 404, "The nearest stored dates are 2026-03-31 and 2026-06-30."),
        ("from=2026-06-30&to=2026-03-31", 422, "must be before the second"),
        ("from=2026-06-30", 200, "Enter two dates"),
        ("from=x&to=y", 200, "30 Jun 2026 to 31 Jul 2026"),
    ):
        for page in (PAGE, PAGE.replace("changes/", "changes.csv")):
            response = operator.get(f"{page}?{query}")
            if page != PAGE and "x" in query:
                continue
            assert response.status_code == status
            assert text in response.content.decode()


def test_a_district_without_snapshots_has_a_page(operator: Client, stored: BackfillService) -> None:
    response = operator.get(PAGE.replace("91", "77"))
    assert "Enter two dates with a stored snapshot of the district." in words_of(response)


def test_the_csv_file_has_a_byte_order_mark(operator: Client, stored: BackfillService) -> None:
    response = operator.get(f"{PAGE.replace('changes/', 'changes.csv')}?from={MARCH}&to={JUNE}")
    assert response.content.startswith(b"\xef\xbb\xbfclub_number,")
    assert response["Content-Disposition"] == 'attachment; filename="changes-91-2026-03-31-2026-06-30.csv"'


def test_the_page_needs_the_permission_to_view(operator_for: OperatorFor, stored: BackfillService) -> None:
    assert operator_for().get(PAGE).status_code == 403
