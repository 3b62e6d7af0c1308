"""Analytics results of a district, or of all districts, for a date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from backfill.domain.calendar import ProgramYear


class SnapshotMetadata(NamedTuple):
    """A stored snapshot without its reports. A tuple, because a plan may read half a million of them."""

    date: dt.date
    district: str
    data_month: dt.date
    """The last day of the month of the figures."""
    as_of: dt.date
    is_final: bool
    content_hash: str


class ResultMetadata(NamedTuple):
    """A stored result without its content."""

    date: dt.date
    district: str
    input_digest: str
    source_hash: str
    schema_version: int
    job_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result for a date and a district, or all districts (`all`)."""

    date: dt.date
    district: str
    program_year: ProgramYear
    source_hash: str
    """The content hash of its snapshot."""
    schema_version: int
    """The version of the analytics rules."""
    input_digest: str
    """A digest of all inputs, including the rules and other snapshots. A result with equal inputs is up to date."""
    job_id: UUID
    computed_at: dt.datetime
    quality: Mapping[str, int]
    """The number of notes on the quality of the figures by code."""
    point: Mapping[str, Any] | None
    """Its figures in the series of its program year; None for all districts."""
    body: bytes = field(repr=False)
    """The JSON of the API response."""


class Point(NamedTuple):
    """The figures of a result in the series of its district, and their source."""

    date: dt.date
    district: str
    source_hash: str
    schema_version: int
    figures: Mapping[str, Any]
