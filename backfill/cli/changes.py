"""The command `changes`."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.management.base import CommandError
from rich.console import RenderableType
from rich.table import Table

from backfill.analytics.changes import ChangeKind, ClubChange, ClubOnDate, DistrictChanges, Figure
from backfill.cli import arguments, formatting
from backfill.cli.arguments import Options
from backfill.cli.formatting import printable
from backfill.cli.output import ConsoleOutput
from backfill.cli.tables import plain_table
from backfill.domain import parsed_district
from backfill.service.changes import ChangeQueries


def run_changes(queries: ChangeQueries, console: ConsoleOutput, options: Options) -> int:
    """Return the exit code."""
    if console.is_json and options["csv"]:
        raise CommandError("Use --json or --csv, not both.")
    first, last = arguments.day(options["from"], "--from"), arguments.day(options["to"], "--to")
    assert first is not None  # noqa: S101 - the options are required
    assert last is not None  # noqa: S101
    changes = queries.between(parsed_district(options["district"], may_be_summary=False), first, last)
    if options["csv"]:
        from backfill.serializers.changes import changes_csv

        with console.binary_out() as out:
            out.write(changes_csv(changes).encode())
    elif console.is_json:
        from backfill.serializers.changes import DistrictChangesSerializer

        console.json(DistrictChangesSerializer.render(changes))
    else:
        console.say(*_view(changes, console))
    return 0


def _view(changes: DistrictChanges, console: ConsoleOutput) -> Iterator[RenderableType]:
    yield f"District {changes.district} from {changes.before.date} to {changes.after.date}"
    totals = changes.totals
    for name, figure in (("clubs", totals.clubs), ("members", totals.members), ("payments", totals.payments)):
        yield f"  {name:<10} {_figure(figure)}"
    for note in changes.notes:
        yield f"  Note: {note}"
    for kind in ChangeKind:
        if clubs := changes.of_kind(kind):
            yield f"\n{kind.capitalize()}: {formatting.count(len(clubs), 'club')}"
            yield from (f"  {_named(club)}{_details(kind, club)}" for club in clubs)
    for gained, title in ((True, "Levels gained"), (False, "Levels lost")):
        if levels := changes.levels(gained=gained):
            yield f"\n{title}: {len(levels):,}"
            for level in levels:
                yield (
                    f"  {level.number} {printable(level.name)}: {level.basis} {level.before or 'none'} -> "
                    f"{level.after or 'none'}"
                )
    yield ""
    yield _table(changes, console)


def _table(changes: DistrictChanges, console: ConsoleOutput) -> Table:
    table = plain_table(console.out)
    table.add_column("Club", no_wrap=True)
    table.add_column("Name", overflow="fold")
    for name in ("Members", "Payments"):
        table.add_column(name, justify="right", no_wrap=True)
    for club in changes.clubs:
        figures = club.latest.figures
        table.add_row(
            printable(figures.club_number), printable(figures.club_name), _figure(club.members), _figure(club.payments)
        )
    return table


def _named(club: ClubChange) -> str:
    figures = club.latest.figures
    return f"{printable(figures.club_number)} {printable(figures.club_name)}"


def _details(kind: ChangeKind, club: ClubChange) -> str:
    if kind is ChangeKind.MOVED and club.before and club.after:
        return f": {_place(club.before)} -> {_place(club.after)}"
    if kind is ChangeKind.NEW and club.after and club.after.figures.charter_date:
        return f": chartered {club.after.figures.charter_date}"
    return ""


def _place(club: ClubOnDate) -> str:
    return f"district {club.district}, division {printable(club.figures.division)}, area {printable(club.figures.area)}"


def _figure(figure: Figure) -> str:
    change = "" if figure.change is None else f" ({figure.change:+,})"
    return f"{_number(figure.before)} -> {_number(figure.after)}{change}"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
