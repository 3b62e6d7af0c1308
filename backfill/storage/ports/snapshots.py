"""The port for snapshots."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from datetime import date

from backfill.domain import AuditEntry, Snapshot, SnapshotFilter, SnapshotMetadata, StoredDay, StoredEdition
from backfill.storage.ports.values import Fence, Page, SnapshotKey


class SnapshotStorage(ABC):
    """Snapshots: at most one per date and district."""

    @abstractmethod
    def put(self, snapshot: Snapshot, *, fence: Fence | None = None) -> bool:
        """Store a snapshot if it supersedes the stored one of its date and district; return whether it was stored.

        An unreadable stored snapshot is always replaced. Raises LeaseLost if the fence does not hold.
        """

    @abstractmethod
    def put_imported(
        self, snapshots: Sequence[Snapshot], *, audit_entries: Sequence[AuditEntry] = ()
    ) -> Sequence[bool]:
        """Store snapshots that no job fetches, as `put` does; return for each whether it was stored.

        The audit entries are stored in the transaction of the first snapshot that is stored. Raises JobConflict if a
        job is active: no snapshot is stored while one is. Those before the conflict may have been stored.
        """

    @abstractmethod
    def get(self, day: date, district: str) -> Snapshot | None:
        """Return a snapshot with the exact bytes of each report, or None. Raises CorruptRecord."""

    @abstractmethod
    def get_several(self, day: date, districts: Collection[str]) -> dict[str, Snapshot]:
        """Return the snapshots of a date by district, without missing and unreadable ones."""

    @abstractmethod
    def page(
        self, wanted: SnapshotFilter, *, limit: int, offset: int, after: SnapshotKey | None = None
    ) -> Page[Snapshot]:
        """Return matching snapshots by date and district, without the bytes of their reports.

        `after` and `offset` as in JobStorage.page.
        """

    @abstractmethod
    def editions(self, first: date, last: date) -> Iterator[StoredEdition]:
        """Yield the stored editions of each date of a range in date order, without reading reports."""

    @abstractmethod
    def metadata(self, first: date, last: date) -> Iterator[SnapshotMetadata]:
        """Yield the metadata of every snapshot of a range by date and district, without reading reports."""

    @abstractmethod
    def days(self, first: date, last: date, *, is_quick: bool = False) -> Iterator[StoredDay]:
        """Yield the coverage of each date of a range that has a snapshot, in date order.

        `is_quick`: with half the billed reads, if the store bills them. New snapshots and results that a version of the
        service without stamps has stored meanwhile may then be missing.
        """

    @abstractmethod
    def span(self) -> tuple[date, date] | None:
        """Return the first and the last date that has a snapshot; None if there is no snapshot."""
