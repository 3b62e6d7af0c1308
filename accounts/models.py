"""API tokens. The database contains only their digests."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone

NAME_LENGTH = 100


def digest_of(key: str) -> str:
    """Return the SHA-256 of a key. A key has 160 random bits, so the digest needs neither a salt nor a slow hash."""
    return hashlib.sha256(key.encode()).hexdigest()


class ApiTokenManager(models.Manager["ApiToken"]):
    def issue(
        self, user: User, *, name: str = "", expires_at: datetime | None = None, key: str = ""
    ) -> tuple[ApiToken, str]:
        """Create a token and return it with its key, which cannot be read again. `key` is the key to use, if given."""
        key = key or secrets.token_hex(20)
        token = self.create(
            user=user, name=name[:NAME_LENGTH], digest=digest_of(key), created_at=timezone.now(), expires_at=expires_at
        )
        return token, key


class ApiToken(models.Model):
    """A key with which a user calls the API. It has the permissions of the user."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=NAME_LENGTH, blank=True, help_text="What the token is used for.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: the token does not expire.")

    objects: ClassVar[ApiTokenManager] = ApiTokenManager()

    class Meta:
        verbose_name = "API token"
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"API token {self.pk} of {self.user}"

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now
