"""Who may do what here: the permissions of the API, and how an operator asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

VIEW = "backfill.view_backfilljob"
START = "backfill.add_backfilljob"
STEER = "backfill.change_backfilljob"
SET_LIMITS = "backfill.change_ratelimitconfig"

NAMES: dict[str, str | Promise] = {
    VIEW: _("Can view backfill job"),
    START: _("Can add backfill job"),
    STEER: _("Can change backfill job"),
    SET_LIMITS: _("Can change rate limit config"),
}
"""As an administrator finds them in the list of permissions."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What the one who looks may do."""

    can_start: bool
    can_steer: bool
    can_set_limits: bool

    @classmethod
    def of(cls, user: AbstractBaseUser | AnonymousUser) -> Rights:
        has = user.has_perm  # type: ignore[union-attr]
        return cls(can_start=has(START), can_steer=has(STEER), can_set_limits=has(SET_LIMITS))

    @property
    def missing(self) -> list[str]:
        """The names of the permissions to ask for; nothing where all is allowed."""
        held = {START: self.can_start, STEER: self.can_steer, SET_LIMITS: self.can_set_limits}
        return names(permission for permission, is_held in held.items() if not is_held)

    @property
    def mark(self) -> str:
        """Three digits, so that an ETag of one operator is never that of another with other rights."""
        return f"{self.can_start:d}{self.can_steer:d}{self.can_set_limits:d}"


def names(permissions: Iterable[str]) -> list[str]:
    return [str(NAMES[permission]) for permission in permissions]
