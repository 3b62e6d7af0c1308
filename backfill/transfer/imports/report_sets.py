"""What the files of an import are of: sets of reports, and the snapshots that they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from backfill.domain import ProgramYear


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSet:
    """The files of one district, month and as-of date, or of the summary."""

    id: int
    district: str
    month_end: date | None
    as_of: date
    year: ProgramYear | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A snapshot date that a set of files stands for."""

    set_id: int
    district: str
    data_month: date
    as_of: date
    is_final: bool
    footer: date
    """The date in the footer of the files."""
    id: int = 0
    date: date
