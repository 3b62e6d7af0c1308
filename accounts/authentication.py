"""Authentication of API requests by a token."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from accounts import sign_in_log
from accounts.client_address import client_address
from accounts.lockout import COOL_OFF, TOKEN_LIMIT, count_token_failure, token_failures
from accounts.models import ApiToken, digest_of


class TokenRefused(AuthenticationFailed):
    """The token exists, but it has expired or its user is inactive."""

    def __init__(self, token: ApiToken, message: str) -> None:
        super().__init__(message)
        self.user_name = token.user.get_username()


class TokenAuthentication(authentication.TokenAuthentication):
    """Reads `Authorization: Token KEY` as DRF does, looks up the digest of the key, and limits failures."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        try:
            return super().authenticate(request)
        except AuthenticationFailed as exc:
            self._failed(request, exc)
            raise

    def authenticate_credentials(self, key: str) -> tuple[Any, Any]:
        token = ApiToken.objects.select_related("user").filter(digest=digest_of(key)).first()
        if token is None:
            raise AuthenticationFailed("Invalid token.")
        if token.is_expired(timezone.now()):
            raise TokenRefused(token, "The token has expired.")
        if not token.user.is_active:
            raise TokenRefused(token, "User inactive or deleted.")
        return token.user, token

    def _failed(self, request: Request, exc: AuthenticationFailed) -> None:
        """Count and report a failure. Raises Throttled for an unknown token of an address over its limit."""
        address = client_address(request)
        if token_failures(address) >= TOKEN_LIMIT:  # nothing is written from now on
            if isinstance(exc, TokenRefused):
                return
            raise Throttled(wait=COOL_OFF.total_seconds()) from exc
        failures = count_token_failure(address, request.path)
        sign_in_log.token_failed(address, failures, exc, getattr(exc, "user_name", None))
