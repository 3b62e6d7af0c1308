"""Common parts of the pages of results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from adminui.presenters import formatting

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tile:
    label: str
    value: str
    notes: list[str]
    tone: str = ""
    change: str = ""


def describe_result(result: Json) -> str:
    """Figures of June 2024, final close, as of 21 Jul 2024."""
    month = date_format(date.fromisoformat(f"{result['dataMonth']}-01"), "F Y")
    kind = _("final close") if result["isFinal"] else _("the month was still open")
    as_of = formatting.day(date.fromisoformat(result["asOf"]))
    return _("Figures of %(month)s, %(kind)s, as of %(day)s.") % {"month": month, "kind": kind, "day": as_of}
