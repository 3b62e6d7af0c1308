"""JSON of audit entries."""
# ruff: noqa: N815 - field names are the JSON names

from __future__ import annotations

from rest_framework.fields import CharField, DictField, UUIDField

from backfill.domain import AuditAction, AuditEntry, Channel
from backfill.serializers.base import EnumField, InstantField, Json, PageSerializer, ValueSerializer


class AuditEntrySerializer(ValueSerializer):
    entryId = UUIDField(source="id")
    at = InstantField()
    operator = CharField(source="actor.operator")
    channel = EnumField(Channel, source="actor.channel")
    action = EnumField(AuditAction)
    jobId = UUIDField(
        allow_null=True, help_text="Null if the action changed the rate limits of the next job, or concerns an account."
    )
    changes = DictField(
        child=DictField(help_text="`from` and `to`."), help_text="Changed values by the name of the job's JSON field."
    )

    def get_changes(self, entry: AuditEntry) -> Json:
        return {name: {"from": before, "to": after} for name, (before, after) in entry.changes.items()}


class AuditPageSerializer(PageSerializer):
    entries = AuditEntrySerializer(many=True, source="rows")
