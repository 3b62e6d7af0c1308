"""Every response has the security headers, also one that is made before or outside the middleware that sets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings

from backfill.service.commands import BackfillService

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
BAD_HOST = {"Host": "evil.example"}
BIG = b"a=" + b"x" * 2_000_000

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("served")]

Call = Callable[[Client], Any]


def check(response: Any) -> None:
    assert {name: response.get(name) for name in HEADERS} == HEADERS
    assert "default-src 'none'" in response["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (lambda c: c.get("/api/admin/backfill/jobs", headers=BAD_HOST), 400),
        (lambda c: c.get("/healthz", headers=BAD_HOST), 200),
        (lambda c: c.get("/static/admin/css/base.css", headers=BAD_HOST), 400),
        (lambda c: c.get("/admin/login/", headers=BAD_HOST), 400),
        (lambda c: c.get("/static/admin/css/base.css"), 200),
        (lambda c: c.get("/healthz"), 200),
        (lambda c: c.get("/metrics"), 200),
        (lambda c: c.get("/api/nothing"), 404),
        (lambda c: c.get("/nothing"), 404),
        (lambda c: c.get("/api/docs"), 200),
        (lambda c: c.get("/api/docs?script="), 200),
        (lambda c: c.get("/api/schema"), 200),
        (lambda c: c.get("/admin/"), 302),
        (lambda c: c.post("/admin/login/", BIG, content_type="application/x-www-form-urlencoded"), 400),
        (lambda c: c.post("/api/admin/backfill", BIG, content_type="application/json"), 401),
    ],
)
@pytest.mark.parametrize("is_https", [False, True])
def test_every_response_has_the_security_headers(call: Call, status: int, is_https: bool) -> None:
    client = Client(headers={"X-Forwarded-Proto": "https"} if is_https else None)
    https = {"SECURE_SSL_REDIRECT": True, "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}
    with override_settings(**(https if is_https else {})):
        response = call(client)
    response.close()
    assert response.status_code == status
    check(response)


def test_a_wrong_host_that_is_found_by_the_redirect_to_https_has_the_headers() -> None:
    """The redirect needs the host, so the error comes from the security middleware itself."""
    with override_settings(SECURE_SSL_REDIRECT=True):
        response = Client().get("/api/admin/backfill/jobs", headers=BAD_HOST)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "BAD_REQUEST"
    check(response)


@pytest.mark.parametrize("number", range(1, len(settings.MIDDLEWARE)))
def test_an_error_in_any_middleware_has_the_headers(number: int, served: BackfillService) -> None:
    """SecurityHeaders itself comes first."""

    def failing(_get_response: object) -> Callable[[HttpRequest], HttpResponse]:
        def fail(request: HttpRequest) -> HttpResponse:
            raise RuntimeError("a fault")

        return fail

    FAULTS["middleware"] = failing
    before = list(settings.MIDDLEWARE)
    with override_settings(MIDDLEWARE=[*before[:number], f"{__name__}.faulty_middleware", *before[number:]]):
        response = Client(raise_request_exception=False).get("/api/admin/backfill/jobs")
    assert response.status_code == 500
    check(response)


FAULTS: dict[str, Any] = {}


def faulty_middleware(get_response: object) -> Any:
    return FAULTS["middleware"](get_response)
