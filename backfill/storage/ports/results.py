"""The port for analytics results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import ClassVar

from backfill.domain import Point, ProgramYear, Result, ResultMetadata
from backfill.storage.ports.values import Fence


class ResultStorage(ABC):
    """Analytics results: at most one per date and district."""

    bundles_ahead: ClassVar[int] = 0
    """How many bundles of results a job reads or stores while it computes others.

    More than none pays only if calls wait for a network: threads that compute and threads that use a database contend
    for Python's interpreter lock, which took a tenth of the time of a job.
    """

    @abstractmethod
    def put(self, results: Sequence[Result], *, fence: Fence | None = None) -> None:
        """Store or replace results in one transaction. Raises LeaseLost if the fence does not hold."""

    @abstractmethod
    def get(self, day: date, district: str) -> Result | None:
        """Return a result, or None. Raises CorruptRecord."""

    @abstractmethod
    def get_several(self, day: date, districts: Collection[str]) -> Mapping[str, Result]:
        """Return the results of districts on a date, without those that are missing or unreadable."""

    @abstractmethod
    def metadata(self, first: date, last: date) -> Iterator[ResultMetadata]:
        """Yield the metadata of every result of a range by date and district, without reading the figures."""

    @abstractmethod
    def points(self, keys: Collection[tuple[date, str]]) -> Mapping[tuple[date, str], Point]:
        """Return the points of these districts' results by date and district, without missing ones."""

    @abstractmethod
    def series(self, district: str, year: ProgramYear) -> list[Point]:
        """Return the points of a district's results of a program year, oldest first."""

    @abstractmethod
    def years(self, district: str) -> Iterator[ProgramYear]:
        """Yield the program years for which a district has a result, newest first; each step may read the store."""
