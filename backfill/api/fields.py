"""Fields that accept only the exact JSON type: `"true"` is not a boolean, `1` not text, a time not a date."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, NoReturn

from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.fields import empty

from backfill.domain import LONGEST_NOTE, parsed_note, required_note
from backfill.errors import InvalidRequest

PRINTABLE_PATTERN = "^[ -~]+$"
DISTRICT_PATTERN = "^ *(0*[1-9][0-9]{0,3}|[A-Za-z]) *$"
DISTRICT_OR_SUMMARY_PATTERN = f"^all$|{DISTRICT_PATTERN}"
_NOTE_CHARACTER = r"[^\u0000-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]"
LINE_PATTERN = f"^{_NOTE_CHARACTER}*$"
"""A text without control characters and line breaks."""
_NOTE_WITH_TEXT = rf"^{_NOTE_CHARACTER}*[!-~]{_NOTE_CHARACTER}*$"
"""A sufficient form of a note that is not empty."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_QUOTED = 40
"""The most characters of a request's text that a response repeats."""
_MOST_MESSAGES = 20
"""The most messages in a response."""


def printable(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:_QUOTED])


def parsed_day(text: str, field: str) -> date:
    """Parses a date like 2024-01-31; raises InvalidRequest that names `field`."""
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass  # a date such as 2024-02-30 gets the same message as any other text
    message = f"{field} must be a day of the calendar, written like 2024-01-31; it was {text[:_QUOTED]!r}."
    raise InvalidRequest({field: [message]})


def refuse(message: str) -> NoReturn:
    raise ValidationError(message, code="predicate")


class StrictCharField(serializers.CharField):
    """Printable ASCII text of bounded length.

    The OpenAPI document states `pattern`. Text that does not match it is rejected with the message `mismatch`;
    without a message, the domain validates the text.
    """

    def __init__(
        self, *, pattern: str = PRINTABLE_PATTERN, mismatch: str = "", allow_blank: bool = True, **options: Any
    ) -> None:
        self.pattern, self.mismatch = pattern, mismatch
        super().__init__(allow_blank=allow_blank, trim_whitespace=False, **options)

    def run_validation(self, data: Any = empty) -> Any:
        if data is not empty and data is not None:
            if not isinstance(data, str):
                refuse("must be text")
            if self.max_length is not None and len(data) > self.max_length:
                refuse(f"must not be longer than {self.max_length} characters")
            if not (data.isascii() and data.isprintable()):
                refuse("must contain only printable ASCII characters")
            if data and self.mismatch and not re.search(self.pattern, data):
                refuse(self.mismatch)
            if not data and not self.allow_blank:
                refuse("must not be empty")
        return super().run_validation(data)


class NoteField(serializers.CharField):
    """A note of an operator. `is_required`: it must not be empty."""

    def __init__(self, *, is_required: bool = False, **options: Any) -> None:
        self.is_required = is_required
        super().__init__(allow_blank=True, trim_whitespace=False, allow_null=not is_required, **options)

    def run_validation(self, data: Any = empty) -> Any:
        if data is not empty and data is not None and not isinstance(data, str):
            refuse("must be text")
        return super().run_validation(data)

    def to_internal_value(self, data: str) -> str:
        try:
            return required_note(data) if self.is_required else parsed_note(data)
        except InvalidRequest as exc:
            refuse(exc.message.removeprefix("note ").rstrip("."))


class NoteFieldSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """States the characters of a note in the OpenAPI document; drf-spectacular finds this class by itself."""

    target_class = NoteField

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:  # noqa: ARG002
        return note_schema(is_required=self.target.is_required)


def note_schema(*, is_required: bool = False) -> dict[str, Any]:
    return {"type": "string", "maxLength": LONGEST_NOTE, "pattern": _NOTE_WITH_TEXT if is_required else LINE_PATTERN}


class StrictChoiceField(serializers.ChoiceField):
    """One of the given texts."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in self.choices:
            refuse(f"must be one of {', '.join(map(str, self.choices))}")
        return data


class StrictDateField(serializers.DateField):
    def to_internal_value(self, value: Any) -> date:
        if not isinstance(value, str):
            refuse("must be text like 2024-01-31")
        try:
            return parsed_day(value, "it")
        except InvalidRequest:
            refuse(f"must be a day of the calendar, written like 2024-01-31; it was {value[:_QUOTED]!r}")


class StrictBooleanField(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            refuse("must be true or false")
        return data


class StrictIntegerField(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        # JSON does not distinguish 3 from 3.0, and neither does JSON Schema.
        if isinstance(data, bool) or not (isinstance(data, int) or (isinstance(data, float) and data.is_integer())):
            refuse("must be a whole number")
        _check_bounds(data, self.min_value, self.max_value)
        return int(data)


class StrictNumberField(serializers.FloatField):
    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            refuse("must be a number")
        _check_bounds(data, self.min_value, self.max_value)
        return data


def _check_bounds(value: float, low: Any, high: Any) -> None:
    if not low <= value <= high:
        refuse(f"must be between {low:,} and {high:,}")


class StrictListField(serializers.ListField):
    """A list with at most `most` entries; `entries` is how messages name them."""

    def __init__(self, *, most: int, entries: str, **options: Any) -> None:
        self._entries = entries
        super().__init__(max_length=most, **options)

    def run_validation(self, data: Any = empty) -> Any:
        if data is not empty and data is not None:
            if not isinstance(data, list):
                refuse(f"must be a list of {self._entries}")
            if self.max_length is not None and len(data) > self.max_length:
                refuse(f"must not have more than {self.max_length} entries")
        return super().run_validation(data)


class StrictStringListField(StrictListField):
    """A list of texts with at most `most` entries of at most `longest` characters."""

    def __init__(self, *, longest: int, most: int, pattern: str = PRINTABLE_PATTERN, **options: Any) -> None:
        child = StrictCharField(max_length=longest, pattern=pattern, allow_blank=pattern == PRINTABLE_PATTERN)
        super().__init__(most=most, entries="texts", child=child, **options)


class StrictSerializer(serializers.Serializer[Any]):
    """An object with these fields and no others."""

    @property
    def names(self) -> str:
        return ", ".join(self.fields) or "none"

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            refuse(f"must be a JSON object; its fields can be {self.names}")
        errors: dict[str, Any] = {
            str(name): [ErrorDetail(f"is not a field of this request; it takes {self.names}", code="predicate")]
            for name in data
            if name not in self.fields
        }
        try:
            values: dict[str, Any] = super().to_internal_value(dict(data))
        except ValidationError as exc:
            errors |= exc.detail if isinstance(exc.detail, dict) else {}
        if errors:
            raise ValidationError(errors)
        return values


class StrictSerializerSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Forbids other fields in the OpenAPI document; drf-spectacular finds this class by itself."""

    target_class = StrictSerializer
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(self.target, direction, True)  # type: ignore[no-untyped-call] # noqa: SLF001
        return {**schema, "additionalProperties": False}


class StrictCharFieldSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """States the pattern of a StrictCharField in the OpenAPI document; drf-spectacular finds this class by itself."""

    target_class = StrictCharField
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "string", "maxLength": self.target.max_length, "pattern": self.target.pattern}


def parsed(kind: type[StrictSerializer], data: Any) -> dict[str, Any]:
    """Returns the values by their sources; raises InvalidRequest with the messages of every invalid field."""
    if not isinstance(data, Mapping):
        raise InvalidRequest({"body": [f"The body must be a JSON object; its fields can be {kind().names}."]})
    serializer = kind(data=dict(data.items()))
    if not serializer.is_valid():
        raise InvalidRequest(sentences(serializer.errors))
    return dict(serializer.validated_data)


def sentences(errors: Mapping[Any, Any]) -> dict[str, list[str]]:
    """The messages of each field as sentences; nested fields are named like `rateLimits.maxConcurrent`."""
    found: dict[str, list[str]] = {}
    for number, (name, message) in enumerate(_leaves("", errors)):
        if number == _MOST_MESSAGES:
            break
        found.setdefault(name, []).append(f"{name} {message}.")
    return found


def _leaves(name: str, errors: Any) -> Iterator[tuple[str, str]]:
    if isinstance(errors, Mapping):
        for key, inner in errors.items():
            if isinstance(key, int):  # an index; the list counts as one field
                yield from (
                    (name, " ".join(filter(None, (f"[{key}]", field, message))))
                    for field, message in _leaves("", inner)
                )
            else:
                own = printable(str(key))
                yield from _leaves(name if own == "non_field_errors" else f"{name}.{own}".lstrip("."), inner)
    elif isinstance(errors, str):
        predicates = {"required": "is required", "null": "must not be null"}
        yield name, predicates.get(getattr(errors, "code", ""), str(errors).rstrip("."))
    else:
        for inner in errors:
            yield from _leaves(name, inner)
