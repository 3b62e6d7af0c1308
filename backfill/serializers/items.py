"""JSON of settled items."""
# ruff: noqa: N802, N815 - field names are the JSON names

from __future__ import annotations

from rest_framework.fields import BooleanField, CharField, DateField, IntegerField

from backfill.domain import Outcome, OutcomeKind
from backfill.serializers.base import EnumField, InstantField, NullableTextField, PageSerializer, ValueSerializer


class ItemSerializer(ValueSerializer):
    """Renders an Outcome."""

    itemId = CharField(source="item.key")
    date = DateField(source="item.date")
    districtId = CharField(source="item.district")
    outcome = EnumField(OutcomeKind, source="kind")
    reason = NullableTextField()
    message = NullableTextField()
    attempts = IntegerField()
    at = InstantField()
    isRetryable = BooleanField(allow_null=True, help_text="Null unless the item failed.")
    excerpt = NullableTextField(
        help_text="The first 2 KB of the rejected report, with control characters replaced; null if no report was "
        "rejected.",
    )

    def get_isRetryable(self, outcome: Outcome) -> bool | None:
        return outcome.is_retryable if outcome.kind is OutcomeKind.FAILED else None


class ItemPageSerializer(PageSerializer):
    items = ItemSerializer(many=True, source="rows")
