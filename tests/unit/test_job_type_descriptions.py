"""The descriptions of job types, so that no other module compares their names."""

from __future__ import annotations

import ast
from datetime import date
from pathlib import Path

import pytest

from backfill.domain import SUMMARY, JobType, SnapshotMetadata, reports_of
from backfill.job_types.analytics.plan import DayMetadata, input_digest
from backfill.job_types.analytics.related_snapshots import LastOfMonth

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("adminui", "backfill")


@pytest.mark.parametrize("job_type", JobType)
def test_every_job_type_has_a_description(job_type: JobType) -> None:
    description = job_type.description
    assert description.title
    assert description.summary.endswith(".")
    assert description.waiting.endswith(".")
    assert description.calls_dashboard == (description.requests_of("01") > 0)


@pytest.mark.parametrize("district", [SUMMARY, "01", "F"])
def test_a_collection_item_needs_one_request_per_report_and_an_analytics_item_none(district: str) -> None:
    assert JobType.DATA_COLLECTION.description.requests_of(district) == len(reports_of(district))
    assert JobType.ANALYTICS_GENERATION.description.requests_of(district) == 0


def compared_names(path: Path) -> list[int]:
    """Returns the lines of a module that compare a value with a job type or its name."""

    def is_job_type(node: ast.expr) -> bool:
        if isinstance(node, ast.Constant):
            return node.value in {str(kind) for kind in JobType}
        return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "JobType"

    compares = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Compare))
    return [node.lineno for node in compares if any(map(is_job_type, (node.left, *node.comparators)))]


def test_no_module_compares_the_name_of_a_job_type() -> None:
    paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    assert {str(path.relative_to(ROOT)): lines for path in paths if (lines := compared_names(path))} == {}


def facts(district: str, day: date, content_hash: str) -> SnapshotMetadata:
    return SnapshotMetadata(
        date=day, district=district, data_month=day, as_of=day, is_final=True, content_hash=content_hash
    )


def test_stored_input_digests_do_not_change() -> None:
    """Another digest makes every stored result stale. Change these values only with the schema version."""
    day = date(2024, 6, 30)
    own, summary, previous = facts("01", day, "aa"), facts(SUMMARY, day, "bb"), facts("01", date(2023, 6, 30), "cc")
    of_day = DayMetadata({"01": own, SUMMARY: summary}, {}, LastOfMonth([previous]))
    assert [input_digest(own, None, None), input_digest(own, summary, previous)] == [
        "b4d8dcc8187f9a0369021b4c45427d65",
        "57291abe5e9fad5711adfaf58dce28a7",
    ]
    assert of_day.input_digest("01") == input_digest(own, summary, previous)
    assert of_day.input_digest_with_date("01") == "1e7b3157b08a2344f6cbb08423dca326"
