"""`manage.py drf_create_token NAME`: DRF's command, which also accepts an expiry. Its output is the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandParser
from django.utils import timezone
from rest_framework.authtoken.management.commands import drf_create_token
from rest_framework.authtoken.models import Token

from accounts import tokens
from accounts.management.commands.api_tokens import days
from accounts.models import ApiToken
from backfill.cli.arguments import actor


class Command(drf_create_token.Command):
    help = "Create an API token for a user. Its key is printed once; the database contains only a digest."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--name", default="", help="what the token is used for")
        parser.add_argument("--days", type=days, help="the days until the token expires; default: it does not expire")

    def handle(self, *args: Any, **options: Any) -> None:
        self._options = options
        super().handle(*args, **options)

    def create_user_token(self, username: str, reset_token: bool) -> Token:
        user = get_user_model()._default_manager.get_by_natural_key(username)  # noqa: SLF001 - as DRF does
        by = actor({"operator": None})
        if reset_token:
            for token in ApiToken.objects.filter(user=user):
                tokens.revoke(token, by=by)
        lifetime: int | None = self._options.get("days")
        expires_at = timezone.now() + timedelta(days=lifetime) if lifetime else None
        key = tokens.issue(user, name=self._options.get("name", ""), expires_at=expires_at, by=by)
        return Token(user=user, key=key)  # not saved: the command prints its key
