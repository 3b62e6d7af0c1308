"""The port for reading ledgers. JobStorage.update writes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from uuid import UUID

from backfill.domain import Outcome, OutcomeFilter, Segment
from backfill.storage.ports.values import Page


class LedgerStorage(ABC):
    """The outcomes of the work items of each job."""

    @abstractmethod
    def segments(self, job_id: UUID) -> Iterator[Segment]:
        """Yield all segments of a job in order, read lazily. Raises CorruptRecord for an unreadable segment."""

    @abstractmethod
    def outcomes(
        self, job_id: UUID, wanted: OutcomeFilter, *, limit: int, offset: int, newest_first: bool = False
    ) -> Page[Outcome]:
        """Return matching outcomes of a job in the order in which they were recorded, or the reverse of it.

        Raises CorruptRecord.
        """
