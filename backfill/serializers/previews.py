"""JSON of previews."""
# ruff: noqa: N802, N815 - field names are the JSON names

from __future__ import annotations

from datetime import date
from itertools import islice

from rest_framework.fields import CharField, DateField, IntegerField, ListField

from backfill.domain import SUMMARY, Breakdown, JobType
from backfill.serializers.base import (
    CountsField,
    EnumField,
    MillisecondsField,
    ResponseSerializer,
    ValueSerializer,
)
from backfill.serializers.rate_limits import RateLimitsSerializer
from backfill.service.planning import Preview

_SNAPSHOT_IDS = 1000
"""The longest list of snapshot ids in a preview; `totalItems` counts all of them."""


def _has_results(preview: Preview) -> bool:
    return preview.job_type.description.breakdown is Breakdown.ITEMS


class DateRangeSerializer(ValueSerializer):
    startDate = DateField(allow_null=True)
    endDate = DateField(allow_null=True)


class MillisecondsRangeSerializer(ValueSerializer):
    low = MillisecondsField()
    high = MillisecondsField()


class ItemBreakdownSerializer(ValueSerializer):
    """Renders the part of a Preview that depends on the job type."""

    dates = ListField(child=DateField(), required=False, help_text="Data collection only.")
    snapshotIds = ListField(child=CharField(), required=False, help_text="Analytics only: the first 1,000 snapshots.")
    missing = IntegerField(required=False, help_text="Analytics only: snapshots without a result.")
    stale = IntegerField(required=False, help_text="Analytics only: results whose input has changed.")
    done = IntegerField(required=False, help_text="Analytics only: results that are up to date.")

    def get_dates(self, preview: Preview) -> list[date] | None:
        return None if _has_results(preview) else [day.date for day in preview.plan.days]

    def get_snapshotIds(self, preview: Preview) -> list[str] | None:
        if not _has_results(preview):
            return None
        return list(islice((item.key for day in preview.plan.days for item in day.items()), _SNAPSHOT_IDS))

    def get_missing(self, preview: Preview) -> int | None:
        plan = preview.plan
        return plan.total_items - plan.skipped_items - plan.stale if _has_results(preview) else None

    def get_stale(self, preview: Preview) -> int | None:
        return preview.plan.stale if _has_results(preview) else None

    def get_done(self, preview: Preview) -> int | None:
        return preview.plan.skipped_items if _has_results(preview) else None


class PreviewSerializer(ValueSerializer):
    jobType = EnumField(JobType)
    totalItems = IntegerField(source="plan.total_items")
    dateRange = DateRangeSerializer(source="config")
    affectedDistricts = ListField(child=CharField())
    estimatedDuration = MillisecondsField(source="duration.seconds", help_text="Milliseconds.")
    estimatedDurationRange = MillisecondsRangeSerializer(
        source="duration", help_text="Contains the actual duration in nine of ten cases."
    )
    estimatedRequests = IntegerField(source="plan.requests")
    itemBreakdown = ItemBreakdownSerializer(source="*")
    skipped = CountsField(source="plan.skipped", help_text="Items that the job will skip, by reason.")
    unpublishedDates = IntegerField(
        source="plan.unpublished_dates", help_text="Dates of the range for which the dashboard has no data."
    )
    planId = CharField()
    rateLimits = RateLimitsSerializer(source="config.rate_limits")

    def get_affectedDistricts(self, preview: Preview) -> list[str]:
        return [name for name in preview.plan.district_totals if name != SUMMARY]


class PreviewResponseSerializer(ResponseSerializer):
    """Renders a Preview."""

    preview = PreviewSerializer(source="*")
