"""JSON of webhook messages."""
# ruff: noqa: N802, N815 - field names are the JSON names

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from rest_framework.fields import CharField, UUIDField

from backfill.domain import Job, WebhookEvent, WebhookEventType
from backfill.domain.webhook_event import TARGET_ID
from backfill.serializers.base import EnumField, InstantField, ValueSerializer
from backfill.serializers.jobs import ListedJobSerializer
from backfill.serializers.targets import CoverageTargetSerializer
from backfill.service.targets import TargetView


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    job: Job
    event: WebhookEvent


@dataclass(frozen=True, slots=True)
class TargetMessage:
    view: TargetView
    event: WebhookEvent


class _EventSerializer(ValueSerializer):
    event = EnumField(WebhookEventType, source="event.event")
    deliveryId = UUIDField()
    occurredAt = InstantField(source="event.at")
    message = CharField(source="event.sentence")


class WebhookMessageSerializer(_EventSerializer):
    job = ListedJobSerializer()

    def get_deliveryId(self, message: WebhookMessage) -> UUID:
        return message.event.id_for(message.job.id)


class TargetMessageSerializer(_EventSerializer):
    target = CoverageTargetSerializer(source="view")

    def get_deliveryId(self, message: TargetMessage) -> UUID:
        return message.event.id_for(TARGET_ID)
