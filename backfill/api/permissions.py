"""The Django permission that each kind of action requires."""

from __future__ import annotations

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

VIEW = "backfill.view_backfilljob"
START = "backfill.add_backfilljob"
STEER = "backfill.change_backfilljob"
SET_TARGET = "backfill.change_coveragetarget"
SET_LIMITS = "backfill.change_ratelimitconfig"


class HasBackfillPermission(BasePermission):
    """Requires the permission that `permission_for` of the view returns; superusers have all permissions."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = request.user
        if not user or not user.is_authenticated:
            return False
        needed: str = view.permission_for()  # type: ignore[attr-defined]
        self.message = (
            f"{user.get_username()} needs the permission {needed} for this request. Ask an administrator for it."
        )
        return user.has_perm(needed)
