"""Creation and revocation of API tokens with their audit entries.

On a database the change and its entry are one transaction. On Firestore the entry is written before the transaction
ends, so that a killed process may leave an entry without its change, but never a change without its entry.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from accounts import sign_in_log
from accounts.models import ApiToken
from backfill.domain import Actor


def issue(user: User, *, name: str = "", expires_at: datetime | None = None, by: Actor) -> str:
    """Create a token and return its key."""
    with transaction.atomic():
        token, key = ApiToken.objects.issue(user, name=name, expires_at=expires_at)
        sign_in_log.token_created(token, by)
    return key


def revoke(token: ApiToken, *, by: Actor) -> None:
    with transaction.atomic():
        sign_in_log.token_revoked(token, by)
        token.delete()
