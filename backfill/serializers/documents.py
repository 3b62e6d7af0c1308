"""What answers look like, for the OpenAPI document only: answers are rendered by `backfill.serializers.values`.

A test holds every real answer against these.
"""
# ruff: noqa: N815 - names as they are in JSON

from __future__ import annotations

from enum import StrEnum
from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    DateField,
    DateTimeField,
    DictField,
    FloatField,
    IntegerField,
    ListField,
    UUIDField,
)

from backfill.domain import AuditAction, Cadence, Channel, JobType, LimiterState, OutcomeKind, Status

Document = serializers.Serializer[Any]


def one_of(kind: type[StrEnum], **options: Any) -> ChoiceField:
    return ChoiceField(choices=[(member.value, member.name) for member in kind], **options)


def counts(**options: Any) -> DictField:
    return DictField(child=IntegerField(), **options)


# Every answer.


class Metadata(Document):
    operationId = UUIDField()
    timestamp = DateTimeField()


class ErrorBody(Document):
    code = CharField(help_text="Stable; programs decide by it.")
    message = CharField(help_text="A sentence that says what to do next.")
    details = DictField(allow_null=True, help_text="Of a validation error: each field's messages.")
    retryable = BooleanField(help_text="Whether the same request may succeed later.")


class Error(Document):
    error = ErrorBody()
    metadata = Metadata()


# Jobs.


class RateLimits(Document):
    maxRequestsPerMinute = IntegerField()
    maxConcurrent = IntegerField()
    minDelayMs = IntegerField()
    maxDelayMs = IntegerField()
    backoffMultiplier = FloatField()


class JobConfig(Document):
    startDate = DateField(allow_null=True)
    endDate = DateField(allow_null=True)
    targetDistricts = ListField(child=CharField(), help_text="Empty for all districts.")
    cadence = one_of(Cadence)
    skipExisting = BooleanField()
    rateLimits = RateLimits()


class SecondsRange(Document):
    low = IntegerField()
    high = IntegerField()


class MillisecondsRange(Document):
    low = IntegerField()
    high = IntegerField()


class PaceMinute(Document):
    at = DateTimeField()
    items = IntegerField()


class Pace(Document):
    itemsPerMinute = FloatField(allow_null=True)
    history = PaceMinute(many=True, help_text="The last 30 minutes, oldest first.")


class DistrictProgress(Document):
    districtId = CharField()
    status = ChoiceField(choices=["pending", "processing", "completed", "failed", "skipped"])
    itemsTotal = IntegerField()
    itemsProcessed = IntegerField()
    itemsFailed = IntegerField()
    itemsSkipped = IntegerField()
    lastError = CharField(allow_null=True)


class ItemError(Document):
    itemId = CharField()
    districtId = CharField()
    date = DateField()
    code = CharField()
    message = CharField()
    occurredAt = DateTimeField()
    isRetryable = BooleanField()
    attempts = IntegerField()


class ListedProgress(Document):
    totalItems = IntegerField()
    processedItems = IntegerField()
    failedItems = IntegerField()
    skippedItems = IntegerField()
    skipped = counts(help_text="Skipped items by reason.")
    quality = counts(help_text="Notes on the quality of computed results, by code.")
    percent = FloatField()
    currentItem = CharField(allow_null=True)
    estimatedSecondsLeft = IntegerField(allow_null=True, help_text="Null before anything was done, and at the end.")
    estimatedSecondsLeftRange = SecondsRange(allow_null=True, help_text="Holds the truth nine times in ten.")
    pace = Pace()


class Progress(ListedProgress):
    districtProgress = DictField(child=DistrictProgress())
    errors = ItemError(many=True, help_text="The newest 100.")  # type: ignore[assignment]


class Checkpoint(Document):
    lastProcessedItem = CharField()
    lastProcessedAt = DateTimeField(allow_null=True)
    itemsCompleted = IntegerField()


class Result(Document):
    itemsProcessed = IntegerField()
    itemsFailed = IntegerField()
    itemsSkipped = IntegerField()
    quality = counts(help_text="Notes on the quality of computed results, by code.")
    duration = IntegerField(help_text="Milliseconds.")
    requestsMade = IntegerField()


class RateLimiter(Document):
    requestsMade = IntegerField()
    requestsThisMinute = IntegerField()
    requestsByStatus = counts(help_text="By the HTTP status of the answer, or the code of what was wrong with it.")
    waitedSeconds = counts(
        help_text="For how long the job was held back, by what held it: pace (the limits), slowed (the dashboard asked "
        "for fewer), asked-to-wait, down, retry, outside-hours, store."
    )
    state = one_of(LimiterState)
    waitingUntil = DateTimeField(allow_null=True)
    reason = CharField()
    requestsPerMinute = FloatField(
        allow_null=True, help_text="That may start as things are; below the limit where the dashboard asked for fewer."
    )
    latencyMs = IntegerField(allow_null=True, help_text="How long the last requests lasted.")
    downSince = DateTimeField(
        allow_null=True, help_text="Since when the dashboard answers nothing; null where it does."
    )


class Links(Document):
    self = CharField()
    items = CharField()
    cancel = CharField(required=False)
    retry = CharField(required=False)
    retryOf = CharField(required=False)


class ListedJob(Document):
    jobId = UUIDField()
    jobType = one_of(JobType)
    status = one_of(Status)
    config = JobConfig()
    progress = ListedProgress()
    checkpoint = Checkpoint(allow_null=True)
    createdAt = DateTimeField()
    createdBy = CharField()
    startedAt = DateTimeField(allow_null=True, help_text="The first start; it never changes.")
    completedAt = DateTimeField(allow_null=True, help_text="When it ended, however it ended.")
    cancelledAt = DateTimeField(allow_null=True)
    resumedAt = DateTimeField(allow_null=True)
    resumeCount = IntegerField()
    retryOf = UUIDField(allow_null=True)
    result = Result(allow_null=True)
    error = CharField(allow_null=True)
    rateLimiter = RateLimiter()
    links = Links()


class Job(ListedJob):
    progress = Progress()
    metadata = Metadata()


class CancelledJob(Job):
    previousStatus = one_of(Status)


@extend_schema_serializer(many=False)  # the list is one of its properties
class Page(Document):
    total = IntegerField()
    limit = IntegerField()
    offset = IntegerField()
    metadata = Metadata()


class JobPage(Page):
    jobs = ListedJob(many=True)


class Item(Document):
    itemId = CharField()
    date = DateField()
    districtId = CharField()
    outcome = one_of(OutcomeKind)
    reason = CharField(allow_null=True)
    message = CharField(allow_null=True)
    attempts = IntegerField()
    at = DateTimeField()
    isRetryable = BooleanField(allow_null=True, help_text="Of a failure; null of any other outcome.")
    excerpt = CharField(
        allow_null=True,
        help_text="The first 2 KB of the report that was refused, with control characters replaced; null where there "
        "is none.",
    )


class ItemPage(Page):
    items = Item(many=True)


class AuditEntry(Document):
    entryId = UUIDField()
    at = DateTimeField()
    operator = CharField()
    channel = one_of(Channel)
    action = one_of(AuditAction)
    jobId = UUIDField(allow_null=True, help_text="null for the limits of the next job.")
    changes = DictField(
        child=DictField(help_text="from and to."), help_text="What changed, under the names of a job's fields."
    )


class AuditPage(Page):
    entries = AuditEntry(many=True)


class DateRange(Document):
    startDate = DateField(allow_null=True)
    endDate = DateField(allow_null=True)


class ItemBreakdown(Document):
    dates = ListField(child=DateField(), required=False)
    snapshotIds = ListField(child=CharField(), required=False, help_text="Of analytics: the first 1,000.")
    missing = IntegerField(required=False, help_text="Of analytics: snapshots without a result.")
    stale = IntegerField(required=False, help_text="Of analytics: results that rest on what has changed since.")
    done = IntegerField(required=False, help_text="Of analytics: results that need no computing.")


class Preview(Document):
    jobType = one_of(JobType)
    totalItems = IntegerField()
    dateRange = DateRange()
    affectedDistricts = ListField(child=CharField())
    estimatedDuration = IntegerField(help_text="Milliseconds.")
    estimatedDurationRange = MillisecondsRange(help_text="Holds the truth nine times in ten.")
    estimatedRequests = IntegerField()
    itemBreakdown = ItemBreakdown()
    skipped = counts(help_text="Items that will be skipped, by reason.")
    unpublishedDates = IntegerField(help_text="Days of the range for which the dashboard has nothing.")
    planId = CharField()
    rateLimits = RateLimits()


class PreviewAnswer(Document):
    preview = Preview()
    metadata = Metadata()


class StoredRateLimits(RateLimits):
    updatedAt = DateTimeField(allow_null=True)
    updatedBy = CharField(allow_null=True)


class RateLimitAnswer(Document):
    config = StoredRateLimits()
    metadata = Metadata()


# Snapshots.


class StoredReport(Document):
    rows = IntegerField()
    bytes = IntegerField()


class ListedSnapshot(Document):
    date = DateField()
    districtId = CharField()
    programYear = CharField()
    dataMonth = CharField()
    asOf = DateField()
    isFinal = BooleanField()
    contentHash = CharField()
    fetchedAt = DateTimeField()
    jobId = UUIDField()
    reports = DictField(child=StoredReport())


class SnapshotPage(Page):
    snapshots = ListedSnapshot(many=True)


class Snapshot(ListedSnapshot):
    clubs = ListField(
        child=DictField(child=CharField()),
        required=False,
        help_text="Of a district: its clubs, under the report's own column names.",
    )
    districts = ListField(
        child=DictField(child=CharField()), required=False, help_text="Of the summary (all): every district."
    )
    metadata = Metadata()


# Probes.


class Health(Document):
    status = ChoiceField(choices=["ok"])


class Ready(Health):
    workerSeenAt = DateTimeField(
        allow_null=True,
        help_text="When a worker last gave a sign of life; each does so twice a minute.",
    )
    message = CharField(allow_blank=True, help_text="Says that no worker is running and how to start one, else empty.")
