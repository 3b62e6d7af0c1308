"""Analytics and coverage on the command line."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from backfill.domain import JobType
from backfill.service.commands import BackfillService
from backfill.storage import open_storage
from tests.factories import CalendarMonthFactory
from tests.integration.fake_job_type import FakeHandler, fake_service
from tests.integration.test_api_analytics import analytics_handler, compute_everything
from tests.integration.test_command_line import error_of, json_of, output_of, without_metadata
from tests.unit.fakes import DAY
from tests.unit.stored_snapshots import a_district, a_summary

TYPE = ("--type", "analytics-generation")


@pytest.fixture
def service(db: None, monkeypatch: pytest.MonkeyPatch) -> BackfillService:
    """Return a service with the snapshots of a close, and the calendars of its month and the month before."""
    storage = open_storage("orm")
    with_collection = fake_service(storage, FakeHandler())
    service = replace(
        with_collection, handlers={**with_collection.handlers, JobType.ANALYTICS_GENERATION: analytics_handler(storage)}
    )
    monkeypatch.setattr("backfill.bootstrap.backfill_service", lambda: service)
    for snapshot in (a_district(), a_district(district="F"), a_summary()):
        storage.snapshots.put(snapshot)
    for end in (date(2023, 12, 31), DAY):
        storage.calendars.save(CalendarMonthFactory.build(month_end=end, districts=("02", "91", "F")))
    return service


@pytest.fixture
def computed(service: BackfillService) -> BackfillService:
    output_of("start", *TYPE)
    compute_everything(service)
    return service


def test_a_preview_of_analytics_shows_the_items_to_compute(service: BackfillService) -> None:
    """R4.2, R11.2"""
    text = output_of("preview", *TYPE)
    assert "analytics-generation" in text
    assert "requests   none" in text
    assert "items      3" in text
    assert "start --type analytics-generation --cadence daily --plan-id plan-3-0-0-" in text


def test_a_preview_shows_unchanged_and_outdated_results(computed: BackfillService) -> None:
    computed.storage.snapshots.put(a_district(as_of=date(2024, 2, 12)))
    assert "items      3, skipped: 2 unchanged, outdated and computed again: 1" in output_of("preview", *TYPE)


def test_the_status_of_a_job_lists_inconsistent_figures(computed: BackfillService) -> None:
    text = output_of("status")
    assert "inconsistent figures, listed in the results: " in text
    assert "SUMMARY_MISSING" in text


def test_coverage_prints_a_map_of_districts_and_months(computed: BackfillService) -> None:
    text = output_of("coverage", "--from", "2023-12-01", "--to", "2024-01-31")
    span, *lines = text.splitlines()
    assert span == "Closings from Dec 2023 to Jan 2024 (change it with --from and --to):"
    assert "- outside the range" in " ".join(text.split())
    assert lines[0].split() == ["District", "2023-2024", "Snapshots", "Analytics"]
    rows = {line.split()[0]: line[lines[0].index("2023-2024") :] for line in lines[1:5]}
    assert {name: row[:12] for name, row in rows.items()} == {
        "all": "-----.A-----",
        "02": "-----..-----",
        "91": "-----.A-----",
        "F": "-----.A-----",
    }
    assert rows["91"].split()[-2:] == ["1", "1"]


def test_coverage_prints_the_gaps_and_the_commands_that_fill_them(service: BackfillService) -> None:
    text = output_of("coverage", "--from", "2023-12-01", "--to", "2024-01-31")
    assert "Dec 2023 to Dec 2023: 4 closings of 4 districts (all 02 91 F)" in text
    assert "manage.py backfill start --from 2024-01-01 --to 2024-01-31 --cadence month-ends --district 02" in text
    assert "3 snapshots without analytics; compute them with: manage.py backfill start --type analytics-gen" in text


def test_coverage_of_a_complete_range_reports_that_no_closing_is_missing(computed: BackfillService) -> None:
    text = output_of("coverage", "--district", "91", "--from", "2024-01-01", "--to", "2024-01-31")
    assert "No closing is missing." in text
    assert "without analytics" not in text


def test_a_long_range_is_split_into_maps_that_fit_the_terminal(
    service: BackfillService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = output_of("coverage", "--from", "2013-07-01", "--to", "2024-01-31", "--district", "91")
    heads = [line for line in text.splitlines() if line.startswith("District")]
    assert len(heads) > 1
    assert " ".join(heads).count("-20") == 11
    assert max(map(len, text.splitlines()[:4])) <= 80


def test_coverage_of_an_empty_store_prints_the_first_command(
    service: BackfillService, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = output_of("coverage", "--district", "77")
    assert "Nothing is stored" in text
    assert "manage.py backfill preview" in text


def test_coverage_with_json_prints_the_same_fields_as_the_api(computed: BackfillService) -> None:
    coverage = without_metadata(json_of("coverage", "--from", "2024-01-01", "--to", "2024-01-31"))["coverage"]
    assert set(coverage) == {"startDate", "endDate", "months", "gaps", "unknownMonths"}
    assert coverage["months"][0]["districts"]["91"] == "analytics"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["coverage", "--from", "2024-02-30"], "--from must be a date like 2024-01-31"),
        (["coverage", "--from", "2024-02-01", "--to", "2024-01-01"], "must not be after the last"),
        (["coverage", "--district", "x1"], "'x1' is not a district"),
        (["start", *TYPE, "--district", "77"], "No snapshot of district 77 is stored for these dates"),
    ],
)
def test_an_invalid_argument_is_reported_in_one_line(
    service: BackfillService, arguments: list[str], sentence: str
) -> None:
    assert sentence in error_of(*arguments)
