"""Paths as clients see them."""

from __future__ import annotations

from django.conf import settings


def public_path(path: str) -> str:
    """Return a path of this service, such as `/api/docs`, below the setting SCRIPT_NAME."""
    return f"{settings.FORCE_SCRIPT_NAME or ''}{path}"
