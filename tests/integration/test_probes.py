"""The probes accept any Host header."""

from __future__ import annotations

import pytest
from django.test import Client, override_settings

from backfill.api.middleware import PROBES
from backfill.service.commands import BackfillService

ADDRESSES = ("10.42.0.17:8000", "[fd00::17]:8000", "evil.example", "not a host", "a" * 300)
PRODUCTION = {
    "ALLOWED_HOSTS": ["backfill.example.org"],
    "SECURE_SSL_REDIRECT": True,
    "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
}


@pytest.mark.parametrize("host", ADDRESSES)
@pytest.mark.parametrize("path", PROBES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_probe_is_answered_whatever_its_host_header_is(
    served: BackfillService, path: str, host: str, method: str
) -> None:
    with override_settings(**PRODUCTION):
        response = Client().generic(method, path, headers={"Host": host})
    assert response.status_code == 200
    assert host not in response.content.decode()


@pytest.mark.parametrize("path", PROBES)
def test_a_probe_without_a_host_header_is_answered(served: BackfillService, path: str) -> None:
    """HTTP/1.0 has no Host header; the server then reports its own name."""
    with override_settings(**PRODUCTION):
        response = Client(SERVER_NAME="10.42.0.17").get(path)
    assert response.status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/admin/", "/admin/backfill/", "/api/docs", "/healthz/", "//healthz", "/static/admin/css/base.css"]
)
def test_all_other_paths_validate_the_host_header(served: BackfillService, path: str) -> None:
    with override_settings(**PRODUCTION):
        secure = {"Host": "10.42.0.17:8000", "X-Forwarded-Proto": "https"}
        response = Client(raise_request_exception=False).generic("GET", path, headers=secure)
    response.close()
    assert response.status_code == 400
