"""What only HTTP can be refused for. Each carries the status of its answer."""

from __future__ import annotations

from typing import ClassVar

from backfill.errors import BackfillError


class Refusal(BackfillError):
    """The root; a Refusal itself stands for a request that HTTP does not allow."""

    code = "BAD_REQUEST"
    status: ClassVar[int] = 400


class MalformedJson(Refusal):
    """The body is no JSON in UTF-8."""

    code = "MALFORMED_JSON"


class NotAuthenticated(Refusal):
    """Nobody has signed in, or the token is none."""

    code = "NOT_AUTHENTICATED"
    status = 401


class PermissionMissing(Refusal):
    """Who has signed in may not do this."""

    code = "PERMISSION_DENIED"
    status = 403


class CsrfFailed(Refusal):
    """A change came by session and without its CSRF token."""

    code = "CSRF_FAILED"
    status = 403


class NotFound(Refusal):
    """There is nothing under this address."""

    code = "NOT_FOUND"
    status = 404


class MethodNotAllowed(Refusal):
    code = "METHOD_NOT_ALLOWED"
    status = 405


class NotAcceptable(Refusal):
    code = "NOT_ACCEPTABLE"
    status = 406


class EndpointRemoved(Refusal):
    code = "ENDPOINT_REMOVED"
    status = 410


class LengthRequired(Refusal):
    """A body came in chunks; WSGI does not tell where it ends, and it would be taken for none."""

    code = "LENGTH_REQUIRED"
    status = 411


class PayloadTooLarge(Refusal):
    code = "PAYLOAD_TOO_LARGE"
    status = 413


class UnsupportedMediaType(Refusal):
    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415


class TooManyRequests(Refusal):
    code = "TOO_MANY_REQUESTS"
    status = 429
    is_retryable = True


class InternalError(Refusal):
    """A fault of this program; what it was is in the log and nowhere else."""

    code = "INTERNAL_ERROR"
    status = 500
