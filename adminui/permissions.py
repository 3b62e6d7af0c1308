"""The permissions of the section, which are those of the API."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Permission

VIEW = "backfill.view_backfilljob"
START = "backfill.add_backfilljob"
CHANGE = "backfill.change_backfilljob"
CHANGE_LIMITS = "backfill.change_ratelimitconfig"
CHANGE_TARGET = "backfill.change_coveragetarget"


@dataclass(frozen=True, slots=True)
class Permissions:
    """Permissions of the current user."""

    can_start: bool
    can_change: bool
    can_change_limits: bool
    can_change_target: bool = False

    @classmethod
    def of(cls, user: AbstractBaseUser | AnonymousUser) -> Permissions:
        has = user.has_perm  # type: ignore[union-attr]
        return cls(
            can_start=has(START),
            can_change=has(CHANGE),
            can_change_limits=has(CHANGE_LIMITS),
            can_change_target=has(CHANGE_TARGET),
        )

    @property
    def missing(self) -> list[str]:
        """Names of the permissions for jobs and limits that the user does not have."""
        held = {START: self.can_start, CHANGE: self.can_change, CHANGE_LIMITS: self.can_change_limits}
        return permission_labels(permission for permission, is_held in held.items() if not is_held)

    @property
    def etag_part(self) -> str:
        """Three digits that keep the ETags of users with different permissions apart."""
        return f"{self.can_start:d}{self.can_change:d}{self.can_change_limits:d}"


def permission_labels(permissions: Iterable[str]) -> list[str]:
    """The names in the permission list of the admin, such as `Backfill | backfill job | Can add backfill job`.

    They are read, because a database keeps the names that were current when it was created.
    """
    wanted = list(permissions)
    if not wanted:
        return []
    found = Permission.objects.select_related("content_type").filter(
        content_type__app_label="backfill", codename__in=[name.partition(".")[2] for name in wanted]
    )
    labels = {f"{each.content_type.app_label}.{each.codename}": str(each) for each in found}
    return [labels.get(name, name) for name in wanted]
