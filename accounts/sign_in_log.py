"""Reports failed sign-ins and changes of tokens to the log and the audit log.

The typed user name is reported only if it is the name of a user: people type passwords into that field.
"""

from __future__ import annotations

import logging

from django.contrib.auth import get_user_model

from accounts.lockout import COOL_OFF, TOKEN_LIMIT
from accounts.models import ApiToken
from backfill.domain import Actor, AuditAction, Changes, Channel
from backfill.errors import BackfillError

logger = logging.getLogger("backfill.accounts")

UNKNOWN = "unknown"
_LOCKED_FOR = f"{COOL_OFF.total_seconds() / 60:g} minutes"


def password_failed(name: str, address: str, failures: int, *, is_locked: bool) -> None:
    """Report a wrong password, and whether it locked the name or the address."""
    known = _known(name)
    logger.warning("Sign-in of %s from %s failed (%d in a row).", known, address, failures)
    _audit(AuditAction.SIGN_IN_FAILED, Actor(known, Channel.ADMIN), _from(address))
    if is_locked:
        logger.warning("Sign-in of %s from %s is locked for %s.", known, address, _LOCKED_FOR)
        _audit(AuditAction.SIGN_IN_LOCKED, Actor(known, Channel.ADMIN), _from(address))


def token_failed(address: str, failures: int, reason: Exception, name: str | None) -> None:
    """Report a refused token. The audit log gets the first failure of an address and its lock.

    A program with an old token repeats it for months, so that an entry for each failure would fill the audit log.
    """
    logger.warning("A token from %s was refused (%d in a row): %s", address, failures, reason)
    actor = Actor(name or UNKNOWN, Channel.API)
    if failures == 1:
        _audit(AuditAction.SIGN_IN_FAILED, actor, _from(address))
    if failures == TOKEN_LIMIT:
        logger.warning("Unknown tokens from %s are answered with 429 for %s.", address, _LOCKED_FOR)
        _audit(AuditAction.SIGN_IN_LOCKED, actor, _from(address))


def token_created(token: ApiToken, by: Actor) -> None:
    expires = token.expires_at.isoformat() if token.expires_at else None
    changes = {"token": (None, token.pk), "name": (None, token.name), "expiresAt": (None, expires)}
    _audit(AuditAction.TOKEN_CREATED, by, {"user": (None, token.user.get_username()), **changes})


def token_revoked(token: ApiToken, by: Actor) -> None:
    """Call this before the token is deleted, which clears its id."""
    changes = {"token": (token.pk, None), "name": (token.name, None)}
    _audit(AuditAction.TOKEN_REVOKED, by, {"user": (token.user.get_username(), None), **changes})


def _known(name: str) -> str:
    users = get_user_model()
    return name if users._default_manager.filter(**{users.USERNAME_FIELD: name}).exists() else UNKNOWN  # noqa: SLF001


def _from(address: str) -> Changes:
    return {"address": (None, address)}


def _audit(action: AuditAction, by: Actor, changes: Changes) -> None:
    """Store an audit entry. A job store that does not respond does not prevent a sign-in; the log has the entry."""
    from backfill import bootstrap  # here, so that commands without a service do not import the engine

    try:
        bootstrap.backfill_service().record_account_action(action, changes, by=by)
    except (BackfillError, ValueError) as exc:
        logger.warning("The audit entry %s of %s was not stored: %s", action, by.operator, exc)
