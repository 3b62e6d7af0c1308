"""Base classes and fields of the serializers that render immutable values."""
# ruff: noqa: N815 - field names are the JSON names

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache, cached_property
from operator import attrgetter
from typing import Any, ClassVar, Self
from uuid import uuid4
from zlib import crc32

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    DateTimeField,
    DictField,
    Field,
    FloatField,
    IntegerField,
    UUIDField,
)

Json = dict[str, Any]


class ValueSerializer(serializers.Serializer[Any]):
    """Renders an immutable value as JSON, and describes that JSON in the OpenAPI document.

    A field calls the method `get_<field>` of the serializer if there is one. Otherwise it reads the attribute that
    `source` names; the default is the field's name in snake case. A value of None is rendered as null, or left out if
    the field is not required.

    `render` uses one instance per class and resolves the sources once: DRF copies every declared field for each
    instance, which takes longer than rendering a job.
    """

    trailing: ClassVar[tuple[str, ...]] = ()
    """Fields that come last, also after the fields of subclasses."""
    inherited_source: ClassVar[str] = ""
    """The attribute of the value from which the inherited fields read."""

    @classmethod
    def render(cls, value: Any) -> Json:
        return _shared(cls).to_representation(value)

    @classmethod
    def version(cls) -> str:
        """Changes when the fields change. ETags contain it, so that clients discard responses of other releases."""
        return _version(cls)

    def get_fields(self) -> dict[str, Field[Any, Any, Any, Any]]:
        """The fields in the order of their first declaration in the class hierarchy."""
        fields = super().get_fields()
        names = dict.fromkeys(name for cls in reversed(type(self).__mro__) for name in _declared(cls))
        for name in self.trailing:
            names[name] = names.pop(name)
        return {name: fields[name] for name in names}

    def to_representation(self, instance: Any) -> Json:
        rendered: Json = {}
        for name, get, represent, is_required in self._readers:
            value = get(instance)
            if value is not None:
                rendered[name] = represent(value)
            elif is_required:
                rendered[name] = None
        return rendered

    @cached_property
    def _readers(self) -> list[tuple[str, Callable[[Any], Any], Callable[[Any], Any], bool]]:
        return [
            (name, self._getter(name, field.source), _representation(field), field.required)
            for name, field in self.fields.items()
        ]

    def _getter(self, name: str, source: str | None) -> Callable[[Any], Any]:
        method: Callable[[Any], Any] | None = getattr(self, f"get_{name}", None)
        prefix = self.inherited_source if name in _declared(type(self).__mro__[1]) else ""
        if method is not None and prefix:
            inner = attrgetter(prefix)
            return lambda value: method(inner(value))
        if method is not None:
            return method
        path = _snake_case(name) if source in {None, name} else str(source).removeprefix("*")
        whole = ".".join(filter(None, (prefix, path)))
        return attrgetter(whole) if whole else lambda value: value


@cache
def _shared(kind: type[ValueSerializer]) -> ValueSerializer:
    return kind()


@cache
def _version(kind: type[ValueSerializer]) -> str:
    return f"{crc32(repr(_shared(kind)).encode()):08x}"


def _declared(kind: type) -> Mapping[str, Any]:
    return getattr(kind, "_declared_fields", {})


def _representation(field: Field[Any, Any, Any, Any]) -> Callable[[Any], Any]:
    """The field's own conversion; the plain type, which is several times as fast, if that is all that it does."""
    return _PLAIN_TYPES.get(type(field), field.to_representation)


def _snake_case(name: str) -> str:
    return re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", name)


# Fields.


class EnumField(ChoiceField):
    """A member of a StrEnum."""

    def __init__(self, kind: type[StrEnum], **options: Any) -> None:
        super().__init__(choices=[(member.value, member.name) for member in kind], **options)

    def to_representation(self, value: Any) -> str:
        return str(value)


class InstantField(DateTimeField):
    """ISO 8601 in UTC with `Z`."""

    def to_representation(self, value: datetime) -> str:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


class MonthField(CharField):
    """A month such as 2024-01, from any of its dates."""

    def to_representation(self, value: Any) -> str:
        return str(value.isoformat()[:7])


class NullableTextField(CharField):
    """Renders empty text as null."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def to_representation(self, value: str) -> str | None:  # type: ignore[override]
        return value or None


class RoundedField(IntegerField):
    def to_representation(self, value: float) -> int:
        return round(value)


class MillisecondsField(IntegerField):
    """Milliseconds, from seconds or from a timedelta."""

    def to_representation(self, value: float | timedelta) -> int:
        return round(value / timedelta(milliseconds=1) if isinstance(value, timedelta) else 1000 * value)


class OneDecimalField(FloatField):
    def to_representation(self, value: float) -> float:  # type: ignore[override]
        return round(value, 1)


class NumberField(FloatField):
    """Renders whole numbers without a decimal point."""

    def to_representation(self, value: float) -> float:  # type: ignore[override]
        return int(value) if value == int(value) else value


class CountsField(DictField):
    """Whole numbers by name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=RoundedField(), **options)


_PLAIN_TYPES: Mapping[type, Callable[[Any], Any]] = {
    BooleanField: bool,
    CharField: str,
    ChoiceField: str,
    EnumField: str,
    FloatField: float,
    IntegerField: int,
    UUIDField: str,
}


# Responses.


class MetadataSerializer(ValueSerializer):
    """Identifies the response itself, so it does not depend on the value."""

    operationId = UUIDField()
    timestamp = InstantField()

    def get_operationId(self, _: object) -> object:  # noqa: N802
        return uuid4()

    def get_timestamp(self, _: object) -> datetime:
        return datetime.now(UTC)


class ResponseSerializer(ValueSerializer):
    """A whole response body; `metadata` comes last."""

    metadata = MetadataSerializer(source="*")
    trailing: ClassVar[tuple[str, ...]] = ("metadata",)

    def get_metadata(self, _: object) -> Self:
        return self


@extend_schema_serializer(many=False)  # without this, drf-spectacular documents a list of pages
class PageSerializer(ResponseSerializer):
    """Renders a ListPage. Subclasses declare the field of the rows with the source `rows`."""

    total = IntegerField(help_text="The length of the whole list.")
    limit = IntegerField()
    offset = IntegerField(allow_null=True, help_text="Null if the request has a cursor.")
    nextCursor = CharField(allow_null=True, help_text="The cursor of the next page; null on the last page.")
    trailing = ("total", "limit", "offset", "nextCursor", "metadata")
