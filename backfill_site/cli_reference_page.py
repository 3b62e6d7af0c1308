"""Writes docs/cli-reference.md from the argument parsers: `python -m backfill_site.cli_reference_page`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.core.management import load_command_class
from django.core.management.base import BaseCommand

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli-reference.md"
OTHER_COMMANDS = {"accounts": ("drf_create_token", "api_tokens"), "sample_dashboard": ("sample_dashboard",)}
"""Commands of manage.py besides `backfill`, by their applications."""

_SECTIONS = re.compile(r"(<!-- (commands|others): [^\n]* -->\n\n).*?(\n\n<!-- /\2 -->)", re.DOTALL)
_COMMON = frozenset(
    flag
    for action in BaseCommand().create_parser("", "")._actions  # noqa: SLF001 - argparse has no public list of options
    for flag in action.option_strings
)
"""Options that Django adds to each command."""


def page_with_reference(page: str) -> str:
    """Return the page with the commands between its markers."""
    sections = {
        "commands": [
            part
            for name, parser in _subcommands(_parser("backfill", "backfill")).items()
            for part in _with_subcommands(f"backfill {name}", parser)
        ],
        "others": [
            part
            for application, names in OTHER_COMMANDS.items()
            for name in names
            for part in _with_subcommands(name, _parser(application, name))
        ],
    }
    return _SECTIONS.sub(lambda match: match[1] + "\n\n".join(sections[match[2]]) + match[3], page)


def _parser(application: str, name: str) -> argparse.ArgumentParser:
    return load_command_class(application, name).create_parser("manage.py", name)


def _with_subcommands(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    yield from _command(name, parser)
    for subcommand, subparser in _subcommands(parser).items():
        yield from _command(f"{name} {subcommand}", subparser)


def _subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no public list of options
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - nor a public name of this class
            return dict(action.choices)
    return {}


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the heading, the usage, the description and the table of options of a command."""
    actions = [action for action in parser._actions if _is_shown(action)]  # noqa: SLF001 - as above
    yield f"### {name}"
    yield f"`{' '.join(['manage.py', name, *map(_usage, actions)])}`"
    if parser.description:
        yield _line(parser.description)
    options = [action for action in actions if action.help or action.option_strings]
    if options:
        rows = [(f"`{_title(action)}`", _meaning(action)) for action in options]
        yield "\n".join(_row(cells) for cells in [("option", "meaning"), ("---", "---"), *rows])


def _is_shown(action: argparse.Action) -> bool:
    is_subcommand = isinstance(action, argparse._SubParsersAction)  # noqa: SLF001 - argparse has no public name
    return action.help != argparse.SUPPRESS and not is_subcommand and _COMMON.isdisjoint(action.option_strings)


def _usage(action: argparse.Action) -> str:
    text = _title(action, separator=" | ")
    if action.nargs == "+":
        text = f"{text}…"
    return text if action.required else f"[{text}]"


def _title(action: argparse.Action, separator: str = ", ") -> str:
    """Return the names of an option and its value, or the name of an argument."""
    value = "" if action.nargs == 0 else _value(action)
    return " ".join(filter(None, [separator.join(action.option_strings), value]))


def _value(action: argparse.Action) -> str:
    if action.choices:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or action.dest.upper())


def _meaning(action: argparse.Action) -> str:
    """Return the help of an option as `--help` prints it."""
    text = _line((action.help or "") % vars(action))
    if action.option_strings and action.required:
        text = f"{text} (required)" if text else "required"
    return text.replace("|", "\\|")


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backfill_site.settings")
    os.environ.setdefault("DJANGO_DEBUG", "true")
    django.setup()
    PAGE.write_text(page_with_reference(PAGE.read_text()))
