"""The command `keep`: shows, sets and checks the coverage target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from django.core.management.base import CommandError

from backfill.cli import arguments, formatting
from backfill.cli.arguments import Options
from backfill.cli.calendar_progress import calendar_progress
from backfill.cli.output import ConsoleOutput
from backfill.domain import Cadence, CoverageRule, TargetSettings
from backfill.domain.coverage_target import parsed_cadence, parsed_rule_start, parsed_time
from backfill.errors import InvalidRequest
from backfill.service.commands import BackfillService
from backfill.service.targets import TargetPreview, TargetService, TargetView

ACTIONS = ("show", "set", "off", "check")

_DISTRICTS = "districts="
_ANALYTICS = "analytics"
_SETTINGS = ("rule", "daily_at", "monthly_requests", "note", "preview")
"""The options that only `set` takes."""


def run_keep(service: BackfillService, console: ConsoleOutput, options: Options) -> int:
    action = options["action"]
    if action != "set" and (given := [name for name in _SETTINGS if options[name]]):
        raise CommandError(f"--{given[0].replace('_', '-')} needs the action set: manage.py backfill keep set …")
    targets = service.targets
    if action == "set":
        return _set(targets, console, options)
    changes: dict[str, Callable[[], TargetView]] = {
        "show": targets.get,
        "off": lambda: targets.off(by=arguments.actor(options)),
        "check": lambda: targets.request_check(by=arguments.actor(options)),
    }
    view = changes[action]()
    _show(view, console)
    if action == "check":
        console.say("The check takes place when no job is active, in a server or in manage.py backfill work")
    return 0


def _set(targets: TargetService, console: ConsoleOutput, options: Options) -> int:
    current = targets.get().target
    settings = _settings(current.settings, options)
    if options["preview"]:
        with calendar_progress(console.err) as access:
            preview = targets.preview(settings, access)
        if console.is_json:
            from backfill.serializers.targets import TargetPreviewSerializer

            console.json({"preview": TargetPreviewSerializer.render(preview)})
        console.say(*_preview_lines(preview))
        return 0
    _show(targets.replace(settings, by=arguments.actor(options), expected_version=current.version), console)
    return 0


def _settings(current: TargetSettings, options: Options) -> TargetSettings:
    """The stored settings with those that are given as options; the target is enabled."""
    given = replace(current, enabled=True)
    if options["rule"]:
        given = replace(given, rules=tuple(_rule(text) for text in options["rule"]))
    if options["daily_at"] is not None:
        given = replace(given, daily_at=parsed_time(options["daily_at"], "--daily-at"))
    if (budget := options["monthly_requests"]) is not None:
        given = replace(given, monthly_requests=None if budget == "none" else _budget(budget))
    return replace(given, note=options["note"]) if options["note"] else given


def _budget(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise CommandError(f"--monthly-requests must be a whole number, or none; it was {text[:40]!r}.")
    return int(text)


def _rule(text: str) -> CoverageRule:
    """A rule such as `2012-07-01 month-ends analytics districts=91,F`, with the start first."""
    start, *words = text.split() or [""]
    rule = CoverageRule(start=parsed_rule_start(start, "--rule"))
    for word in words:
        if word == _ANALYTICS:
            rule = replace(rule, analytics=True)
        elif word.startswith(_DISTRICTS):
            rule = replace(rule, districts=tuple(filter(None, word.removeprefix(_DISTRICTS).split(","))))
        else:
            rule = replace(rule, cadence=_cadence(word))
    return rule


def _cadence(word: str) -> Cadence:
    try:
        return parsed_cadence(word)
    except InvalidRequest:
        raise CommandError(
            f"--rule takes a start, then {', '.join(Cadence)}, {_ANALYTICS} and {_DISTRICTS}91,F; it had {word[:40]!r}."
        ) from None


def rule_text(rule: CoverageRule) -> str:
    """A rule in words: `month-ends of all districts since 2012-07-01, with analytics`."""
    districts = f"districts {', '.join(rule.districts)}" if rule.districts else "all districts"
    cadence = {
        Cadence.DAILY: "every day",
        Cadence.MONTH_ENDS: "month-ends",
        Cadence.YEAR_ENDS: "ends of program years",
    }[rule.cadence]
    start = f"since {rule.start}" if rule.start else "of the current program year"
    return f"{cadence} {start}, {districts}{', with analytics' if rule.analytics else ''}"


def _show(view: TargetView, console: ConsoleOutput) -> None:
    if console.is_json:
        from backfill.serializers.targets import CoverageTargetSerializer

        console.json({"target": CoverageTargetSerializer.render(view)})
    console.say(*_lines(view))


def _lines(view: TargetView) -> Iterator[str]:
    settings, status = view.target.settings, view.status
    yield status.sentence
    for rule in settings.rules:
        yield f"  {rule_text(rule)}"
    if not settings.rules:
        yield '  no rules; set one with: manage.py backfill keep set --rule "2012-07-01 month-ends analytics"'
    if settings.monthly_requests:
        yield f"  at most {settings.monthly_requests:,} requests in a month"
    if settings.note:
        yield f"  note: {formatting.printable(settings.note)}"
    if status.last_check_at:
        yield f"Last check: {formatting.instant(status.last_check_at)} UTC"
    if status.next_check_at:
        is_due = status.next_check_at <= datetime.now(UTC)
        yield "Next check: due now" if is_due else f"Next check: {formatting.instant(status.next_check_at)} UTC"
    if status.last_job_id:
        yield f"Newest automatic job: {status.last_job_id}"


def _days(days: float) -> str:
    return f"about {days:,.1f} days" if days >= 1 else "less than a day"


def _preview_lines(preview: TargetPreview) -> Iterator[str]:
    yield (
        f"The first check would collect {formatting.count(preview.items, 'item')} with "
        f"{formatting.count(preview.requests, 'request')}, in {_days(preview.days)} at the current limits."
    )
    if preview.results:
        yield f"Then it would compute {formatting.count(preview.results, 'result')}."
    yield "Nothing was stored. Leave --preview out to store the target."
