"""Who may do what here: the permissions of the API, and how an operator asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

VIEW = "backfill.view_backfilljob"
START = "backfill.add_backfilljob"
CHANGE = "backfill.change_backfilljob"
CHANGE_LIMITS = "backfill.change_ratelimitconfig"

LABELS: dict[str, str | Promise] = {
    VIEW: _("Can view backfill job"),
    START: _("Can add backfill job"),
    CHANGE: _("Can change backfill job"),
    CHANGE_LIMITS: _("Can change rate limit config"),
}
"""As an administrator finds them in the list of permissions."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """What the one who looks may do."""

    can_start: bool
    can_change: bool
    can_change_limits: bool

    @classmethod
    def of(cls, user: AbstractBaseUser | AnonymousUser) -> Permissions:
        has = user.has_perm  # type: ignore[union-attr]
        return cls(can_start=has(START), can_change=has(CHANGE), can_change_limits=has(CHANGE_LIMITS))

    @property
    def missing(self) -> list[str]:
        """The names of the permissions to ask for; nothing where all is allowed."""
        held = {START: self.can_start, CHANGE: self.can_change, CHANGE_LIMITS: self.can_change_limits}
        return permission_labels(permission for permission, is_held in held.items() if not is_held)

    @property
    def etag_part(self) -> str:
        """Three digits, so that an ETag of one operator is never that of another with other permissions."""
        return f"{self.can_start:d}{self.can_change:d}{self.can_change_limits:d}"


def permission_labels(permissions: Iterable[str]) -> list[str]:
    return [str(LABELS[permission]) for permission in permissions]
