"""JSON of the probes."""
# ruff: noqa: N802, N815 - field names are the JSON names

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from rest_framework.fields import CharField, ChoiceField

from backfill.serializers.base import InstantField, ValueSerializer


class HealthSerializer(ValueSerializer):
    status = ChoiceField(choices=["ok"])

    def get_status(self, _: object) -> str:
        return "ok"


class WorkerReport(NamedTuple):
    seen_at: datetime | None
    """The last worker heartbeat."""
    message: str


class ReadinessSerializer(HealthSerializer):
    workerSeenAt = InstantField(
        allow_null=True,
        help_text="When a worker last sent a heartbeat; each worker sends one every 30 seconds.",
    )

    message = CharField(allow_blank=True, help_text="Says that no worker is running and how to start one, else empty.")

    def get_workerSeenAt(self, report: WorkerReport) -> datetime | None:
        return report.seen_at
