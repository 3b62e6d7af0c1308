"""Creates jobs: one for each idempotency key, and only while no other job is active."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

from backfill.domain import IDEMPOTENCY_WINDOW, Actor, IdempotencyKey, Job, Note, Progress, ThroughputHistory
from backfill.domain.digest import stable_digest
from backfill.domain.runtime_config import RuntimeConfig
from backfill.errors import IdempotencyKeyReused, JobConflict, PlanChanged
from backfill.service.audit_log import AuditLog
from backfill.service.planning import Preview
from backfill.storage import Storage


@dataclass(frozen=True, slots=True)
class Started:
    """A job, and whether this call created it; else an earlier call with the same Idempotency-Key did."""

    job: Job
    is_new: bool


@dataclass(frozen=True, slots=True)
class JobCreator:
    storage: Storage
    config: RuntimeConfig

    def create(
        self,
        plan: Callable[[], Preview],
        key: IdempotencyKey | None,
        by: Actor,
        note: str,
        *,
        retry_of: UUID | None = None,
    ) -> Started:
        """Admit, plan and record a job, unless an equal request did or does so first.

        Raises IdempotencyKeyReused, JobConflict, and what `plan` raises.
        """
        if (existing := self._find_idempotent(key)) is not None:
            return existing
        try:
            self._admit()
            preview = plan()
            # Planning can take minutes.
            return self._find_idempotent(key) or self._record(preview, key, by, note, retry_of)
        except (JobConflict, PlanChanged):
            if (existing := self._find_idempotent(key)) is not None:
                return existing
            raise

    def _admit(self) -> None:
        """Raise JobConflict if another job is active and not stale, before planning sends requests."""
        active = self.storage.jobs.active()
        if active is not None and not active.is_stale(self.config.clock.now(), self.config.lease_policy):
            raise active.conflict()

    def _record(
        self, preview: Preview, key: IdempotencyKey | None, by: Actor, note: str, retry_of: UUID | None
    ) -> Started:
        """Store the job with its audit entry; it displaces a stale one."""
        now = self.config.clock.now()
        job = Job(
            id=uuid4(),
            job_type=preview.job_type,
            config=preview.config,
            created_at=now,
            created_by=by.operator,
            progressed_at=now,
            retry_of=retry_of,
            idempotency=key,
            notes=(Note(at=now, operator=by.operator, text=note),) if note else (),
            progress=Progress(
                total_items=preview.plan.total_items,
                expected_skips=preview.plan.skipped_items,
                throughput=ThroughputHistory(expected_each=preview.expected_each),
            ),
        )
        audit_log = AuditLog(by, now)
        creation = self.storage.jobs.create(
            job,
            preview.plan,
            displace=lambda active: active.displaced(now, self.config.lease_policy),
            audit=audit_log.job_created(job),
        )
        return Started(audit_log.record_creation(creation), is_new=True)

    def _find_idempotent(self, key: IdempotencyKey | None) -> Started | None:
        """Return the job of an earlier request with the key. Raises IdempotencyKeyReused if that request differs."""
        if key is None:
            return None
        job = self.storage.jobs.by_idempotency_key(key.key, self.config.clock.now() - IDEMPOTENCY_WINDOW)
        if job is None:
            return None
        if job.idempotency != key:
            raise IdempotencyKeyReused(
                f"This Idempotency-Key was used for another request, which created job {job.id}. Use a new key."
            )
        return Started(job, is_new=False)


def idempotency_key(by: Actor, key: str, fingerprint: str) -> IdempotencyKey | None:
    """Return the stored form of a client's key; None if there is no key. Operators do not share keys."""
    if not key:
        return None
    return IdempotencyKey(key=stable_digest({"operator": by.operator, "key": key}), fingerprint=fingerprint)
