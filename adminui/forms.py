"""Forms parse types. The domain validates the values; its error messages are added to the fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backfill.domain import (
    LIMIT_NAMES,
    Cadence,
    JobRequest,
    JobType,
    RateLimits,
    camel,
    normalised_district,
    parsed_note,
)
from backfill.errors import InvalidRequest

_TO = r"\s*(?:[-\u2013]|\bto\b)\s*"
_RANGE = re.compile(rf"0*(\d{{1,4}}){_TO}0*(\d{{1,4}})")
_WORD = re.compile(rf"\d+{_TO}\d+|[^\s,;]+")
_LONGEST_RANGE = 500

_API_NAMES = {"districts": "targetDistricts"}
"""API names that are not the camel case of the field name."""


def parse_districts(text: str) -> list[str]:
    """The district ids in a text such as `20-34, 60 and F`. Raises ValueError with a message for the user."""
    found: list[str] = []
    for word in _WORD.findall(text):
        if word == "and":
            continue
        match = _RANGE.fullmatch(word)
        if match is None:
            found.append(normalised_district(word))
            continue
        first, last = int(match[1]), int(match[2])
        if not first <= last or last - first > _LONGEST_RANGE:
            raise ValueError(_("Write a range from the smaller number to the larger one, such as 41-46."))
        found += [normalised_district(str(number)) for number in range(max(first, 1), last + 1)]
    return found


def error_texts(errors: Iterable[object]) -> list[str]:
    return [str(error) for error in errors]


class DistrictsInput(forms.Widget):
    """Check boxes and a text field with ids and ranges."""

    def value_from_datadict(self, data: Any, _files: Any, name: str) -> list[str]:
        return [*data.getlist("district"), data.get(name, "")]


class DistrictsField(forms.Field):
    """District ids without duplicates. Empty means all districts."""

    widget = DistrictsInput

    def to_python(self, value: Sequence[str] | None) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for text in value or ():
            try:
                found.update(dict.fromkeys(parse_districts(text)))
            except ValueError as exc:
                raise forms.ValidationError(_("“%(text)s”: %(why)s") % {"text": text[:40], "why": exc}) from exc
        return tuple(found)


class DomainForm(forms.Form):
    """A form that takes the error messages of the domain, which use the field names of the API."""

    def add_domain_errors(self, exc: InvalidRequest) -> None:
        """Add each message to its field, or to the form if it belongs to no field."""
        details: Mapping[str, list[str]] = exc.details or {}
        fields = {_API_NAMES.get(name, camel(name)): name for name in self.fields}
        for name, messages in details.items():
            for message in messages:
                self.add_error(fields.get(name), self._with_field_labels(message, fields))

    def _with_field_labels(self, message: str, fields: Mapping[str, str]) -> str:
        """Replace API names by the labels of the page."""
        return re.sub("|".join(fields), lambda match: f"“{self.fields[fields[match[0]]].label}”", message)


class NoteForm(DomainForm):
    """A note, which may be empty."""

    note = forms.CharField(required=False, label=gettext_lazy("Note"))

    def clean_note(self) -> str:
        try:
            return parsed_note(self.cleaned_data["note"])
        except InvalidRequest as exc:
            raise forms.ValidationError(_("The note must be one line of at most 500 characters.")) from exc


class LimitFields(DomainForm):
    """Rate limits. An empty field keeps its current value."""

    max_requests_per_minute = forms.IntegerField(required=False, label=gettext_lazy("Requests a minute"))
    max_concurrent = forms.IntegerField(required=False, label=gettext_lazy("Requests at once"))
    min_delay_ms = forms.IntegerField(required=False, label=gettext_lazy("Shortest delay"))
    max_delay_ms = forms.IntegerField(required=False, label=gettext_lazy("Longest delay"))
    backoff_multiplier = forms.FloatField(required=False, label=gettext_lazy("Backoff factor"))

    def given_limits(self) -> dict[str, float]:
        values = {name: self.cleaned_data.get(name) for name in LIMIT_NAMES}
        return {name: value for name, value in values.items() if value is not None}


class StartForm(LimitFields, NoteForm):
    """The limits are those that were changed on the page and not saved. They apply to this job only."""

    job_type = forms.ChoiceField(choices=[(str(kind), str(kind)) for kind in JobType], label=gettext_lazy("Job type"))
    start_date = forms.DateField(required=False, label=gettext_lazy("From"))
    end_date = forms.DateField(required=False, label=gettext_lazy("To"))
    cadence = forms.ChoiceField(choices=[(str(kind), str(kind)) for kind in Cadence], initial=str(Cadence.DAILY))
    districts = DistrictsField(required=False, label=gettext_lazy("Districts"))
    skip_existing = forms.BooleanField(required=False)
    plan_id = forms.CharField(required=False, max_length=200)

    def request(self) -> JobRequest:
        """The job request. The form must be valid."""
        values = self.cleaned_data
        return JobRequest(
            job_type=JobType(values["job_type"]),
            start_date=values["start_date"],
            end_date=values["end_date"],
            target_districts=values["districts"],
            cadence=Cadence(values["cadence"]),
            skip_existing=values["skip_existing"],
            plan_id=values["plan_id"],
            limit_changes=self.given_limits(),
        )


class LimitsForm(LimitFields):
    """The form of the limits of the next job, and of a running job."""

    def changes(self, current: RateLimits) -> dict[str, float]:
        """The limits that differ from `current`."""
        now = current.to_dict()
        return {name: value for name, value in self.given_limits().items() if value != now[name]}
