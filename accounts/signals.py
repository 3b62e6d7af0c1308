"""Receivers of Django's signals."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_login_failed
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest
from rest_framework.authtoken.models import Token

from accounts import sign_in_log
from accounts.models import ApiToken


@receiver(user_login_failed)
def report_failed_password(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Runs after the receiver of django-axes, which counts the failure unless the name is locked already."""
    failures = getattr(request, "axes_failures_since_start", None)
    if failures is None:  # without a request, or locked before
        return
    sign_in_log.password_failed(
        str(credentials.get("username", "")),
        request.axes_ip_address,  # type: ignore[union-attr]
        failures,
        is_locked=request.axes_locked_out,  # type: ignore[union-attr]
    )


@receiver(post_save, sender=Token)
def keep_only_the_digest(instance: Token, **_: Any) -> None:
    """Replace a token that was created by DRF's model. Its instance still has the key, which the caller prints."""
    ApiToken.objects.issue(instance.user, key=instance.key)
    Token.objects.filter(key=instance.key).delete()
