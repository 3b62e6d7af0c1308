"""Snapshots: the three reports of a district, or the district summary, for a date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

from backfill.domain.calendar import Edition, ProgramYear
from backfill.domain.plan import SUMMARY


class ReportName(StrEnum):
    CLUBS = "clubperformance"
    DISTRICT = "districtperformance"
    DIVISIONS = "divisionperformance"
    SUMMARY = "districtsummary"


DISTRICT_REPORTS = (ReportName.CLUBS, ReportName.DISTRICT, ReportName.DIVISIONS)


def reports_of(district: str) -> tuple[ReportName, ...]:
    """The reports of a snapshot of a district or the summary."""
    return (ReportName.SUMMARY,) if district == SUMMARY else DISTRICT_REPORTS


@lru_cache(maxsize=1024)
def normalise_column(column: str) -> str:
    """The column name for comparisons: case and spaces vary between years (`May Visit award`, `May visit award`)."""
    return " ".join(column.split()).casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One fetched report. `content` is the exact bytes; empty if only the other fields were read."""

    rows: int
    size: int
    """Size of the content in bytes."""
    content_hash: str
    """Hash of the content without its footer, which contains the date of the download."""
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All reports of a district for a snapshot date."""

    date: dt.date
    district: str
    data_month: dt.date
    """The last day of the month of the figures."""
    as_of: dt.date
    is_final: bool
    fetched_at: dt.datetime
    job_id: UUID
    reports: Mapping[ReportName, Report]

    @property
    def program_year(self) -> ProgramYear:
        return ProgramYear.of(self.data_month)

    @property
    def content_hash(self) -> str:
        state = blake2b(digest_size=16)
        for name in sorted(self.reports):
            state.update(f"{name}:{self.reports[name].content_hash}".encode())
        return state.hexdigest()

    def supersedes(self, stored: Snapshot) -> bool:
        """Whether this replaces `stored`, a snapshot of the same date and district.

        Final figures replace others, then newer as-of dates replace older ones. While a month closes the dashboard may
        change figures of the same as-of date (counters can decrease): then a later fetch with other content replaces.
        """
        mine, theirs = (self.is_final, self.as_of), (stored.is_final, stored.as_of)
        if mine != theirs:
            return mine > theirs
        return self.fetched_at > stored.fetched_at and self.content_hash != stored.content_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEdition:
    """The districts of a date with the same edition, stored by the same job."""

    date: dt.date
    as_of: dt.date
    is_final: bool
    job_id: UUID
    districts: frozenset[str]

    def covers(self, edition: Edition) -> bool:
        """Whether the stored figures are as new as `edition`, so that no request is needed.

        Never for the end of a month that is not final: its figures may change for the same as-of date.
        """
        if self.date == edition.month_end and not self.is_final:
            return False
        return self.as_of >= edition.as_of and (self.is_final or not edition.is_final)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFilter:
    """None matches any snapshot."""

    first: dt.date | None = None
    last: dt.date | None = None
    district: str | None = None
