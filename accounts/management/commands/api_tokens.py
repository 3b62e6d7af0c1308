"""`manage.py api_tokens`: lists and revokes API tokens. `manage.py drf_create_token` creates them."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import ApiToken
from accounts.tokens import revoke
from backfill.cli.arguments import actor
from backfill.cli.formatting import minute, printable
from backfill.cli.main import check_output_error
from backfill.serializers.tokens import ApiTokenSerializer

MAX_DAYS = 3_650
_ID_DIGITS = 18
"""Numbers of more digits are too large for a column of the database."""


def days(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MAX_DAYS):
        raise argparse.ArgumentTypeError(f"must be a number of days from 1 to {MAX_DAYS:,}")
    return int(text)


def token_id(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _ID_DIGITS):
        raise argparse.ArgumentTypeError("must be an id of the list")
    return int(text)


class Command(BaseCommand):
    help = "List and revoke API tokens. Create one with: manage.py drf_create_token NAME"
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True, title="commands")
        listing = commands.add_parser(
            "list", help="list tokens, newest first", description="List tokens, newest first."
        )
        listing.add_argument("--user", help="only the tokens of this user")
        listing.add_argument("--json", action="store_true", help="print JSON")
        revoking = commands.add_parser("revoke", help="revoke tokens", description="Revoke tokens.")
        revoking.add_argument("ids", nargs="+", type=token_id, metavar="ID", help="an id of the list")
        revoking.add_argument("--operator", metavar="NAME", help="name for the audit log (default: your login name)")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['command']}")(options)
        except OSError as exc:
            check_output_error(exc)

    def _list(self, options: dict[str, Any]) -> None:
        tokens = ApiToken.objects.select_related("user")
        if user := options["user"]:
            if not get_user_model().objects.filter(username=user).exists():
                raise CommandError(f"There is no user '{printable(user)}'. List all tokens: manage.py api_tokens list")
            tokens = tokens.filter(user__username=user)
        if options["json"]:
            self.stdout.write(json.dumps([ApiTokenSerializer.render(token) for token in tokens], indent=2))
            return
        for token in tokens:
            expires = f"expires {minute(token.expires_at)}" if token.expires_at else "does not expire"
            name = f", {printable(token.name)}" if token.name else ""
            owner = printable(token.user.get_username())
            self.stdout.write(f"{token.pk}: {owner}{name}, created {minute(token.created_at)}, {expires}")
        if not tokens:
            self.stdout.write("There are no API tokens.")

    def _revoke(self, options: dict[str, Any]) -> None:
        by = actor(options)
        found = ApiToken.objects.select_related("user").in_bulk(options["ids"])
        missing = [str(key) for key in options["ids"] if key not in found]
        if missing:
            raise CommandError(f"There is no token {', '.join(missing)}. List them with: manage.py api_tokens list")
        for token in list(found.values()):
            revoke(token, by=by)
        self.stdout.write(f"Revoked: {', '.join(map(str, found))}.")
