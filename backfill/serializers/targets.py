"""JSON of the coverage target and its status."""
# ruff: noqa: N815 - field names are the JSON names

from __future__ import annotations

from typing import Any

from rest_framework.fields import BooleanField, CharField, DateField, IntegerField, ListField, UUIDField

from backfill.domain import Cadence, TargetState
from backfill.serializers.base import (
    CountsField,
    EnumField,
    InstantField,
    MillisecondsField,
    NullableTextField,
    OneDecimalField,
    ResponseSerializer,
    ValueSerializer,
)
from backfill.service.targets import TargetView


class CoverageRuleSerializer(ValueSerializer):
    """`from` is a keyword of Python, so the fields are added here."""

    def get_fields(self) -> dict[str, Any]:
        return {
            "from": CharField(
                source="start_text", help_text="The first day; program-year for the first day of the current one."
            ),
            "cadence": EnumField(Cadence),
            "districts": ListField(child=CharField(), help_text="Empty for all districts."),
            "analytics": BooleanField(help_text="Whether results are computed too."),
        }


class CoverageTargetSerializer(ValueSerializer):
    """Renders a TargetView."""

    enabled = BooleanField(source="target.settings.enabled")
    dailyAt = CharField(help_text="HH:MM in BACKFILL_TIME_ZONE.")
    note = CharField(source="target.settings.note")
    monthlyRequests = IntegerField(
        source="target.settings.monthly_requests",
        allow_null=True,
        help_text="The most requests of automatic jobs in a calendar month; null for no limit.",
    )
    rules = CoverageRuleSerializer(many=True, source="target.settings.rules")
    status = EnumField(TargetState, source="status.state")
    sentence = CharField(source="status.sentence", help_text="The status in words.")
    completeUntil = DateField(
        source="status.complete_until",
        allow_null=True,
        help_text="The newest date up to which everything that is published is stored.",
    )
    missing = CountsField(
        source="status.missing",
        help_text="Missing items by reason: not-collected, outdated, not-published, not-computed, or an error code.",
    )
    nextCheckAt = InstantField(source="status.next_check_at", allow_null=True)
    lastCheckAt = InstantField(source="status.last_check_at", allow_null=True)
    incompleteSince = InstantField(source="status.incomplete_since", allow_null=True)
    lastJobId = UUIDField(source="status.last_job_id", allow_null=True)
    updatedAt = InstantField(source="target.updated_at", allow_null=True)
    updatedBy = NullableTextField(source="target.updated_by")

    def get_dailyAt(self, view: TargetView) -> str:  # noqa: N802
        return f"{view.target.settings.daily_at:%H:%M}"


class CoverageTargetResponseSerializer(ResponseSerializer):
    """Renders a TargetView."""

    target = CoverageTargetSerializer(source="*")


class TargetPreviewSerializer(ValueSerializer):
    """Renders a TargetPreview."""

    totalItems = IntegerField(source="items", help_text="Items that the first check would collect.")
    estimatedRequests = IntegerField(source="requests")
    estimatedDuration = MillisecondsField(source="duration.seconds", help_text="Milliseconds, at the current limits.")
    estimatedDays = OneDecimalField(source="days", help_text="Days until everything is collected.")
    results = IntegerField(help_text="Results to compute when their snapshots are stored.")
    missing = CountsField(source="findings.missing", help_text="Missing items by reason or error code.")


class TargetPreviewResponseSerializer(ResponseSerializer):
    """Renders a TargetPreview."""

    preview = TargetPreviewSerializer(source="*")
