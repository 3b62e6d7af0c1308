"""The service under a path of its host, behind nginx."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
import requests

from tests.acceptance.harness import SHORT_LEASE, Client, Dashboard, Json, Site
from tests.acceptance.nginx import nginx_before

PREFIX = "/backfill"
START = "/api/admin/backfill"
LOCATION = "location / {\n        proxy_pass http://backfill;"
WAYS = {
    "the proxy keeps the path": "location /backfill/ {\n        proxy_pass http://backfill;",
    "the proxy removes the path": "location /backfill/ {\n        proxy_pass http://backfill/;",
}
ADDRESS = re.compile(r"""(?:href|src|action|hx-get|hx-post|data-[a-z-]+)="(/[^"]*)\"""")


@pytest.mark.parametrize("way", WAYS)
def test_every_address_contains_the_path_behind_nginx(
    sample: Dashboard, new_site: Callable[..., Site], tmp_path: Path, way: str
) -> None:
    site = new_site(sample, SCRIPT_NAME=PREFIX, BACKFILL_PROXIES="1", **SHORT_LEASE)
    server = site.serve()  # waits for /healthz without the path, as the probe of an orchestrator
    with nginx_before(server, tmp_path, {LOCATION: WAYS[way]}, PREFIX) as port:
        host = f"http://127.0.0.1:{port}"
        client = Client(f"{host}{PREFIX}", site.token, server.process)
        job = check_api(client)
        check_documentation(client, host)
        check_admin(client, host, job["jobId"])


def check_api(client: Client) -> Json:
    """Start a job and return it when it has ended."""
    client.set_limits()
    body = {"jobType": "data-collection", "startDate": "2024-03-30", "endDate": "2024-03-31"}
    started = client.ask("POST", START, body)
    assert started.status_code == 201, started.text
    job: Json = started.json()
    path = f"{PREFIX}{START}/{job['jobId']}"
    assert started.headers["Location"] == job["links"]["self"] == path
    client.ended(job["jobId"])
    ended: Json = client.ask("GET", path.removeprefix(PREFIX)).json()
    assert ended["links"]["items"] == f"{path}/items"
    assert ended["links"]["again"]["path"] == f"{PREFIX}{START}"
    missing = client.ask("GET", "/api/nothing").json()["error"]["message"]
    assert missing.startswith(f"There is nothing at {PREFIX}/api/nothing. {PREFIX}/api/docs lists")
    removed = client.ask("GET", "/api/districts/backfill/x")
    assert (removed.status_code, removed.json()["error"]["details"]["path"]) == (410, f"{PREFIX}{START}")
    for probe in ("/healthz", "/readyz", "/metrics"):
        assert client.ask("GET", probe).status_code == 200
    return ended


def check_documentation(client: Client, host: str) -> None:
    schema = client.ask("GET", "/api/schema", Accept="application/json").json()
    assert schema["servers"] == [{"url": PREFIX}]
    page = requests.get(f"{client.url}/api/docs", headers={"Accept": "text/html"}, timeout=30).text
    references = set(ADDRESS.findall(page))
    assert len(references) > 3
    for reference in references:
        assert reference.startswith(f"{PREFIX}/")
        assert requests.get(f"{host}{unescape(reference)}", timeout=30).status_code == 200
    assert f'"{PREFIX}/api/schema"' in requests.get(f"{client.url}/api/docs?script=", timeout=30).text


def check_admin(client: Client, host: str, job_id: str) -> None:
    """Sign in, and follow every address of the pages."""
    browser = requests.Session()
    for entrance in (host + PREFIX, f"{client.url}/", f"{client.url}/admin", f"{client.url}/admin/backfill/"):
        page = browser.get(entrance, timeout=30)
        assert page.url.startswith(f"{client.url}/admin/login/?next={PREFIX}/"), entrance
    section = f"{PREFIX}/admin/backfill/"
    form = {"username": "operator", "password": "operator", "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    page = browser.post(f"{client.url}/admin/login/", data={**form, "next": section}, timeout=30)
    assert (page.status_code, page.url) == (200, f"{host}{section}")
    assert {(cookie.name, cookie.path) for cookie in browser.cookies} == {
        ("backfill_sessionid", PREFIX),
        ("csrftoken", PREFIX),
    }

    seen: set[str] = set()
    for path in ("", f"jobs/{job_id}/", "coverage/", "../", "../api-tokens/"):
        page = browser.get(f"{host}{section}{path}", timeout=30)
        addresses = {unescape(address) for address in ADDRESS.findall(page.text)}
        assert {address for address in addresses if not address.startswith(f"{PREFIX}/")} == set()
        seen |= addresses
    assert any("/static/" in address for address in seen)
    for address in seen:
        if "/logout/" not in address:
            answer = browser.get(f"{host}{address}", timeout=30)
            # 404: no results are computed; 405: a form is sent to this address.
            assert answer.status_code == 200 or ("/static/" not in address and answer.status_code in {404, 405}), (
                address
            )
            assert answer.url.startswith(client.url)

    token = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    saved = browser.post(f"{host}{section}limits/", data={**token, "max_concurrent": "4"}, timeout=30)
    assert (saved.status_code, saved.url) == (200, f"{host}{section}")


def test_requests_over_http_are_redirected_with_the_path(sample: Dashboard, new_site: Callable[..., Site]) -> None:
    site = new_site(sample, SCRIPT_NAME=PREFIX, DJANGO_HTTPS="true", BACKFILL_WORKER="off")
    server = site.serve()
    for path in ("/admin/", f"{PREFIX}/admin/"):
        answer = requests.get(f"{server.url}{path}", allow_redirects=False, timeout=30)
        assert answer.headers["Location"] == f"{server.url.replace('http', 'https', 1)}{PREFIX}/admin/"
    for path in ("/readyz", f"{PREFIX}/readyz"):
        assert requests.get(f"{server.url}{path}", allow_redirects=False, timeout=30).status_code == 200
