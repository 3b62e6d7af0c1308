"""Analytics and coverage on the command line."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from backfill.domain import JobType
from backfill.service.commands import BackfillService
from backfill.storage import open_storage
from tests.factories import CalendarMonthFactory
from tests.integration.fake_job_type import FakeWork, fake_service
from tests.integration.test_api_analytics import analytics_work, compute_everything
from tests.integration.test_command_line import refused, said, told, without_metadata
from tests.unit.fakes import DAY
from tests.unit.stored_snapshots import a_district, a_summary

TYPE = ("--type", "analytics-generation")


@pytest.fixture
def service(db: None, monkeypatch: pytest.MonkeyPatch) -> BackfillService:
    """Over the snapshots of a close, and the calendar of it and of the month before."""
    storage = open_storage("orm")
    plain = fake_service(storage, FakeWork())
    service = replace(plain, handlers={**plain.handlers, JobType.ANALYTICS_GENERATION: analytics_work(storage)})
    monkeypatch.setattr("backfill.bootstrap.backfill_service", lambda: service)
    for snapshot in (a_district(), a_district(district="F"), a_summary()):
        storage.snapshots.put(snapshot)
    for end in (date(2023, 12, 31), DAY):
        storage.calendars.save(CalendarMonthFactory.build(month_end=end, districts=("02", "91", "F")))
    return service


@pytest.fixture
def computed(service: BackfillService) -> BackfillService:
    said("start", *TYPE)
    compute_everything(service)
    return service


def test_a_preview_of_analytics_says_what_is_to_be_done(service: BackfillService) -> None:
    """R4.2, R11.2"""
    text = said("preview", *TYPE)
    assert "analytics-generation" in text
    assert "requests   none" in text
    assert "items      3" in text
    assert "start --type analytics-generation --cadence daily --plan-id plan-3-0-0-" in text


def test_a_preview_says_what_is_done_and_what_is_stale(computed: BackfillService) -> None:
    computed.storage.snapshots.put(a_district(as_of=date(2024, 2, 12)))
    assert "items      3, skipped: 2 unchanged, outdated and computed again: 1" in said("preview", *TYPE)


def test_a_job_shows_what_does_not_add_up(computed: BackfillService) -> None:
    text = said("status")
    assert "inconsistent figures, listed in the results: " in text
    assert "SUMMARY_MISSING" in text


def test_coverage_is_a_map_of_districts_and_months(computed: BackfillService) -> None:
    lines = said("coverage", "--from", "2023-12-01", "--to", "2024-01-31").splitlines()
    assert lines[0].split() == ["District", "2023-2024", "Snapshots", "Analytics"]
    rows = {line.split()[0]: line[lines[0].index("2023-2024") :] for line in lines[1:5]}
    assert {name: row[:12] for name, row in rows.items()} == {
        "all": "     .A     ",
        "02": "     ..     ",
        "91": "     .A     ",
        "F": "     .A     ",
    }
    assert rows["91"].split()[-2:] == ["1", "1"]


def test_coverage_names_the_gaps_and_the_commands_that_fill_them(service: BackfillService) -> None:
    text = said("coverage", "--from", "2023-12-01", "--to", "2024-01-31")
    assert "Dec 2023 to Dec 2023: 4 closings of 4 districts (all 02 91 F)" in text
    assert "manage.py backfill start --from 2024-01-01 --to 2024-01-31 --cadence month-ends --district 02" in text
    assert "3 snapshots without analytics; compute them with: manage.py backfill start --type analytics-gen" in text


def test_a_range_that_lacks_nothing_says_so(computed: BackfillService) -> None:
    text = said("coverage", "--district", "91", "--from", "2024-01-01", "--to", "2024-01-31")
    assert "No closing is missing." in text
    assert "without analytics" not in text


def test_a_wide_history_is_shown_in_as_many_maps_as_the_width_needs(
    service: BackfillService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = said("coverage", "--from", "2013-07-01", "--to", "2024-01-31", "--district", "91")
    heads = [line for line in text.splitlines() if line.startswith("District")]
    assert len(heads) > 1
    assert " ".join(heads).count("-20") == 11
    assert max(map(len, text.splitlines()[:4])) <= 80


def test_coverage_of_an_empty_store_says_how_to_begin(
    service: BackfillService, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = said("coverage", "--district", "77")
    assert "Nothing is stored" in text
    assert "manage.py backfill preview" in text


def test_coverage_as_json_is_the_shape_of_http(computed: BackfillService) -> None:
    shape = without_metadata(told("coverage", "--from", "2024-01-01", "--to", "2024-01-31"))["coverage"]
    assert set(shape) == {"startDate", "endDate", "months", "gaps", "unknownMonths"}
    assert shape["months"][0]["districts"]["91"] == "analytics"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["coverage", "--from", "2024-02-30"], "--from must be a date like 2024-01-31"),
        (["coverage", "--from", "2024-02-01", "--to", "2024-01-01"], "must not be after the last"),
        (["coverage", "--district", "x1"], "'x1' is not a district"),
        (["start", *TYPE, "--district", "77"], "No snapshot of district 77 is stored for these dates"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(service: BackfillService, arguments: list[str], sentence: str) -> None:
    assert sentence in refused(*arguments)
