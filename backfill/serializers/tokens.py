"""JSON of API tokens. Their keys are not stored."""
# ruff: noqa: N815 - field names are the JSON names

from __future__ import annotations

from rest_framework.fields import CharField, IntegerField

from backfill.serializers.base import InstantField, ValueSerializer


class ApiTokenSerializer(ValueSerializer):
    id = IntegerField()
    user = CharField(source="user.username")
    name = CharField()
    createdAt = InstantField(source="created_at")
    expiresAt = InstantField(source="expires_at", allow_null=True)
