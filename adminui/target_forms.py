"""The form of the coverage target: its settings, and a row for each rule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.forms import NoteForm, parse_districts
from adminui.numbers import whole_number
from backfill.domain import Cadence, CoverageRule, TargetSettings
from backfill.errors import InvalidRequest

PREFIX = "rules"
COUNT = f"{PREFIX}-TOTAL_FORMS"
DATE, PROGRAM_YEAR = "date", "program-year"
"""How a rule begins: on a date, or with the current program year."""

_MOST_ROWS = 100
"""More rows than this are not read. The domain allows fewer and says so."""

_FIELDS = ("begins", "start", "cadence", "districts", "analytics")
_API_NAMES = {"from": "start", "districts": "districts", "cadence": "cadence"}
_OF_RULE = re.compile(rf"{PREFIX}\[(\d+)\]\.(\w+):? ")


@dataclass(frozen=True, slots=True)
class RuleValues:
    """The values of a row, as texts of a form."""

    begins: str = DATE
    start: str = ""
    cadence: str = str(Cadence.MONTH_ENDS)
    districts: str = ""
    analytics: str = "on"

    @classmethod
    def of(cls, rule: CoverageRule) -> RuleValues:
        return cls(
            begins=DATE if rule.start else PROGRAM_YEAR,
            start=rule.start.isoformat() if rule.start else "",
            cadence=str(rule.cadence),
            districts=", ".join(rule.districts),
            analytics="on" if rule.analytics else "",
        )


def prefix_of(index: int) -> str:
    """The beginning of the names of the fields of a rule."""
    return f"{PREFIX}-{index}"


def submitted_rows(data: QueryDict) -> list[RuleValues]:
    count = whole_number(data.get(COUNT, ""))
    rows = range(min(count or 0, _MOST_ROWS))
    return [RuleValues(**{name: data.get(f"{prefix_of(row)}-{name}", "") for name in _FIELDS}) for row in rows]


def edited_rows(data: QueryDict) -> list[RuleValues] | None:
    """The rows after the button that adds or removes one; None if another button was pressed."""
    rows, removed = submitted_rows(data), whole_number(data.get("remove_rule", ""))
    if "add_rule" in data:
        return [*rows, RuleValues()]
    if removed is not None:
        return [row for number, row in enumerate(rows) if number != removed]
    return None


class RuleForm(forms.Form):
    begins = forms.ChoiceField(choices=[(DATE, DATE), (PROGRAM_YEAR, PROGRAM_YEAR)])
    start = forms.DateField(required=False)
    cadence = forms.ChoiceField(choices=[(str(kind), str(kind)) for kind in Cadence])
    districts = forms.CharField(required=False)
    analytics = forms.BooleanField(required=False)

    def clean_districts(self) -> tuple[str, ...]:
        text = self.cleaned_data["districts"]
        try:
            return tuple(dict.fromkeys(parse_districts(text)))
        except ValueError as exc:
            raise forms.ValidationError(_("“%(text)s”: %(why)s") % {"text": text[:40], "why": exc}) from exc

    def clean(self) -> None:
        values = self.cleaned_data
        if values.get("begins") == DATE and values.get("start") is None and "start" not in self.errors:
            self.add_error("start", _("Enter a date, or choose this program year."))

    def rule(self) -> CoverageRule:
        """The form must be valid."""
        values = self.cleaned_data
        return CoverageRule(
            start=values["start"] if values["begins"] == DATE else None,
            cadence=Cadence(values["cadence"]),
            districts=values["districts"],
            analytics=values["analytics"],
        )


class SettingsForm(NoteForm):
    """The settings that concern all rules, and the version of the target that the user has seen."""

    daily_at = forms.TimeField(label=gettext_lazy("Daily at"), input_formats=["%H:%M"])
    monthly_requests = forms.IntegerField(required=False, label=gettext_lazy("Requests a month"))
    version = forms.CharField()

    def clean_version(self) -> int:
        number = whole_number(self.cleaned_data["version"])
        if number is None:
            raise forms.ValidationError(_("The version of the form is not valid. Reload the page and try again."))
        return number


class TargetForm:
    """The whole form."""

    def __init__(self, data: QueryDict) -> None:
        self.data, self.rows = data, submitted_rows(data)
        self.settings_form = SettingsForm(data)
        self.rule_forms = [RuleForm(data, prefix=prefix_of(index)) for index in range(len(self.rows))]
        self.rule_errors: list[str] = []
        """Messages about the rules as a whole."""

    def is_valid(self) -> bool:
        invalid = [form for form in (self.settings_form, *self.rule_forms) if not form.is_valid()]  # checks all of them
        return not invalid and not self.rule_errors

    @property
    def version(self) -> int:
        """The form must be valid."""
        return int(self.settings_form.cleaned_data["version"])

    def settings(self, *, enabled: bool) -> TargetSettings:
        """The form must be valid."""
        values = self.settings_form.cleaned_data
        return TargetSettings(
            enabled=enabled,
            daily_at=values["daily_at"],
            note=values["note"],
            rules=tuple(form.rule() for form in self.rule_forms),
            monthly_requests=values["monthly_requests"],
        )

    def add_domain_errors(self, exc: InvalidRequest) -> None:
        """Add each message to its field; the domain names a field of a rule as `rules[0].from`."""
        details: Mapping[str, list[str]] = exc.details or {}
        for message in details.get(PREFIX, ()):
            self._add_rule_error(message)
        others = {name: messages for name, messages in details.items() if name != PREFIX}
        if others:
            self.settings_form.add_domain_errors(InvalidRequest(others))

    def _add_rule_error(self, message: str) -> None:
        match = _OF_RULE.match(message)
        row = int(match[1]) if match else len(self.rule_forms)
        if match is None or row >= len(self.rule_forms):
            self.rule_errors.append(message)
            return
        text = message[match.end() :]
        self.rule_forms[row].add_error(_API_NAMES.get(match[2]), text[:1].upper() + text[1:])
