"""The port for the coverage target and the state of its keeper."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from backfill.domain import AuditEntry, CoverageTarget, KeeperState
from backfill.storage.ports.values import Change


class TargetStorage(ABC):
    """One target and one state. They are separate records, because the state changes with each check."""

    @abstractmethod
    def target(self) -> CoverageTarget:
        """Return the target; a disabled one without rules if none is stored. Raises CorruptRecord."""

    @abstractmethod
    def update_target(
        self,
        change: Callable[[CoverageTarget], CoverageTarget],
        *,
        audit: Callable[[CoverageTarget, CoverageTarget], AuditEntry] | None = None,
    ) -> Change[CoverageTarget]:
        """Replace the target by `change(target)` and append the audit entry, in one transaction.

        Both callables must be pure, because they may be called more than once; an exception of `change` leaves the
        store unchanged. If the target does not change, nothing is written and `audit` is not called. A target that
        cannot be read is replaced like the default.
        """

    @abstractmethod
    def keeper(self) -> KeeperState:
        """Return the state of the keeper. Raises CorruptRecord."""

    @abstractmethod
    def update_keeper(
        self,
        change: Callable[[KeeperState], KeeperState],
        *,
        audit: Callable[[KeeperState, KeeperState], AuditEntry] | None = None,
    ) -> Change[KeeperState]:
        """Replace the state by `change(state)` and append the audit entry, with the guarantees of `update_target`."""
