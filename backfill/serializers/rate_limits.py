"""JSON of the rate limits."""
# ruff: noqa: N815 - field names are the JSON names

from __future__ import annotations

from rest_framework.fields import IntegerField

from backfill.serializers.base import (
    InstantField,
    NullableTextField,
    NumberField,
    ResponseSerializer,
    ValueSerializer,
)


class RateLimitsSerializer(ValueSerializer):
    maxRequestsPerMinute = IntegerField()
    maxConcurrent = IntegerField()
    minDelayMs = IntegerField()
    maxDelayMs = IntegerField()
    backoffMultiplier = NumberField()


class StoredRateLimitsSerializer(RateLimitsSerializer):
    """Renders a StoredLimits."""

    inherited_source = "limits"

    updatedAt = InstantField(allow_null=True)
    updatedBy = NullableTextField()


class RateLimitsResponseSerializer(ResponseSerializer):
    """Renders a StoredLimits."""

    config = StoredRateLimitsSerializer(source="*")
