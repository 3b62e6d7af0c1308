"""JSON of the probes."""
# ruff: noqa: N802, N815 - field names are the JSON names

from __future__ import annotations

from datetime import datetime

from rest_framework.fields import ChoiceField

from backfill.serializers.base import InstantField, ValueSerializer


class HealthSerializer(ValueSerializer):
    status = ChoiceField(choices=["ok"])

    def get_status(self, _: object) -> str:
        return "ok"


class ReadinessSerializer(HealthSerializer):
    """Renders the time of the last worker heartbeat."""

    workerSeenAt = InstantField(
        allow_null=True,
        help_text="When a worker last sent a heartbeat; each worker sends one every 30 seconds.",
    )

    def get_workerSeenAt(self, seen_at: datetime | None) -> datetime | None:
        return seen_at
