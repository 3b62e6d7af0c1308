"""The card "Keep complete": the status, the rules in words, the rows of the form, and the preview of the first run."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import pytest
from django.http import QueryDict

from adminui.permissions import Permissions
from adminui.presenters.first_run import first_run
from adminui.presenters.target_panel import (
    TargetPanel,
    changed_text,
    edited_fields,
    rule_text,
    stored_fields,
    submitted_fields,
    target_panel,
)
from adminui.target_forms import RuleValues, TargetForm, edited_rows
from backfill.domain import (
    Cadence,
    CoverageRule,
    CoverageTarget,
    Estimate,
    RateLimits,
    TargetSettings,
    TargetState,
    TargetStatus,
)
from backfill.errors import InvalidRequest
from backfill.service.targets import TargetView

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
ALL = Permissions(can_start=True, can_change=True, can_change_limits=True, can_change_target=True)
MONTH_ENDS = CoverageRule(start=date(2012, 7, 1), cadence=Cadence.MONTH_ENDS, analytics=True)
THIS_YEAR = CoverageRule(start=None, cadence=Cadence.DAILY, districts=("41", "42", "43", "60", "F"))
SETTINGS = TargetSettings(
    enabled=True, daily_at=time(6, 30), note="for the report", rules=(MONTH_ENDS, THIS_YEAR), monthly_requests=20_000
)
TARGET = CoverageTarget(settings=SETTINGS, version=3, updated_at=NOW - timedelta(minutes=5), updated_by="alice")
FORM = (
    "version=3&daily_at=06:30&monthly_requests=20000&note=hello&rules-TOTAL_FORMS=2"
    "&rules-0-begins=date&rules-0-start=2012-07-01&rules-0-cadence=month-ends&rules-0-districts=&rules-0-analytics=on"
    "&rules-1-begins=program-year&rules-1-start=&rules-1-cadence=daily&rules-1-districts=41-43, 60 and F"
)


def panel_of(state: TargetState, target: CoverageTarget = TARGET, missing: int = 2) -> TargetPanel:
    status = TargetStatus(
        state=state,
        sentence="The status.",
        missing={"HTML_PAGE": missing} if missing else {},
        last_check_at=NOW - timedelta(hours=6),
        last_job_id=UUID(int=1),
    )
    return target_panel(TargetView(target, status), ALL, NOW, zone="Europe/Berlin")


# The card.


@pytest.mark.parametrize(
    ("state", "style", "icon"),
    [
        (TargetState.OFF, "neutral", "pause"),
        (TargetState.COMPLETE, "ok", "check"),
        (TargetState.INCOMPLETE, "warn", "warn"),
        (TargetState.COLLECTING, "info", "play"),
    ],
)
def test_each_state_has_its_colour_and_icon_next_to_the_sentence(state: TargetState, style: str, icon: str) -> None:
    panel = panel_of(state)
    assert (panel.style, panel.icon, panel.sentence) == (style, icon, "The status.")


def test_the_first_check_is_no_warning() -> None:
    panel = panel_of(TargetState.INCOMPLETE, missing=0)
    assert (panel.style, panel.icon) == ("info", "clock")


def test_the_card_shows_the_rules_the_schedule_and_who_changed_them() -> None:
    panel = panel_of(TargetState.COMPLETE)
    assert panel.rules == [
        "Month-ends since 1 Jul 2012, all districts, with analytics",
        "Every day of the current program year, districts 41 to 43, 60 and F",
    ]
    assert panel.schedule == "Checked daily at 06:30 (Europe/Berlin), with at most 20,000 requests a month"
    assert panel.details == ["Last check at 06:00.", "Changed at 11:55 by alice."]
    assert (panel.note, panel.job_id) == ("for the report", str(UUID(int=1)))
    assert (panel.is_enabled, panel.can_change, panel.read_only, panel.is_open) == (True, True, "", False)


def test_a_target_that_was_never_set_begins_with_one_rule_in_the_form() -> None:
    panel = panel_of(TargetState.OFF, CoverageTarget())
    assert (panel.rules, panel.is_enabled) == ([], False)
    (row,) = panel.fields.rows
    assert [choice.value for choice in row.cadences if choice.is_chosen] == ["month-ends"]
    assert (panel.fields.daily_at, panel.fields.monthly_requests, panel.fields.version) == ("06:00", "", "0")


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (CoverageRule(start=date(2024, 7, 1)), "Every day since 1 Jul 2024, all districts"),
        (CoverageRule(start=None, districts=("F",)), "Every day of the current program year, district F"),
        (
            CoverageRule(start=date(2012, 7, 1), cadence=Cadence.YEAR_ENDS, analytics=True),
            "Year-ends since 1 Jul 2012, all districts, with analytics",
        ),
    ],
)
def test_a_rule_is_written_in_words(rule: CoverageRule, text: str) -> None:
    assert rule_text(rule) == text


def test_a_lost_update_says_who_changed_the_target_and_what_to_do() -> None:
    assert changed_text(TARGET, NOW) == (
        "The rules were changed at 11:55 by alice since you opened this form. What they are now is shown above; your "
        "entries are kept below. Preview again to replace the rules by your entries."
    )


# The form.


def test_the_stored_settings_fill_the_form_which_gives_the_same_settings() -> None:
    fields = stored_fields(TARGET)
    data = QueryDict(mutable=True)
    data.update(
        {name: getattr(fields, name) for name in ("version", "daily_at", "monthly_requests", "note")}
        | {"rules-TOTAL_FORMS": str(len(fields.rows))}
    )
    for row in fields.rows:
        values = RuleValues.of(SETTINGS.rules[row.index])
        data.update({f"{row.prefix}-{name}": value for name, value in asdict(values).items()})
    form = TargetForm(data)
    assert form.is_valid()
    assert (form.settings(enabled=True), form.version) == (SETTINGS, 3)


def test_the_form_accepts_ranges_of_districts_and_no_limit_of_requests() -> None:
    form = TargetForm(QueryDict(FORM.replace("monthly_requests=20000", "monthly_requests=")))
    assert form.is_valid()
    settings = form.settings(enabled=False)
    assert settings.rules == (MONTH_ENDS, THIS_YEAR)
    assert (settings.monthly_requests, settings.note, settings.enabled) == (None, "hello", False)


@pytest.mark.parametrize(
    ("before", "after", "field", "message"),
    [
        ("start=2012-07-01", "start=", "start", "Enter a date, or choose this program year."),
        ("start=2012-07-01", "start=2012-02-30", "start", "Enter a valid date."),
        ("41-43", "43-41", "districts", "Write a range from the smaller number to the larger one"),
        ("cadence=daily", "cadence=weekly", "cadence", "weekly is not one of the available choices"),
        ("begins=date", "begins=never", "begins", "never is not one of the available choices"),
    ],
)
def test_an_invalid_rule_is_reported_at_its_field(before: str, after: str, field: str, message: str) -> None:
    form = TargetForm(QueryDict(FORM.replace(before, after)))
    assert not form.is_valid()
    (errors,) = [row.errors for row in submitted_fields(form).rows if row.errors]
    assert list(errors) == [field]
    assert message in errors[field][0]


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ("daily_at=06:30", "daily_at=25:00", "daily_at"),
        ("daily_at=06:30", "daily_at=", "daily_at"),
        ("monthly_requests=20000", "monthly_requests=many", "monthly_requests"),
        ("note=hello", "note=" + "x" * 501, "note"),
        ("version=3", "version=", "version"),
    ],
)
def test_an_invalid_setting_is_reported_at_its_field(before: str, after: str, field: str) -> None:
    form = TargetForm(QueryDict(FORM.replace(before, after)))
    assert not form.is_valid()
    assert list(submitted_fields(form).errors) == [field]


def test_messages_of_the_domain_are_shown_at_the_fields_that_they_name() -> None:
    form = TargetForm(QueryDict(FORM))
    assert form.is_valid()
    form.add_domain_errors(
        InvalidRequest(
            {
                "rules": [
                    "rules[0].from must not be before 2008-07-01, the first day on the dashboard.",
                    "rules[1].districts: the dashboard has no district 999; leave it out.",
                    "rules must not contain more than 20 rules; it has 21.",
                ],
                "monthlyRequests": ["monthlyRequests must be between 1 and 10,000,000; it was 0."],
            }
        )
    )
    fields = submitted_fields(form)
    assert [row.errors for row in fields.rows] == [
        {"start": ["Must not be before 2008-07-01, the first day on the dashboard."]},
        {"districts": ["The dashboard has no district 999; leave it out."]},
    ]
    assert fields.rule_errors == ["rules must not contain more than 20 rules; it has 21."]
    assert fields.errors == {"monthly_requests": ["“Requests a month” must be between 1 and 10,000,000; it was 0."]}


def test_a_rule_is_added_or_removed_without_checking_the_form() -> None:
    data = QueryDict(f"{FORM}&add_rule=yes".replace("start=2012-07-01", "start=never"))
    rows = edited_rows(data)
    assert rows is not None
    fields = edited_fields(data, rows)
    assert [(row.number, row.start, row.has_focus) for row in fields.rows] == [
        (1, "never", False),
        (2, "", False),
        (3, "", True),
    ]
    assert (fields.note, fields.version) == ("hello", "3")
    removed = edited_rows(QueryDict(f"{FORM}&remove_rule=0"))
    assert removed == [RuleValues("program-year", "", "daily", "41-43, 60 and F", "")]
    assert edited_rows(QueryDict(FORM)) is None


@pytest.mark.parametrize("count", ["", "-1", "many", "1000000"])
def test_a_forged_number_of_rules_is_harmless(count: str) -> None:
    form = TargetForm(QueryDict(FORM.replace("rules-TOTAL_FORMS=2", f"rules-TOTAL_FORMS={count}")))
    assert len(form.rows) <= 100


# The preview of the first run.


def test_the_preview_shows_items_requests_and_duration_at_the_current_limits() -> None:
    run = first_run(
        SETTINGS,
        items=41_000,
        requests=123_000,
        duration=Estimate(seconds=123_000, low=120_000, high=150_000),
        limits=RateLimits(max_requests_per_minute=60),
        was_enabled=False,
        zone="UTC",
    )
    assert [(figure.label, figure.value, figure.note) for figure in run.figures] == [
        ("Items to fetch", "41,000", "missing now"),
        ("Requests", "123,000", "at most 60 a minute"),
        ("Duration", "about 1 day 10 h", "1 day 9 h to 1 day 17 h"),
    ]
    texts = {row.label: row.value for row in run.rows}
    assert texts["Limit a month"].startswith("The first run spreads over 7 months")
    assert (run.confirm, run.heading) == ("Turn on", "Keep this complete?")


def test_the_preview_of_a_complete_target_has_nothing_to_fetch() -> None:
    run = first_run(
        TargetSettings(enabled=True, rules=(THIS_YEAR,)),
        items=0,
        requests=0,
        duration=Estimate(seconds=0, low=0, high=0),
        limits=RateLimits(),
        was_enabled=True,
        zone="UTC",
    )
    assert run.figures[2].value == "Nothing to fetch"
    assert [row.label for row in run.rows] == ["Kept complete", "Checks"]
    assert run.confirm == "Save the changes"
