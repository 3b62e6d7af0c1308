"""What operators send. A form reads types; rules are the domain's, whose sentences are put beside the fields."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backfill.domain import (
    BOUNDS,
    LIMIT_NAMES,
    Cadence,
    JobFilter,
    JobRequest,
    JobType,
    OutcomeFilter,
    OutcomeKind,
    RateLimits,
    Status,
    camel,
    normalised_district,
    parsed_district,
)
from backfill.errors import InvalidRequest

_TO = r"\s*(?:[-\u2013]|\bto\b)\s*"
_RANGE = re.compile(rf"0*(\d{{1,4}}){_TO}0*(\d{{1,4}})")
_WORD = re.compile(rf"\d+{_TO}\d+|[^\s,;]+")
_LONGEST_RANGE = 500

LARGEST_PAGE = 100_000

_FIELD_OF = {"startDate": "start_date", "endDate": "end_date", "targetDistricts": "districts", "jobType": "job_type"}
"""Names of the API to those of the form."""


def districts_in(text: str) -> list[str]:
    """The ids in `20-34, 60 and F`. ValueError, with a sentence, for what is none."""
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
            raise ValueError(_("A range goes from the smaller number to the larger, like 41-46."))
        found += [normalised_district(str(number)) for number in range(max(first, 1), last + 1)]
    return found


class DistrictsInput(forms.Widget):
    """Ticked boxes, and a text of ids and ranges beside them."""

    def value_from_datadict(self, data: Any, _files: Any, name: str) -> list[str]:
        return [*data.getlist("district"), data.get(name, "")]


class DistrictsField(forms.Field):
    """Ids, none twice; nothing stands for all."""

    widget = DistrictsInput

    def to_python(self, value: Sequence[str] | None) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for text in value or ():
            try:
                found.update(dict.fromkeys(districts_in(text)))
            except ValueError as exc:
                raise forms.ValidationError(_("“%(text)s”: %(why)s") % {"text": text[:40], "why": exc}) from exc
        return tuple(found)


class RulesForm(forms.Form):
    """A form to which the sentences of the domain can be added."""

    def take(self, exc: InvalidRequest) -> None:
        """Put each sentence beside its field, and those of no field above the form."""
        details: Mapping[str, list[str]] = exc.details or {}
        for name, sentences in details.items():
            field = self.field_of(name)
            for sentence in sentences:
                self.add_error(field if field in self.fields else None, sentence)

    def field_of(self, name: str) -> str:
        return _FIELD_OF.get(name, name)


class StartForm(RulesForm):
    job_type = forms.ChoiceField(choices=[(str(kind), str(kind)) for kind in JobType])
    start_date = forms.DateField(required=False, label=gettext_lazy("From"))
    end_date = forms.DateField(required=False, label=gettext_lazy("To"))
    cadence = forms.ChoiceField(choices=[(str(kind), str(kind)) for kind in Cadence], initial=str(Cadence.DAILY))
    districts = DistrictsField(required=False)
    skip_existing = forms.BooleanField(required=False)
    plan_id = forms.CharField(required=False, max_length=100)

    def request(self) -> JobRequest:
        """Of a valid form."""
        values = self.cleaned_data
        return JobRequest(
            job_type=JobType(values["job_type"]),
            start_date=values["start_date"],
            end_date=values["end_date"],
            target_districts=values["districts"],
            cadence=Cadence(values["cadence"]),
            skip_existing=values["skip_existing"],
            plan_id=values["plan_id"],
        )


class LimitsForm(RulesForm):
    """Any of the limits; one that is left empty stays as it is."""

    max_requests_per_minute = forms.IntegerField(required=False)
    max_concurrent = forms.IntegerField(required=False)
    min_delay_ms = forms.IntegerField(required=False)
    max_delay_ms = forms.IntegerField(required=False)
    backoff_multiplier = forms.FloatField(required=False)

    def field_of(self, name: str) -> str:
        return next((field for field in LIMIT_NAMES if camel(field) == name), name)

    def changes(self, current: RateLimits) -> dict[str, float]:
        """What differs from the current ones."""
        now = current.to_dict()
        given = {name: value for name, value in self.cleaned_data.items() if value is not None}
        return {name: value for name, value in given.items() if value != now[name]}


def bounds(name: str) -> tuple[int, int]:
    return BOUNDS[name]


# What addresses say. A word that is unknown there stands for none: an address is not typed by people.


def job_filter(query: QueryDict) -> JobFilter:
    return JobFilter(
        statuses=frozenset(Status(text) for text in query.getlist("status") if text in set(Status)),
        job_types=frozenset(JobType(text) for text in query.getlist("type") if text in set(JobType)),
    )


def page_number(query: QueryDict, name: str = "page") -> int:
    text = query.get(name, "")
    return max(min(int(text), LARGEST_PAGE), 1) if text.isascii() and text.isdigit() and len(text) < 8 else 1


def outcome_filter(query: QueryDict) -> OutcomeFilter:
    kind, district = query.get("outcome", ""), query.get("district", "").strip()
    try:
        wanted = parsed_district(district) if district else None
    except InvalidRequest:
        wanted = None
    return OutcomeFilter(district=wanted, kind=OutcomeKind(kind) if kind in set(OutcomeKind) else None)


def start_values(query: QueryDict) -> dict[str, Any]:
    """What an address fills the start form with: `?from=2010-07-01&to=2011-06-30&district=20&district=21`."""
    values: dict[str, Any] = {}
    for name, field in (("from", "start_date"), ("to", "end_date")):
        try:
            values[field] = date.fromisoformat(query.get(name, ""))
        except ValueError:
            continue
    if (cadence := query.get("cadence", "")) in set(Cadence):
        values["cadence"] = cadence
    if (job_type := query.get("job", "")) in set(JobType):
        values["job_type"] = job_type
    try:
        values["districts"] = tuple(dict.fromkeys(d for text in query.getlist("district") for d in districts_in(text)))
    except ValueError:
        values["districts"] = ()
    if query.get("skip") in {"0", "1"}:
        values["skip_existing"] = query["skip"] == "1"
    return values


def retry_codes(query: QueryDict) -> list[str]:
    return [code for code in query.getlist("code") if code][:100]


def known_job(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
