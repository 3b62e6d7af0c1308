"""The coverage target: which history should be stored. The keeper collects what is missing of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time

from backfill.domain.calendar import FIRST_DAY, ProgramYear
from backfill.domain.job_config import Cadence
from backfill.domain.job_request import parsed_district
from backfill.domain.note import parsed_note
from backfill.domain.plan import district_order
from backfill.errors import InvalidRequest

PROGRAM_YEAR = "program-year"
"""The value of `from` of a rule that starts with the current program year."""

MOST_RULES = 20
MOST_DISTRICTS = 500
"""The most districts of a rule."""

MOST_MONTHLY_REQUESTS = 10_000_000

DEFAULT_TIME = time(6)

_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def parsed_time(text: str, field: str = "dailyAt") -> time:
    """Raises InvalidRequest for `field` if the text is not a time of day like 06:00."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise InvalidRequest(
            {field: [f"{field} must be a time of day from 00:00 to 23:59, like 06:00; it was {text[:40]!r}."]}
        )
    return time(int(match[1]), int(match[2]))


def parsed_rule_start(text: str, field: str = "from", name: str = "") -> date | None:
    """The first day of a rule; None for `program-year`. Raises InvalidRequest for `field`; `name` is in its message."""
    if text == PROGRAM_YEAR:
        return None
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass  # a date such as 2024-02-30 gets the same message as any other text
    message = f"{name or field} must be a date like 2012-07-01, or {PROGRAM_YEAR}; it was {text[:40]!r}."
    raise InvalidRequest({field: [message]})


def parsed_cadence(text: str, field: str = "cadence") -> Cadence:
    """Raises InvalidRequest for `field` if the text is not a cadence."""
    try:
        return Cadence(text)
    except ValueError:
        names = ", ".join(Cadence)
        raise InvalidRequest({field: [f"{field} must be one of {names}; it was {text[:40]!r}."]}) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageRule:
    """Snapshot dates and districts that should be stored, from a first day to yesterday."""

    start: date | None
    """The first day; None for the first day of the current program year."""
    cadence: Cadence = Cadence.DAILY
    districts: tuple[str, ...] = ()
    """Empty for all districts. The summary of each date is always included."""
    analytics: bool = False
    """Whether results should be computed too."""

    def first_day(self, today: date) -> date:
        return self.start or date(ProgramYear.of(today).start, 7, 1)

    @property
    def start_text(self) -> str:
        """As in requests: a date, or `program-year`."""
        return self.start.isoformat() if self.start else PROGRAM_YEAR

    def problems(self, name: str, today: date) -> list[str]:
        """What is wrong with the rule; `name` is how messages name it."""
        found = []
        if self.start is not None and self.start < FIRST_DAY:
            found.append(f"{name}.from must not be before {FIRST_DAY}, the first day on the dashboard.")
        if self.start is not None and self.start > today:
            found.append(f"{name}.from must not be after today ({today}, UTC); it was {self.start}.")
        if len(self.districts) > MOST_DISTRICTS:
            found.append(f"{name}.districts must not have more than {MOST_DISTRICTS} entries.")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSettings:
    """What an operator sets. `checked` validates it."""

    enabled: bool = False
    daily_at: time = DEFAULT_TIME
    """The time of the daily check in BACKFILL_TIME_ZONE, in minutes."""
    note: str = ""
    rules: tuple[CoverageRule, ...] = ()
    monthly_requests: int | None = None
    """The most requests to the dashboard in a calendar month (UTC) by automatic jobs; None for no limit."""

    @property
    def wants_analytics(self) -> bool:
        return any(rule.analytics for rule in self.rules)

    def checked(self, today: date, known_districts: Collection[str]) -> TargetSettings:
        """With normalised districts and note. Raises InvalidRequest with every invalid field.

        `known_districts`: those of the stored calendar; empty if no calendar is stored yet, which allows any district.
        """
        wrong: dict[str, list[str]] = {}
        if self.enabled and not self.rules:
            wrong["rules"] = ["rules must contain at least one rule while the target is enabled."]
        if len(self.rules) > MOST_RULES:
            wrong["rules"] = [f"rules must not contain more than {MOST_RULES} rules; it has {len(self.rules)}."]
        rules = []
        for number, rule in enumerate(self.rules[:MOST_RULES]):
            name = f"rules[{number}]"
            problems = rule.problems(name, today)
            districts, unknown = _normalised(rule.districts[:MOST_DISTRICTS], known_districts)
            if unknown:
                problems.append(f"{name}.districts: the dashboard has no district {', '.join(unknown)}; leave it out.")
            wrong.setdefault("rules", []).extend(problems)
            rules.append(replace(rule, districts=districts))
        if self.daily_at != self.daily_at.replace(second=0, microsecond=0):
            wrong["dailyAt"] = ["dailyAt must be a time of day in minutes, like 06:00."]
        if self.monthly_requests is not None and not 1 <= self.monthly_requests <= MOST_MONTHLY_REQUESTS:
            wrong["monthlyRequests"] = [
                f"monthlyRequests must be between 1 and {MOST_MONTHLY_REQUESTS:,}; it was {self.monthly_requests:,}."
            ]
        note = ""
        try:
            note = parsed_note(self.note)
        except InvalidRequest as exc:
            wrong |= dict(exc.details or {})
        if wrong := {field: messages for field, messages in wrong.items() if messages}:
            raise InvalidRequest(wrong)
        return replace(self, note=note, rules=tuple(rules))


def _normalised(districts: Sequence[str], known: Collection[str]) -> tuple[tuple[str, ...], list[str]]:
    """The districts in their order without duplicates, and those that are invalid or unknown."""
    valid, wrong = set(), []
    for text in districts:
        try:
            district = parsed_district(text, may_be_summary=False)
        except InvalidRequest:
            wrong.append(repr(text[:40]))
            continue
        if known and district not in known:
            wrong.append(district)
        valid.add(district)
    return tuple(sorted(valid, key=district_order)), wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageTarget:
    """The stored settings; until an operator sets them, the target is disabled and has no rules."""

    settings: TargetSettings = TargetSettings()
    version: int = 0
    """Grows with each change; 0 until the first one."""
    updated_at: datetime | None = None
    updated_by: str = ""

    def disabled(self, now: datetime, operator: str) -> CoverageTarget:
        return self.replaced(replace(self.settings, enabled=False), now, operator)

    def replaced(self, settings: TargetSettings, now: datetime, operator: str) -> CoverageTarget:
        if settings == self.settings:
            return self
        return CoverageTarget(settings=settings, version=self.version + 1, updated_at=now, updated_by=operator)
