"""The ten club goals and the number of clubs that met each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from adminui.presenters.number_format import format_number, format_percent
from adminui.presenters.result import Json

GOALS: tuple[str | Promise, ...] = (
    _("4 Level 1 awards"),
    _("2 Level 2 awards"),
    _("2 more Level 2 awards"),
    _("2 Level 3 awards"),
    _("1 Level 4, Level 5 or DTM award"),
    _("1 more Level 4, Level 5 or DTM award"),
    _("4 new members"),
    _("4 more new members"),
    _("4 officers trained in each round"),
    _("Dues and officer list on time"),
)


@dataclass(frozen=True, slots=True)
class Goal:
    number: int
    name: str
    achieved: str
    percent: str
    width: float
    """Width of the bar in percent."""


def goals(lines: Sequence[Json] | None) -> list[Goal] | None:
    return None if lines is None else [_goal(line) for line in lines]


def _goal(line: Json) -> Goal:
    number, share = line["goal"], line["percent"]
    return Goal(number, str(GOALS[number - 1]), format_number(line["achieved"]), format_percent(share, 1), share or 0)
