"""JSON of the progress of reading the dashboard's calendar."""
# ruff: noqa: N815 - field names are the JSON names

from __future__ import annotations

from math import ceil

from rest_framework.fields import IntegerField

from backfill.domain import CalendarProgress
from backfill.serializers.base import ResponseSerializer, ValueSerializer


class CalendarProgressSerializer(ValueSerializer):
    needed = IntegerField(help_text="Calendar pages that are needed: one for each month.")
    stored = IntegerField(help_text="Those that are stored.")
    estimatedSecondsLeft = IntegerField(source="seconds_left")

    def get_estimatedSecondsLeft(self, progress: CalendarProgress) -> int:  # noqa: N802
        return ceil(progress.seconds_left)


class CalendarProgressResponseSerializer(ResponseSerializer):
    """Renders a CalendarProgress."""

    calendar = CalendarProgressSerializer(source="*")
