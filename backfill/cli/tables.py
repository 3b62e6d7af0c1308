"""Jobs, items, plans and limits as tables that fit the terminal. Times are UTC."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from rich import box
from rich.console import Console, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from backfill.cli import formatting
from backfill.cli.formatting import COMMAND, printable
from backfill.cli.progress_bar import bar, status_text
from backfill.domain import LIMIT_NAMES, AuditEntry, Job, Outcome, OutcomeKind, StoredLimits
from backfill.service.planning import Preview

_VERY_WIDE = 160
"""Minimum width in characters for the notes in the list of jobs."""

_WIDE = 130
"""Minimum width in characters for all columns of the list of jobs."""

_NARROW = 100
"""Below this width, tables are compact and the list of jobs has no durations."""

_SMALL = 80
"""Below this width, the list of jobs shows id, status and progress only."""

_ERRORS_SHOWN = 10
_NAMES_SHOWN = 12


def jobs_table(jobs: Sequence[Job], console: Console, now: datetime) -> Table:

    def done(job: Job) -> str:
        progress = job.progress
        is_wide = console.width >= _WIDE
        return f"{progress.settled_items:,}/{progress.total_items:,}" if is_wide else f"{progress.percent:.1f} %"

    columns: list[tuple[int, str, JustifyMethod, Callable[[Job], str | Text]]] = [
        (0, "Job", "left", lambda job: str(job.id)),
        (0, "Status", "left", lambda job: status_text(job.status)),
        (_SMALL, "Created (UTC)", "left", lambda job: formatting.minute(job.created_at)),
        (_WIDE, "Type", "left", lambda job: str(job.job_type)),
        (_WIDE, "Dates", "left", lambda job: formatting.dates(job.config)),
        (_WIDE, "By", "left", lambda job: printable(job.created_by)),
        (_VERY_WIDE, "Note", "left", lambda job: printable(job.note)),
        (0, "Done", "right", done),
        (_SMALL, "Failed", "right", lambda job: f"{job.still_failed:,}"),
        (_NARROW, "Took", "right", lambda job: formatting.length(formatting.duration(job, now))),
    ]
    shown = [column for column in columns if console.width >= column[0]]
    table = plain_table(console)
    for start, name, justify, _ in shown:
        table.add_column(name, justify=justify, no_wrap=start < _WIDE)
    for job in jobs:
        table.add_row(*(cell(job) for *_, cell in shown))
    return table


def items_table(outcomes: Iterable[Outcome], console: Console) -> Table:
    table = plain_table(console)
    table.add_column("Item", no_wrap=True)
    table.add_column("Outcome", no_wrap=True)
    table.add_column("Reason", overflow="fold")
    table.add_column("Tries", justify="right")
    table.add_column("At (UTC)", no_wrap=True)
    table.add_column("Message", overflow="fold")
    for outcome in outcomes:
        style = "red" if outcome.kind is OutcomeKind.FAILED else ""
        table.add_row(
            outcome.item.key,
            Text(str(outcome.kind), style=style),
            printable(outcome.reason),
            str(outcome.attempts),
            formatting.instant(outcome.at),
            printable(outcome.message),
        )
    return table


def excerpt(outcome: Outcome) -> Text:
    """Return the beginning of a rejected report, indented, with its line breaks."""
    return Text("\n".join(f"    {line}" for line in outcome.excerpt.split("\n")))


def audit_view(entries: Iterable[AuditEntry], console: Console) -> RenderableType:
    """Return a table on wide terminals, otherwise lines, so that names are not truncated."""
    if console.width < _WIDE:
        return "\n".join(_action_text(entry) for entry in entries)
    table = plain_table(console)
    for name in ("At (UTC)", "Who", "Channel", "What", "Job"):
        table.add_column(name, no_wrap=name != "Who", overflow="fold")
    table.add_column("Changes", overflow="fold")
    for entry in entries:
        table.add_row(
            formatting.instant(entry.at),
            printable(entry.actor.operator),
            str(entry.actor.channel),
            str(entry.action),
            str(entry.job_id or ""),
            formatting.changes(entry),
        )
    return table


def _action_text(entry: AuditEntry) -> str:
    who = f"{printable(entry.actor.operator)} ({entry.actor.channel})"
    what = f"{entry.action} {entry.job_id or ''}".rstrip()
    changes = formatting.changes(entry)
    return f"{formatting.instant(entry.at)} {who}: {what}" + (f"\n    {changes}" if changes else "")


def job_view(job: Job, console: Console, now: datetime) -> list[RenderableType]:
    """Return progress, status message, details and newest errors of a job."""
    config, progress, limiter = job.config, job.progress, job.progress.limiter
    started = "not yet" if job.started_at is None else f"{formatting.instant(job.started_at)} UTC"
    if job.resume_count:
        started += (
            f", resumed {formatting.count(job.resume_count, 'time')}, last {formatting.instant(job.resumed_at)} UTC"
        )
    requests = f"{limiter.requests_made:,} made"
    if job.status.is_active:
        requests += f", {limiter.requests_this_minute:,} this minute; {limiter.state}"
        if limiter.pace is not None:
            requests += f"; current limit {round(limiter.pace, 1):,g} a minute"
    if time_lost := formatting.time_lost(limiter):
        requests += f"; {time_lost}"
    rows = {
        "type": str(job.job_type),
        "range": f"{formatting.dates(config)}, {config.cadence}, {formatting.districts(config)}",
        "requests": requests,
        "created": f"{formatting.instant(job.created_at)} UTC by {printable(job.created_by)}",
        "started": started,
    }
    rows |= _notes_and_retries(job)
    if progress.current_item:
        rows["now"] = progress.current_item
    if job.cancelled_at:
        rows["cancelled"] = f"{formatting.instant(job.cancelled_at)} UTC"
    if job.ended_at:
        rows["ended"] = (
            f"{formatting.instant(job.ended_at)} UTC, after {formatting.length(formatting.duration(job, now))}"
        )
    if job.error:
        rows["error"] = printable(job.error)
    if progress.quality:
        rows["quality"] = f"inconsistent figures, listed in the results: {formatting.reasons(progress.quality)}"
    if progress.districts:
        states = Counter(district.status for district in progress.districts.values())
        if not job.status.is_active and (unfinished := states.pop("processing", 0)):
            states["not completed"] = unfinished
        rows["districts"] = ", ".join(f"{number:,} {state}" for state, number in sorted(states.items()))
    return [bar(job, is_drawn=console.is_terminal), _details(rows), *_errors(job, console)]


def _notes_and_retries(job: Job) -> dict[str, str]:
    rows = {}
    for number, note in enumerate(job.notes, 1):
        by = f"{formatting.instant(note.at)} UTC, {printable(note.operator)}"
        rows[f"note {number}" if len(job.notes) > 1 else "note"] = f"{printable(note.text)} ({by})"
    if job.retry_of:
        rows["retry of"] = str(job.retry_of)
    for number, retry in enumerate(job.retries, 1):
        recovered = f"{retry.recovered:,} of {formatting.count(retry.items, 'failed item')} recovered"
        label = f"retry {number}" if len(job.retries) > 1 else "retry"
        rows[label] = f"{retry.job_id} is {retry.status}, {recovered}"
    if job.retries:
        rows["still failed"] = formatting.count(job.still_failed, "item")
    return rows


def preview_view(preview: Preview) -> list[RenderableType]:
    """Return the plan and the command that starts it."""
    plan, config = preview.plan, preview.config
    names = [name for name in plan.district_totals if name != "all"]
    shown = " ".join(names[:_NAMES_SHOWN]) + (" ..." if len(names) > _NAMES_SHOWN else "")
    rows = {
        "type": str(preview.job_type),
        "range": f"{formatting.dates(config)}, {config.cadence}",
        "dates": f"{len(plan.days):,}"
        + (f" ({_unpublished(plan.unpublished_dates)})" if plan.unpublished_dates else ""),
        "districts": f"{len(names):,}" + (f": {shown}" if names else ""),
        "items": f"{plan.total_items:,}"
        + (f", skipped: {formatting.reasons(plan.skipped)}" if plan.skipped_items else "")
        + (f", outdated and computed again: {plan.stale:,}" if plan.stale else ""),
        "requests": f"{plan.requests:,}, at most {config.rate_limits.max_requests_per_minute:,} a minute"
        if plan.requests
        else "none",
        "duration": f"about {formatting.estimate(preview.duration)}",
        "plan": preview.plan_id,
    }
    command = shlex.join([*_start_arguments(preview), "--plan-id", preview.plan_id])
    return [_details(rows), f"No job was started. Start this plan with: {COMMAND} start {command}"]


def _start_arguments(preview: Preview) -> list[str]:
    """Return the arguments with which `start` creates the same plan."""
    config = preview.config
    pairs = [
        ("--type", preview.job_type),
        ("--from", config.start_date),
        ("--to", config.end_date),
        *(("--district", district) for district in config.target_districts),
        ("--cadence", config.cadence),
    ]
    words = [str(word) for option, value in pairs if value is not None for word in (option, value)]
    return words if config.skip_existing else [*words, "--no-skip-existing"]


def _unpublished(dates: int) -> str:
    return f"{formatting.count(dates, 'other date')} {'has' if dates == 1 else 'have'} no published data"


def limits_view(stored: StoredLimits) -> list[RenderableType]:
    rows = {name.replace("_", "-"): f"{stored.limits.to_dict()[name]:,g}" for name in LIMIT_NAMES}
    rows["changed"] = (
        f"{formatting.instant(stored.updated_at)} UTC by {printable(stored.updated_by)}"
        if stored.updated_at
        else "never; these are the defaults"
    )
    return [_details(rows)]


def summary_view(job: Job, failures: Sequence[Outcome], console: Console, now: datetime) -> list[RenderableType]:
    """Return the summary of an ended job with its failures by cause."""
    progress = job.progress
    lines: list[RenderableType] = [
        (
            f"Job {job.id} is {job.status} after {formatting.length(formatting.duration(job, now))}: "
            f"{formatting.outcomes(progress)}; {formatting.count(progress.limiter.requests_made, 'request')}."
        )
    ]
    if job.error:
        lines.append(printable(job.error))
    if progress.quality:
        lines.append(f"The results list inconsistent figures: {formatting.reasons(progress.quality)}.")
    if not progress.total_items:
        lines.append(f"The job had no items: {job.job_type.description.no_items} for its dates.")
    if failures:
        limit = f" (first {len(failures):,})" if len(failures) < progress.failed else ""
        lines += [
            f"Failures by cause{limit}:",
            _causes(failures, console),
            f"Retry them with: {COMMAND} retry {job.id}   (for one cause: --code CODE)",
        ]
    return lines


def _causes(failures: Sequence[Outcome], console: Console) -> Table:
    by_code: dict[str, list[Outcome]] = {}
    for failure in failures:
        by_code.setdefault(failure.reason, []).append(failure)
    table = plain_table(console)
    table.add_column("Code", no_wrap=True)
    table.add_column("Items", justify="right")
    table.add_column("Retry", no_wrap=True)
    table.add_column("Example", overflow="fold")
    for code, group in sorted(by_code.items(), key=lambda pair: -len(pair[1])):
        may_help = any(failure.is_retryable for failure in group)
        example = group[0]
        table.add_row(
            code,
            f"{len(group):,}",
            "may help" if may_help else "will not help",
            printable(f"{example.item.key}: {example.message}"),
        )
    return table


def _errors(job: Job, console: Console) -> list[RenderableType]:
    errors = job.progress.errors[:_ERRORS_SHOWN]
    if not errors:
        return []
    table = plain_table(console)
    table.add_column("Item", no_wrap=True)
    table.add_column("Code", no_wrap=True)
    table.add_column("Message", overflow="fold")
    for error in errors:
        table.add_row(error.item_key, error.code, printable(error.message))
    command = f"{COMMAND} items {job.id} --outcome failed"
    return ["", f"Newest errors ({len(errors)} of {job.progress.failed:,}); list all with: {command}", table]


def _details(rows: Mapping[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows.items():
        grid.add_row(f"  {name}", value)
    return grid


def plain_table(console: Console) -> Table:
    """Return a table with lines on a terminal, without lines elsewhere."""
    gap = 0 if console.width < _NARROW else 1
    if console.is_terminal:  # the box separates columns by a space
        return Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, gap, 0, 0))
    return Table(box=None, pad_edge=False, padding=(0, gap + 1, 0, 0))
