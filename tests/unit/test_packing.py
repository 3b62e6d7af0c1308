"""Serialization of stored values: round trips, detection of damage, and size."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.dashboard.protocol import ReportRequest
from backfill.dashboard.reports import check
from backfill.domain import (
    DISTRICT_REPORTS,
    SUMMARY,
    Cadence,
    DistrictProgress,
    Edition,
    FailureGroup,
    ItemError,
    JobConfig,
    LimiterReport,
    LimiterState,
    Outcome,
    OutcomeKind,
    Plan,
    PlannedDay,
    Progress,
    RateLimits,
    Report,
    ReportName,
    WorkItem,
    month_end_of,
)
from backfill.errors import CorruptRecord
from backfill.storage.serialization import job_json, packing
from sample_dashboard.world import SampleWorld
from tests.factories import NOW, OutcomeFactory, PlanFactory, report_of, reports_for

REAL = Path(__file__).resolve().parents[2] / ".." / "shared" / "dashboard" / "real"

days = st.dates(date(2008, 7, 1), date(2100, 1, 1))
instants = st.datetimes(datetime(2008, 7, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - made aware
districts = st.sampled_from([SUMMARY, "01", "99", "120", "F", "U"])
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
counts = st.integers(0, 2**31)
items = st.builds(WorkItem, days, districts)
outcomes = st.builds(
    Outcome,
    items,
    st.sampled_from(OutcomeKind),
    instants,
    texts,
    texts,
    st.integers(0, 9),
    st.booleans(),
    excerpt=texts,
)
editions = st.builds(
    Edition, month_end=days, as_of=days, is_final=st.booleans(), is_archived=st.booleans(), asks_blank=st.booleans()
)
groups = st.sampled_from([(), ("01",), (SUMMARY, "01", "02", "F")])
plans = st.builds(
    Plan,
    st.lists(st.builds(PlannedDay, days, groups, st.none() | editions), max_size=6).map(tuple),
    counts,
    st.dictionaries(texts, counts, max_size=3),
    counts,
)
progresses = st.builds(
    Progress,
    total_items=counts,
    expected_skips=counts,
    processed=counts,
    failed=counts,
    skipped=st.dictionaries(texts, counts, max_size=3),
    current_item=texts,
    last_item=texts,
    last_item_at=st.none() | instants,
    limiter=st.builds(
        LimiterReport,
        state=st.sampled_from(LimiterState),
        requests_made=counts,
        requests_this_minute=counts,
        waiting_until=st.none() | instants,
        reason=texts,
    ),
    districts=st.dictionaries(
        districts,
        st.builds(
            DistrictProgress,
            total=counts,
            processed=counts,
            failed=counts,
            skipped=counts,
            last_error=texts,
            is_in_progress=st.booleans(),
        ),
        max_size=3,
    ),
    errors=st.lists(
        st.builds(
            ItemError,
            item_key=texts,
            code=texts,
            message=texts,
            at=instants,
            is_retryable=st.booleans(),
            attempts=counts,
        ),
        max_size=3,
    ).map(tuple),
    failures=st.lists(
        st.builds(
            FailureGroup,
            code=texts,
            items=counts,
            districts=st.lists(districts, max_size=3).map(tuple),
            latest_at=instants,
            is_retryable=st.booleans(),
        ),
        max_size=3,
    ).map(tuple),
    minutes=st.lists(st.tuples(instants, counts), max_size=3).map(tuple),
)
configs = st.builds(
    JobConfig,
    start_date=st.none() | days,
    end_date=st.none() | days,
    target_districts=st.lists(districts, max_size=3).map(tuple),
    cadence=st.sampled_from(Cadence),
    skip_existing=st.booleans(),
    rate_limits=st.builds(
        RateLimits,
        max_requests_per_minute=counts,
        max_concurrent=counts,
        min_delay_ms=counts,
        max_delay_ms=counts,
        backoff_multiplier=st.floats(1, 10),
    ),
)


# Round trips


@given(st.lists(outcomes, max_size=8), st.integers(0, 10_000))
def test_outcomes_are_unpacked_unchanged_to_the_microsecond(some: list[Outcome], number: int) -> None:
    """R1.1"""
    segment = packing.unpack_segment(number, packing.pack_outcomes(some), "segment")
    assert (segment.number, segment.outcomes) == (number, tuple(some))
    assert all(type(outcome.is_retryable) is bool and type(outcome.kind) is OutcomeKind for outcome in segment.outcomes)


@given(plans)
def test_a_plan_is_unpacked_unchanged(plan: Plan) -> None:
    """R1.1"""
    assert packing.unpack_plan(packing.pack_plan(plan), "plan") == plan


def test_unpacked_days_with_the_same_districts_share_them_in_memory() -> None:
    """Otherwise a plan of a million items would not fit into memory."""
    plan = packing.unpack_plan(packing.pack_plan(PlanFactory.build()), "plan")
    assert plan.days[0].districts is plan.days[1].districts


@given(progresses)
def test_progress_is_unchanged_by_a_round_trip_through_json(progress: Progress) -> None:
    """R1.1"""
    counted, detail = json.loads(json.dumps(job_json.progress_to_json(progress)))
    assert job_json.progress_from_json(counted, detail) == progress


@given(progresses)
def test_progress_without_its_detail_lacks_only_districts_and_errors(progress: Progress) -> None:
    counted, _ = job_json.progress_to_json(progress)
    listed = job_json.progress_from_json(counted, None)
    assert (listed.districts, listed.errors) == ({}, ())
    assert job_json.progress_to_json(listed)[0] == counted


@given(configs)
def test_a_config_is_unchanged_by_a_round_trip_through_json(config: JobConfig) -> None:
    """R1.1"""
    assert job_json.config_from_json(json.loads(json.dumps(job_json.config_to_json(config)))) == config


@given(st.lists(st.binary(max_size=40), min_size=3, max_size=3))
def test_reports_are_unpacked_with_their_exact_bytes(contents: list[bytes]) -> None:
    """R1.1: each report keeps its name, regardless of the order."""
    reports = {
        name: Report(rows=n, size=len(content), content_hash=name, content=content)
        for n, (name, content) in enumerate(zip(DISTRICT_REPORTS, contents, strict=True))
    }
    backwards = dict(reversed(reports.items()))
    described = json.loads(json.dumps(packing.reports_to_json(backwards)))
    assert packing.unpack_reports(described, packing.pack_reports(backwards), "snapshot") == reports


@given(st.text())
def test_storable_text_keeps_its_length_and_is_not_changed_again(text: str) -> None:
    stored = packing.storable(text)
    assert "\0" not in stored
    assert stored.encode().decode() == stored
    assert len(stored) == len(text)
    assert packing.storable(stored) == stored


# Detection of damage

REPORTS = reports_for("01")
PACKED: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
    "segment 3": (
        packing.pack_outcomes(OutcomeFactory.build_batch(9)),
        lambda packed: packing.unpack_segment(3, packed, "segment 3"),
    ),
    "plan of job 7": (
        packing.pack_plan(PlanFactory.build()),
        lambda packed: packing.unpack_plan(packed, "plan of job 7"),
    ),
    "snapshot 2024-01-31/01": (
        packing.pack_reports(REPORTS),
        lambda packed: packing.unpack_reports(packing.reports_to_json(REPORTS), packed, "snapshot 2024-01-31/01"),
    ),
}


@pytest.mark.parametrize("subject", PACKED)
def test_a_changed_byte_is_harmless_or_detected_with_the_name_of_the_record(subject: str) -> None:
    """R1.1: this holds for every byte."""
    packed, unpack = PACKED[subject]
    whole = unpack(packed)
    detected = 0
    for place in range(len(packed)):
        damaged = bytearray(packed)
        damaged[place] ^= 0x55
        try:
            read = unpack(bytes(damaged))
        except CorruptRecord as exc:
            read, detected = whole, detected + (subject in exc.message)
        assert read == whole, place
    assert detected > len(packed) * 0.9


@pytest.mark.parametrize("subject", PACKED)
def test_a_truncated_record_is_detected(subject: str) -> None:
    """R1.1"""
    packed, unpack = PACKED[subject]
    for length in range(len(packed)):
        with pytest.raises(CorruptRecord, match=subject):
            unpack(packed[:length])


@pytest.mark.parametrize(
    "value", [None, 0, 7, "text", [7], [[], []], {"days": 7}, [["x"]] * 8, {"groups": [], "days": [["2024-01-31", 0]]}]
)
@pytest.mark.parametrize("subject", ["segment 3", "plan of job 7"])
def test_a_record_with_another_structure_is_detected(subject: str, value: object) -> None:
    with pytest.raises(CorruptRecord, match=subject):
        PACKED[subject][1](packing.pack_json(value))


def test_reports_that_are_longer_than_described_are_detected() -> None:
    described = packing.reports_to_json(REPORTS)
    described["clubperformance"]["bytes"] -= 1
    with pytest.raises(CorruptRecord, match="snapshot"):
        packing.unpack_reports(described, packing.pack_reports(REPORTS), "snapshot")


# Size


def sample_reports(district: str) -> dict[ReportName, Report]:
    """Returns the reports of a month end of a sample world whose districts have 110 clubs."""
    world = SampleWorld(today=date(2024, 6, 1), districts=4, clubs=110)
    month_end = date(2024, 1, 31)
    edition = Edition(
        month_end=month_end, as_of=world.close_of(month_end), is_final=True, is_archived=False, asks_blank=False
    )
    reports = {}
    for name in DISTRICT_REPORTS:
        request = ReportRequest(report=name, district=district, edition=edition)
        content = world.report(request.report_string)
        assert content is not None
        reports[name] = check(content, request)
    return reports


def test_three_packed_reports_of_110_clubs_have_at_most_a_fifth_of_their_size() -> None:
    """R1.5: at most two hundred bytes are stored for a thousand, and they unpack to the same bytes."""
    reports = sample_reports("02")
    assert 105 <= reports[ReportName.CLUBS].rows <= 120
    packed = packing.pack_reports(reports)
    raw = sum(report.size for report in reports.values())
    assert raw > 30_000
    assert len(packed) <= raw / 5, f"{len(packed):,} of {raw:,} bytes"
    assert packing.unpack_reports(packing.reports_to_json(reports), packed, "snapshot") == reports


@pytest.mark.skipif(not REAL.is_dir(), reason="The real exports (../shared/dashboard) are not here.")
def test_packed_real_reports_have_at_most_a_fifth_of_their_size() -> None:
    """R1.5: this holds for every available month-end close."""
    closes = sorted((REAL / "clubperformance" / "91").glob("*.csv.gz"))
    assert closes
    for close in closes:
        contents = {name: gzip.decompress((REAL / name / "91" / close.name).read_bytes()) for name in DISTRICT_REPORTS}
        packed = packing.pack_reports({name: report_of(content) for name, content in contents.items()})
        assert len(packed) <= sum(map(len, contents.values())) / 5, close.name


def test_a_plan_of_800_000_items_fits_into_one_record() -> None:
    """R1.5: a Firestore document has at most one mebibyte."""
    first = date(2008, 7, 1)
    all_districts = (SUMMARY, *(f"{n:02d}" for n in range(1, 121)), "F", "U")
    planned = []
    for n in range(18 * 365):
        day = first + timedelta(days=n)
        planned.append(
            PlannedDay(
                day,
                all_districts,
                Edition(month_end=month_end_of(day), as_of=day, is_final=False, is_archived=True, asks_blank=False),
            )
        )
    plan = Plan(tuple(planned))
    assert plan.total_items > 800_000
    assert len(packing.pack_plan(plan)) < 128 * 1024


def test_segments_of_earlier_versions_are_read_with_defaults_for_new_columns() -> None:
    item, at = WorkItem(date(2024, 1, 31), "91"), datetime(2024, 2, 9, tzinfo=UTC)
    columns = [["2024-01-31"], ["91"], ["failed"], [at.timestamp()], ["TIMEOUT"], ["Late."], [5], [True]]
    plain = Outcome(item, OutcomeKind.FAILED, at, "TIMEOUT", "Late.", 5, is_retryable=True)
    first = packing.unpack_segment(0, packing.pack_json(columns), "segment")
    assert first.outcomes == (plain,)
    second = packing.unpack_segment(0, packing.pack_json([*columns, [{"note": 2}]]), "segment")
    assert second.outcomes == (plain._replace(quality={"note": 2}),)


def test_the_same_error_page_in_500_outcomes_is_stored_about_once() -> None:
    excerpt = "".join(f"<p>{n * 7919 % 9973}</p>\n" for n in range(200))[:2048]
    failed = OutcomeFactory.build_batch(500, kind=OutcomeKind.FAILED, excerpt=excerpt)
    assert len(packing.pack_outcomes(failed)) < 64 * 1024


def test_a_full_segment_has_a_few_bytes_per_outcome() -> None:
    """R1.5: the ledger of a job of a million items has about ten megabytes."""
    settled = [OutcomeFactory.build(at=NOW + timedelta(seconds=n, microseconds=n * 7919)) for n in range(500)]
    assert len(packing.pack_outcomes(settled)) < 500 * 16
