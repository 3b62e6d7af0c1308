"""The port for the audit log. The other ports append to it in the transaction of the audited change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from backfill.domain import AuditEntry
from backfill.storage.ports.values import Page, TimedKey


class AuditStorage(ABC):
    """Audit entries. They are kept longer than the jobs they name."""

    @abstractmethod
    def page(self, job_id: UUID | None, *, limit: int, offset: int, after: TimedKey | None = None) -> Page[AuditEntry]:
        """Return the entries of one job (stored or removed), or of all, newest first. Raises CorruptRecord.

        `after` and `offset` as in JobStorage.page.
        """

    @abstractmethod
    def add(self, entries: Sequence[AuditEntry]) -> None:
        """Store entries copied from another store; an entry whose id is already stored remains unchanged."""

    @abstractmethod
    def delete_before(self, before: datetime) -> int:
        """Remove entries older than this time; return how many."""
