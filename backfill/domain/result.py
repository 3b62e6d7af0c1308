"""What is computed of snapshots: a district's result for a date, or that of the whole world."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from backfill.domain.calendar import ProgramYear


class SnapshotFacts(NamedTuple):
    """A stored snapshot without its reports. A tuple, since a plan may look at half a million of them."""

    date: dt.date
    district: str
    data_month: dt.date
    """The last day of the month that the figures are for."""
    as_of: dt.date
    is_final: bool
    content_hash: str


class ResultFacts(NamedTuple):
    """A stored result without its figures."""

    date: dt.date
    district: str
    input_digest: str
    source_hash: str
    schema_version: int
    job_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was computed for a date of a district, or of the world (district `all`)."""

    date: dt.date
    district: str
    program_year: ProgramYear
    source_hash: str
    """The content hash of the snapshot that it was computed from."""
    schema_version: int
    """Of the rules that it was computed by."""
    input_digest: str
    """A digest of all that it rests on, rules and neighbours included: an equal one needs no computing."""
    job_id: UUID
    computed_at: dt.datetime
    quality: Mapping[str, int]
    """How many notes on the quality of the figures it has, by their code."""
    point: Mapping[str, Any] | None
    """Its place in the series of its program year; None of the world."""
    body: bytes = field(repr=False)
    """The result as JSON, as it is answered."""


class Point(NamedTuple):
    """A result's place in the series of its district, and what it came from."""

    date: dt.date
    district: str
    source_hash: str
    schema_version: int
    figures: Mapping[str, Any]
