"""The coverage target: reading, previewing and replacing it, and requests for a check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backfill.domain import (
    Actor,
    AuditAction,
    AuditEntry,
    CalendarAccess,
    CoverageTarget,
    Estimate,
    Findings,
    JobRequest,
    JobType,
    KeeperState,
    TargetSettings,
    TargetStatus,
    target_status,
)
from backfill.domain.estimate import NO_TIME
from backfill.domain.runtime_config import RuntimeConfig
from backfill.errors import InvalidRequest, TargetChanged
from backfill.service.audit_log import AuditLog
from backfill.service.planning import Planner
from backfill.service.queries import HistoryQueries
from backfill.service.reconciler import Reconciler
from backfill.storage import Storage

_DAY_SECONDS = 86_400
_MONTH_DAYS = 30


@dataclass(frozen=True, slots=True)
class TargetView:
    """The target and its status at one time."""

    target: CoverageTarget
    status: TargetStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPreview:
    """What the first check of a target would start."""

    settings: TargetSettings
    items: int
    """Items to collect; items that wait for their next attempt are left out."""
    requests: int
    duration: Estimate
    """Of the collection, at the limits of the next job and within the allowed hours."""
    results: int
    """Results to compute when their snapshots are stored."""
    findings: Findings
    """What is missing by reason."""

    @property
    def days(self) -> float:
        """The expected days until everything is collected; the monthly budget extends them."""
        days = self.duration.seconds / _DAY_SECONDS
        monthly = self.settings.monthly_requests
        return max(days, (self.requests / monthly - 1) * _MONTH_DAYS) if monthly else days


@dataclass(frozen=True, slots=True)
class TargetService:
    """The operations on the coverage target. The keeper collects what is missing; this only stores and reads."""

    planner: Planner
    wake: Callable[[], None]
    """Wakes the keeper of this process, if it has one."""

    @property
    def storage(self) -> Storage:
        return self.planner.storage

    @property
    def config(self) -> RuntimeConfig:
        return self.planner.config

    def get(self) -> TargetView:
        """Return the target and the result of its last check. Reads no snapshots, so it can be called often."""
        return self._view(self.storage.targets.target())

    def _view(self, target: CoverageTarget) -> TargetView:
        active = self.storage.jobs.active()
        status = target_status(
            target,
            self.storage.targets.keeper(),
            is_collecting=active is not None and active.is_automatic,
            now=self.config.clock.now(),
            zone=self.config.time_zone,
            hours=self.config.allowed_hours,
        )
        return TargetView(target, status)

    def replace(self, settings: TargetSettings, *, by: Actor, expected_version: int | None) -> TargetView:
        """Replace the settings; an enabled target is checked at once.

        `expected_version`: the version that the caller has read; None replaces any version. Raises InvalidRequest, and
        TargetChanged if the stored version differs.
        """
        audit_log = AuditLog(by, self.config.clock.now())
        checked = self._checked(settings)

        def changed(target: CoverageTarget) -> CoverageTarget:
            if expected_version not in {None, target.version}:
                raise TargetChanged(
                    f"The coverage target was changed{_by(target)} since it was read, so nothing was stored. Read it "
                    "again, and repeat the change.",
                    details={"version": target.version},
                )
            return target.replaced(checked, audit_log.at, by.operator)

        update = self.storage.targets.update_target(changed, audit=audit_log.target_changed)
        self.wake()
        return self._view(audit_log.record(update).after)

    def _checked(self, settings: TargetSettings) -> TargetSettings:
        return settings.checked(self.config.clock.now().date(), HistoryQueries(self.storage).districts())

    def preview(self, settings: TargetSettings, access: CalendarAccess) -> TargetPreview:
        """Return what the first check would start, also for settings that are not enabled.

        `access`: whether and how long the dashboard's calendar may be read. Raises InvalidRequest, CalendarIncomplete,
        CalendarReadDenied and DashboardUnavailable.
        """
        checked = self._checked(settings)
        reconciler = Reconciler(self.storage, self.planner.handlers, self.config)
        found = reconciler.reconcile(checked, self.storage.targets.keeper().attempts, access)
        requests, duration = 0, NO_TIME
        if items := found.items_within(None):
            preview = self.planner.preview(JobRequest.for_items(JobType.DATA_COLLECTION, items), access)
            requests, duration = preview.plan.requests, preview.duration
        return TargetPreview(
            settings=checked,
            items=found.items,
            requests=requests,
            duration=duration,
            results=found.results_missing,
            findings=found.findings,
        )

    def off(self, *, by: Actor) -> TargetView:
        """Disable the target and keep its rules. An automatic job that is active continues."""
        audit_log = AuditLog(by, self.config.clock.now())
        update = self.storage.targets.update_target(
            lambda target: target.disabled(audit_log.at, by.operator), audit=audit_log.target_changed
        )
        return self._view(audit_log.record(update).after)

    def request_check(self, *, by: Actor) -> TargetView:
        """Check now what is missing, and collect it; the check waits until no job is active.

        Raises InvalidRequest if the target is disabled.
        """
        target = self.storage.targets.target()
        if not target.settings.enabled:
            raise InvalidRequest(
                {"enabled": ["The coverage target is off, so there is nothing to check. Set it to enabled first."]}
            )
        audit_log = AuditLog(by, self.config.clock.now())

        def entry(before: KeeperState, after: KeeperState) -> AuditEntry:  # noqa: ARG001 - the port's signature
            return audit_log.target_action(AuditAction.REQUESTED_CHECK, {})

        update = self.storage.targets.update_keeper(
            lambda state: state.requested(by.operator, audit_log.at), audit=entry
        )
        audit_log.record(update)
        self.wake()
        return self._view(target)


def _by(target: CoverageTarget) -> str:
    return f" by {target.updated_by}" if target.updated_by else ""
