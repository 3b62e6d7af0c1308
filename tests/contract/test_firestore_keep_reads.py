"""The reads that a check of the coverage target is billed for on Firestore."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from backfill.domain import (
    SUMMARY,
    CalendarAccess,
    CalendarMonth,
    CoverageRule,
    FailedAttempts,
    TargetSettings,
    month_ends,
)
from backfill.domain.clock import Clock
from backfill.domain.reconciliation import Reconciliation
from backfill.domain.runtime_config import RuntimeConfig
from backfill.service.reconciler import Reconciler
from backfill.storage import Storage
from benchmarks.sections.firestore import Charges
from tests.contract.backends import Backend, FirestoreBackend
from tests.factories import ResultFactory
from tests.unit.fakes import a_snapshot

pytestmark = pytest.mark.parametrize("backend", ["firestore"], indirect=True)

FIRST, NOW = date(2022, 7, 1), datetime(2023, 9, 7, 6, tzinfo=UTC)
LATER = datetime(2025, 1, 1, tzinfo=UTC)
MONTHS = month_ends(FIRST - timedelta(days=1), date(2023, 8, 31))
ITEMS = (SUMMARY, "01")
SETTINGS = TargetSettings(enabled=True, rules=(CoverageRule(start=FIRST, analytics=True),))

DECADE_MONTHS, DECADE_SNAPSHOTS = 120, 3653 * 131
"""Ten years of daily data for 130 districts and the summary."""

MOST_READS = 1500


def store_months(storage: Storage) -> int:
    """Store a day, the close and a closing day of each month with their results; the last month is still closing."""
    stored = 0
    for end in MONTHS:
        closing = end + timedelta(days=5)
        is_closed = end < MONTHS[-1]
        storage.calendars.save(
            CalendarMonth(
                month_end=end,
                districts=("01",),
                as_of_days=(end.replace(day=10), closing),
                is_archived=is_closed,
                is_closed=is_closed,
                has_blank_close=False,
                fetched_at=NOW,
            )
        )
        for day, as_of in ((end.replace(day=10), end.replace(day=10)), (end, closing), (closing, closing)):
            for district in ITEMS:
                snapshot = a_snapshot(
                    day, district, data_month=end, as_of=as_of, is_final=is_closed and day == end, job_id=uuid4()
                )
                storage.snapshots.put(snapshot)
                result = ResultFactory.build(date=day, district=district, source_hash=snapshot.content_hash)
                storage.results.put([result])
                stored += 1
    return stored


def check(storage: Storage) -> Reconciliation:
    reconciler = Reconciler(storage, {}, RuntimeConfig(clock=Clock(now=lambda: NOW)))
    return reconciler.reconcile(SETTINGS, FailedAttempts(), CalendarAccess())


def test_a_check_reads_records_of_months_and_at_most_1500_for_ten_years_of_130_districts(
    storage: Storage, backend: Backend
) -> None:
    assert isinstance(backend, FirestoreBackend)
    stored = store_months(storage)
    charges = Charges()
    charged = backend.through(charges)
    first = check(charged)
    assert (first.findings.is_complete, first.findings.complete_until) == (True, date(2023, 9, 5))
    assert charges.reads["snapshots"] >= stored  # builds the indexes
    charges.reset()
    assert check(charged).findings == first.findings

    spanned = month_ends(FIRST, date(2023, 9, 5))
    years = len({end.year for end in spanned})
    of_close = month_ends(MONTHS[-1] - timedelta(days=32), MONTHS[-1])
    # A sum of stamps for each year, and the first and last date. The close of the open month needs stamps and a count.
    assert charges.reads["snapshots"] == (years + 2) + (2 + 2)
    assert charges.reads["results"] == years + 2
    assert charges.reads["registers"] == 2 * len(spanned) + len(of_close)
    assert charges.reads["calendar"] <= len(MONTHS) + 2
    assert not charges.writes

    years, thousands = 11, -(-DECADE_SNAPSHOTS // 1000)  # ten program years are parts of eleven calendar years
    snapshots = (thousands + years + 2) + (2 + 2 * 9)  # two months have nine thousand snapshots
    results = thousands + years + 2
    assert snapshots + results + 2 * DECADE_MONTHS + 2 + DECADE_MONTHS + 2 <= MOST_READS


def test_a_quick_read_notices_new_replaced_and_removed_documents(storage: Storage, backend: Backend) -> None:
    assert isinstance(backend, FirestoreBackend)
    store_months(storage)
    assert check(storage).findings.is_complete
    later = a_snapshot(
        MONTHS[3], "01", data_month=MONTHS[3], as_of=MONTHS[3] + timedelta(days=5), fetched_at=LATER, reports={}
    )
    assert storage.snapshots.put(later)
    assert check(storage).compute == {MONTHS[3]: frozenset({"01"})}

    from google.cloud import firestore

    firestore.Client().collection(backend.prefix, "v1", "snapshots").document(f"{MONTHS[5]}_{SUMMARY}").delete()
    assert check(storage).collect == {MONTHS[5]: frozenset({SUMMARY})}
