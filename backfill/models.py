"""The tables of the ORM adapter. They contain no rules except the constraint of one active job."""

from django.db import models
from django.db.models import Q


class BackfillJob(models.Model):
    """A job. Values that queries use are columns; the rest is JSON and packed bytes."""

    id = models.UUIDField(primary_key=True, editable=False)
    job_type = models.CharField(max_length=32)
    status = models.CharField(max_length=16)
    slot = models.PositiveSmallIntegerField(default=1, editable=False)
    config = models.JSONField()
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    resumed_at = models.DateTimeField(null=True)
    resume_count = models.PositiveIntegerField(default=0)
    takeovers = models.PositiveIntegerField(default=0)
    takeover_seconds = models.FloatField(default=0)
    retry_of = models.UUIDField(null=True)
    webhook_events = models.JSONField(default=dict)
    webhook_due_at = models.DateTimeField(null=True)
    lease_owner = models.CharField(max_length=100, blank=True)
    lease_expires_at = models.DateTimeField(null=True)
    token = models.PositiveBigIntegerField(default=0)
    progressed_at = models.DateTimeField()
    progress = models.JSONField()
    detail = models.JSONField()
    crash_isolation = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    segments = models.PositiveIntegerField(default=0)
    idempotency_key = models.CharField(max_length=64, blank=True)
    idempotency_fingerprint = models.CharField(max_length=64, blank=True)
    notes = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))
    note_text = models.TextField(blank=True, db_default="")
    revision = models.PositiveBigIntegerField(default=0)
    plan = models.BinaryField()

    class Meta:
        verbose_name = "backfill job"
        constraints = [
            models.UniqueConstraint(
                fields=["slot"],
                condition=Q(status__in=["pending", "running", "pausing", "paused", "cancelling"]),
                name="backfill_one_active_job",
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="backfill_job_newest"),
            models.Index(fields=["idempotency_key"], condition=~Q(idempotency_key=""), name="backfill_job_key"),
            models.Index(fields=["webhook_due_at"], name="backfill_job_webhook_due"),
            models.Index(fields=["retry_of"], condition=Q(retry_of__isnull=False), name="backfill_job_retries"),
        ]

    def __str__(self) -> str:
        return f"{self.job_type} {self.id} ({self.status})"


class Checkpoint(models.Model):
    """A segment of a job's ledger."""

    job = models.ForeignKey(BackfillJob, on_delete=models.CASCADE, related_name="checkpoints")
    number = models.PositiveIntegerField()
    processed = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    skipped = models.PositiveIntegerField()
    outcomes = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="backfill_segment_once")]

    def __str__(self) -> str:
        return f"segment {self.number} of job {self.job_id}"


class RateLimitConfig(models.Model):
    """The rate limits of the next job. The table has one row."""

    max_requests_per_minute = models.PositiveIntegerField()
    max_concurrent = models.PositiveIntegerField()
    min_delay_ms = models.PositiveIntegerField()
    max_delay_ms = models.PositiveIntegerField()
    backoff_multiplier = models.FloatField()
    updated_at = models.DateTimeField(null=True)
    updated_by = models.CharField(max_length=150, blank=True)

    class Meta:
        verbose_name = "rate limits"
        verbose_name_plural = "rate limits"

    def __str__(self) -> str:
        return f"{self.max_requests_per_minute} requests a minute"


class CoverageTarget(models.Model):
    """The coverage target. The table has one row."""

    value = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))

    class Meta:
        verbose_name = "coverage target"

    def __str__(self) -> str:
        return "coverage target"


class StoredKeeperState(models.Model):
    """The state of the automatic checks. The table has one row."""

    value = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    attempts = models.BinaryField(default=b"")

    def __str__(self) -> str:
        return "state of the automatic checks"


class StoredJobCounters(models.Model):
    """The sums over all ended jobs. The table has one row."""

    value = models.JSONField()

    def __str__(self) -> str:
        return "job counters"


class AuditRecord(models.Model):
    """An action of an operator. Has no foreign key to its job, because jobs are removed earlier."""

    id = models.UUIDField(primary_key=True, editable=False)
    at = models.DateTimeField()
    operator = models.CharField(max_length=150)
    channel = models.CharField(max_length=16)
    action = models.CharField(max_length=32)
    job_id = models.UUIDField(null=True)
    changes = models.JSONField()

    class Meta:
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["-at", "-id"], name="backfill_audit_newest"),
            models.Index(fields=["job_id", "-at", "-id"], name="backfill_audit_job"),
        ]

    def __str__(self) -> str:
        return f"{self.operator} {self.action} {self.job_id or ''}".rstrip()


class WorkerHeartbeat(models.Model):
    """The time of the latest worker heartbeat. The table has one row."""

    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"worker heartbeat at {self.at}"


class StoredRequestSchedule(models.Model):
    """The shared request schedule: reserved time, pauses, and the reduced rate. The table has one row."""

    reserved_until = models.DateTimeField(null=True)
    held_until = models.DateTimeField(null=True)
    held_at = models.DateTimeField(null=True)
    hold_reason = models.TextField(blank=True)
    slowed_to = models.FloatField(default=1)
    slowed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"reserved until {self.reserved_until}"


class StoredSnapshot(models.Model):
    """The reports of a district, or the summary, for a snapshot date."""

    date = models.DateField()
    district = models.CharField(max_length=8)
    data_month = models.DateField()
    as_of = models.DateField()
    is_final = models.BooleanField()
    content_hash = models.CharField(max_length=64)
    fetched_at = models.DateTimeField()
    job_id = models.UUIDField()
    reports = models.JSONField()
    content = models.BinaryField()

    class Meta:
        verbose_name = "snapshot"
        constraints = [models.UniqueConstraint(fields=["date", "district"], name="backfill_snapshot_once")]
        indexes = [
            # Covers the query of stored editions, which must not read the packed reports.
            models.Index(fields=["date", "as_of", "is_final", "job_id", "district"], name="backfill_snapshot_keys"),
            # Covers the metadata that analytics reads of every snapshot.
            models.Index(
                fields=["date", "district", "data_month", "as_of", "is_final", "content_hash"],
                name="backfill_snapshot_facts",
            ),
            models.Index(fields=["district", "date"], name="backfill_snapshot_district"),
        ]

    def __str__(self) -> str:
        return f"{self.date}/{self.district}"


class StoredResult(models.Model):
    """The analytics result of a district, or of the world, for a date."""

    date = models.DateField()
    district = models.CharField(max_length=8)
    program_year = models.PositiveSmallIntegerField()
    source_hash = models.CharField(max_length=64)
    schema_version = models.PositiveIntegerField()
    input_digest = models.CharField(max_length=64)
    job_id = models.UUIDField()
    computed_at = models.DateTimeField()
    quality = models.JSONField()
    point = models.JSONField(null=True)
    body = models.BinaryField()

    class Meta:
        verbose_name = "result"
        constraints = [models.UniqueConstraint(fields=["date", "district"], name="backfill_result_once")]
        indexes = [
            # Covers the query of results that are up to date, which must not read the packed figures.
            models.Index(
                fields=["date", "district", "input_digest", "source_hash", "schema_version", "job_id"],
                name="backfill_result_facts",
            ),
            models.Index(fields=["district", "program_year", "date"], name="backfill_result_series"),
        ]

    def __str__(self) -> str:
        return f"{self.date}/{self.district}"


class StoredCalendarMonth(models.Model):
    """A month of the dashboard's calendar."""

    month_end = models.DateField(primary_key=True)
    districts = models.JSONField()
    as_of_days = models.JSONField()
    is_archived = models.BooleanField()
    is_closed = models.BooleanField()
    has_blank_close = models.BooleanField()
    fetched_at = models.DateTimeField()

    class Meta:
        verbose_name = "calendar month"

    def __str__(self) -> str:
        return f"{self.month_end}"


class StoredCalendarClaim(models.Model):
    """The process that reads the dashboard's calendar for previews; one row."""

    owner = models.CharField(max_length=64, blank=True, default="", db_default="")
    since = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    wanted_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"claimed until {self.expires_at}" if self.owner else "unclaimed"
