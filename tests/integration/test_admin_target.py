"""The card "Keep complete" of the admin: permissions, the form, lost updates, and the page without scripts."""

from __future__ import annotations

import json
import re
from datetime import date

import pytest
from django.test import Client

from backfill.domain import Actor, Cadence, Channel, CoverageRule, TargetSettings
from backfill.service.commands import BackfillService
from tests.integration.admin_pages import OperatorFor

pytestmark = pytest.mark.django_db

SECTION = "/admin/backfill/"
KEEP = f"{SECTION}keep/"
HTMX = {"HX-Request": "true"}
BY = Actor("bob", Channel.API)
RULE = CoverageRule(start=date(2024, 1, 30), cadence=Cadence.MONTH_ENDS, analytics=True)
FORM = {
    "version": "0",
    "daily_at": "05:30",
    "monthly_requests": "",
    "note": "for the report",
    "rules-TOTAL_FORMS": "1",
    "rules-0-begins": "date",
    "rules-0-start": "2024-01-30",
    "rules-0-cadence": "month-ends",
    "rules-0-districts": "",
    "rules-0-analytics": "on",
}
ACTIONS = ("preview/", "save/", "off/", "check/")


@pytest.fixture
def keeper(operator_for: OperatorFor) -> Client:
    """A client of an operator who may change the coverage target."""
    return operator_for("view_backfilljob", "change_coveragetarget")


def text_of(response: object) -> str:
    return re.sub(r"\s+", " ", response.content.decode())  # type: ignore[attr-defined]


def turn_on(service: BackfillService) -> None:
    service.targets.replace(TargetSettings(enabled=True, rules=(RULE,)), by=BY, expected_version=None)


# Permissions.


def test_the_card_is_above_the_coverage_and_read_only_without_the_permission(
    served: BackfillService, operator: Client
) -> None:
    turn_on(served)
    page = text_of(operator.get(SECTION))
    assert page.index('id="start"') < page.index('id="keep"') < page.index('id="coverage"')
    card = page[page.index('id="keep"') : page.index('id="coverage"')]
    assert "Month-ends since 30 Jan 2024, all districts, with analytics" in card
    assert "To change what is kept complete, ask an administrator for “" in card
    assert "Can change coverage target" in card
    assert "<button" not in card
    assert "<form" not in card


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_without_the_permission_is_refused_and_changes_nothing(
    served: BackfillService, operator: Client, action: str
) -> None:
    turn_on(served)
    before = served.targets.get().target
    response = operator.post(KEEP + action, FORM, headers=HTMX)
    assert response.status_code == 403
    assert "Can change coverage target" in text_of(response)
    assert served.targets.get().target == before


# Turning it on and off.


def test_a_saved_form_turns_the_target_on_and_the_card_shows_it(served: BackfillService, keeper: Client) -> None:
    response = keeper.post(f"{KEEP}save/", FORM, headers=HTMX)
    assert (response.status_code, response["HX-Retarget"]) == (200, "#keep")
    done = json.loads(response["HX-Trigger-After-Swap"])["bf-action-done"]
    assert done == {"message": "Turned on; the first check starts now.", "focus": "bf-keep-title"}
    target = served.targets.get().target
    assert target.settings.rules == (RULE,)
    assert (target.settings.enabled, f"{target.settings.daily_at:%H:%M}") == (True, "05:30")
    card = text_of(response)
    assert "Checked daily at 05:30 (UTC)" in card
    assert "Note: for the report" in card
    assert 'id="bf-keep-check"' in card


def test_turning_it_off_keeps_the_rules(served: BackfillService, keeper: Client) -> None:
    turn_on(served)
    card = text_of(keeper.post(f"{KEEP}off/", headers=HTMX))
    assert "Off: nothing is collected automatically." in card
    assert "Collected when it is turned on" in card
    settings = served.targets.get().target.settings
    assert (settings.enabled, settings.rules) == (False, (RULE,))


def test_a_check_is_requested_only_while_it_is_on(served: BackfillService, keeper: Client) -> None:
    response = keeper.post(f"{KEEP}check/", headers=HTMX)
    assert response.status_code == 422
    assert "The coverage target is off" in text_of(response)
    turn_on(served)
    assert keeper.post(f"{KEEP}check/", headers=HTMX).status_code == 204
    assert served.storage.targets.keeper().requested_at is not None


# Invalid input and lost updates.


@pytest.mark.parametrize("action", ["preview/", "save/"])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rules-0-start": ""}, "Enter a date, or choose this program year."),
        ({"rules-0-start": "2001-01-01"}, "Must not be before 2008-07-01"),
        ({"rules-0-start": "2999-01-01"}, "Must not be after today"),
        ({"rules-0-districts": "20-10"}, "from the smaller number to the larger one"),
        ({"rules-0-cadence": "weekly"}, "not one of the available choices"),
        ({"daily_at": "24:00"}, "Enter a valid time."),
        ({"monthly_requests": "0"}, "must be between 1 and 10,000,000"),
        ({"rules-TOTAL_FORMS": "0"}, "rules must contain at least one rule"),
        ({"rules-TOTAL_FORMS": "-1"}, "rules must contain at least one rule"),
        ({"rules-TOTAL_FORMS": "9" * 5000}, "rules must contain at least one rule"),
        ({"version": "9" * 5000}, "Reload the page and try again."),
        ({"note": "a\nb"}, "The note must be one line"),
    ],
)
def test_invalid_input_is_shown_in_the_open_form_and_nothing_is_saved(
    served: BackfillService, keeper: Client, action: str, changed: dict[str, str], message: str
) -> None:
    response = keeper.post(KEEP + action, {**FORM, **changed}, headers=HTMX)
    assert (response.status_code, response["HX-Retarget"]) == (422, "#keep")
    card = text_of(response)
    assert message in card
    assert re.search(r'<details class="bf-block" id="bf-keep-edit" open', card)
    assert served.targets.get().target.version == 0


def test_a_lost_update_is_shown_with_the_entries_and_can_be_repeated(served: BackfillService, keeper: Client) -> None:
    turn_on(served)
    response = keeper.post(f"{KEEP}save/", FORM, headers=HTMX)
    assert response.status_code == 412
    card = text_of(response)
    assert "Nothing was saved." in card
    assert "by bob since you opened this form" in card
    assert 'value="for the report"' in card
    stored = served.targets.get().target
    assert stored.updated_by == "bob"
    assert f'name="version" value="{stored.version}"' in card

    again = keeper.post(f"{KEEP}save/", {**FORM, "version": str(stored.version)}, headers=HTMX)
    assert again.status_code == 200
    assert served.targets.get().target.settings.note == "for the report"


def test_a_rule_is_added_and_removed_without_losing_entries(keeper: Client) -> None:
    added = text_of(keeper.post(f"{KEEP}preview/", {**FORM, "add_rule": "yes"}, headers=HTMX))
    assert 'name="rules-TOTAL_FORMS" value="2"' in added
    assert 'value="2024-01-30"' in added
    removed = text_of(keeper.post(f"{KEEP}preview/", {**FORM, "remove_rule": "0"}, headers=HTMX))
    assert 'name="rules-TOTAL_FORMS" value="0"' in removed
    assert 'value="for the report"' in removed


# Without scripts.


def test_without_scripts_the_form_is_a_page_and_saving_returns_to_the_section(
    served: BackfillService, keeper: Client
) -> None:
    page = keeper.post(f"{KEEP}preview/", {**FORM, "add_rule": "yes"})
    assert page.status_code == 200
    assert "<html" in text_of(page)
    assert 'name="rules-TOTAL_FORMS" value="2"' in text_of(page)
    response = keeper.post(f"{KEEP}save/", FORM)
    assert (response.status_code, response["Location"]) == (302, f"{SECTION}#keep")
    assert served.targets.get().target.settings.enabled


def test_the_status_is_a_fragment_without_the_form(served: BackfillService, keeper: Client) -> None:
    turn_on(served)
    fragment = text_of(keeper.get(KEEP, headers=HTMX))
    assert "The first check is due." in fragment
    assert "bf-keep-form" not in fragment
