"""The command line while the dashboard's calendar is read: progress, interruption, and unknown months."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from backfill.cli import calendar_progress, count_display
from backfill.domain import CalendarProgress
from tests.integration.calendar_site import CalendarSite, calendar_site

RANGE = ("--from", "2012-07-01", "--to", "2013-06-30")
PREVIEW = ("preview", *RANGE, "--cadence", "month-ends")


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[CalendarSite]:
    monkeypatch.setattr(count_display, "_LINE_EVERY", 0.1)
    with calendar_site(monkeypatch) as site:
        yield site


def run(*arguments: str) -> tuple[str, str]:
    """Standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    call_command("backfill", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_a_preview_prints_the_progress_to_standard_error_and_waits_for_every_page(site: CalendarSite) -> None:
    """R11.3"""
    out, err = run(*PREVIEW, "--json")
    assert json.loads(out)["preview"]["itemBreakdown"]["dates"][0] == "2012-07-31"
    lines = err.splitlines()
    assert len(lines) > 2
    assert all("Reading the dashboard's calendar: " in line and " of 12 pages, about " in line for line in lines)
    assert run(*PREVIEW, "--json")[1] == ""
    assert site.stored == 12


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_progress_is_a_bar(site: CalendarSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    err = Terminal()
    call_command("backfill", *PREVIEW, stdout=io.StringIO(), stderr=err)
    assert "━" in err.getvalue()
    assert "0 of 12 pages" in err.getvalue()


@pytest.mark.parametrize("command", ["preview", "start"])
def test_an_interrupted_command_says_what_is_stored_and_the_next_one_continues(
    site: CalendarSite, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """R11.2"""

    def interrupt(_display: object, progress: CalendarProgress) -> None:
        _display.progress = progress  # type: ignore[attr-defined]
        if progress.stored >= 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(calendar_progress._Display, "show", interrupt)
        with pytest.raises(CommandError, match=r"Interrupted\. 3 of 12 calendar pages are stored\. No job") as caught:
            run(command, *PREVIEW[1:])
    assert caught.value.returncode == 130
    assert site.rests()
    assert 3 <= len(site.dashboard.page_requests) <= 4
    assert site.service.active() is None
    run(*PREVIEW)
    assert len(site.dashboard.page_requests) == 12


def test_the_coverage_names_unknown_months_and_reads_their_calendar(site: CalendarSite) -> None:
    """R9.1"""
    before, _ = run("coverage", *RANGE)
    assert "12 months are unknown" in before
    assert "--read-calendar --from 2012-07-01 --to 2013-06-30" in before
    after, _ = run("coverage", "--read-calendar", *RANGE)
    assert "unknown;" not in after
    assert "2012-2013" in after
    assert "Gaps, largest first:" in after
    site.storage.calendars.rows.pop(next(iter(site.storage.calendars.rows)))
    mixed, _ = run("coverage", *RANGE)
    assert "1 month is unknown" in mixed
    assert "?..........." in mixed
