"""What is kept of the dashboard: a district's three reports, or the district summary, for a date."""

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
    """The reports that make a snapshot of a district, or of the summary."""
    return (ReportName.SUMMARY,) if district == SUMMARY else DISTRICT_REPORTS


@lru_cache(maxsize=1024)
def normalise_column(column: str) -> str:
    """A column's name as it is compared: case and spaces vary between years (`May Visit award`, `May visit award`)."""
    return " ".join(column.split()).casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One fetched report. `content` is the exact bytes, and is empty where only the description was read."""

    rows: int
    size: int
    """In bytes."""
    content_hash: str
    """Of the content without its footer, which carries the day of download."""
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All reports of a district for a snapshot date, whole, or none of them."""

    date: dt.date
    district: str
    data_month: dt.date
    """The last day of the month that the figures are for."""
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
        """Whether this one takes the place of `stored`, a snapshot of the same date and district.

        A final close beats an open month, then the newer as-of wins. Under an equal as-of the dashboard may still
        change its figures while a month closes (counters can fall), so there the later fetch wins where they differ.
        An older or equal one changes nothing.
        """
        mine, theirs = (self.is_final, self.as_of), (stored.is_final, stored.as_of)
        if mine != theirs:
            return mine > theirs
        return self.fetched_at > stored.fetched_at and self.content_hash != stored.content_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEdition:
    """The districts of a date for which the same edition is stored, by the same job."""

    date: dt.date
    as_of: dt.date
    is_final: bool
    job_id: UUID
    districts: frozenset[str]

    def covers(self, edition: Edition) -> bool:
        """Whether what is stored is as new as what could be fetched: nothing needs to be asked.

        A month's close that is not final yet may change under an unchanged as-of, so it is never as new.
        """
        if self.date == edition.month_end and not self.is_final:
            return False
        return self.as_of >= edition.as_of and (self.is_final or not edition.is_final)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFilter:
    """Which snapshots are wanted; None stands for any."""

    first: dt.date | None = None
    last: dt.date | None = None
    district: str | None = None
