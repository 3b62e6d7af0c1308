"""Options of a form field or a filter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from django.utils.functional import Promise

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    is_chosen: bool


def choices(labels: Mapping[Value, str | Promise], chosen: object) -> list[Choice]:
    """In the order of `labels`."""
    return [Choice(str(value), str(label), value == chosen) for value, label in labels.items()]
