"""JSON of errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.fields import BooleanField, CharField, DictField

from backfill.serializers.base import ResponseSerializer, ValueSerializer
from backfill.serializers.paths import public_path


class ErrorBodySerializer(ValueSerializer):
    code = CharField(help_text="Stable error code for programs.")
    message = CharField(help_text="A sentence that describes the error and what to do next.")
    details = DictField(allow_null=True, help_text="For a validation error: the messages of each field.")
    retryable = BooleanField(source="is_retryable", help_text="Whether the same request may succeed later.")

    def get_details(self, error: Any) -> Mapping[str, Any] | None:
        details: Mapping[str, Any] = error.details or {}
        path = details.get("path")  # a text, unless `path` is an invalid field
        return ({**details, "path": public_path(path)} if isinstance(path, str) else details) or None


class ErrorSerializer(ResponseSerializer):
    error = ErrorBodySerializer(source="*")
