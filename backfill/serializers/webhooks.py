"""JSON of webhook messages."""
# ruff: noqa: N802, N815 - field names are the JSON names

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from rest_framework.fields import CharField, UUIDField

from backfill.domain import Job, WebhookEvent, WebhookEventType
from backfill.serializers.base import EnumField, InstantField, ValueSerializer
from backfill.serializers.jobs import ListedJobSerializer


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    job: Job
    event: WebhookEvent


class WebhookMessageSerializer(ValueSerializer):
    event = EnumField(WebhookEventType, source="event.event")
    deliveryId = UUIDField()
    occurredAt = InstantField(source="event.at")
    message = CharField(source="event.sentence")
    job = ListedJobSerializer()

    def get_deliveryId(self, message: WebhookMessage) -> UUID:
        return message.event.id_for(message.job.id)
