"""Local network problems, with real sockets: credentials, proxies, CA bundles and host names."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest

from backfill.dashboard.client import DashboardClient
from backfill.domain.clock import Clock
from backfill.errors import DashboardError, LocalProblem
from backfill.webhooks import WebhookDispatcher, key_of
from sample_dashboard.server import Answer
from tests.fault_server import CERTIFICATE, FaultServer
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import FakeClock, a_job
from tests.unit.test_dashboard_client import CSV, REQUEST
from tests.webhook_receiver import SECRET

_VARIABLES = (
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "requests_ca_bundle",
    "curl_ca_bundle",
    "ssl_cert_file",
)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def report_by(path: str) -> Answer:
    return Answer(200, CSV, "text/csv")


def fetch(url: str) -> int:
    """Requests the report from that address and returns its number of rows."""
    with closing(DashboardClient(url)) as client:
        return client.report(REQUEST).rows


def problem(url: str) -> str:
    with pytest.raises(LocalProblem) as raised:
        fetch(url)
    assert raised.value.is_retryable
    return raised.value.message


def unused_port() -> int:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


# Credentials.


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".netrc"
    file.write_text("default login somebody password secret\n")
    file.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(file))


@pytest.mark.usefixtures("netrc")
def test_credentials_of_netrc_are_not_sent_to_the_dashboard(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(report_by) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert fetch("http://dashboard.invalid") == 1
    (received,) = proxy.received
    assert received.path.startswith("http://dashboard.invalid/"), "the proxy of the environment applies"
    assert "Authorization" not in received.headers


@pytest.mark.usefixtures("netrc")
def test_credentials_of_netrc_are_not_sent_to_a_webhook_receiver() -> None:
    with FaultServer(lambda path: Answer(204, b"")) as receiver:
        deliver_event(f"{receiver.url}/hook")
        deliver_event(receiver.url.replace("http://", "http://me:mine@") + "/hook")
    plain, with_own = (one.headers for one in receiver.received)
    assert "Authorization" not in plain
    assert with_own["Authorization"] == "Basic bWU6bWluZQ==", "the credentials in the address are sent"


def deliver_event(url: str) -> None:
    storage, clock = MemoryStorage(), FakeClock()
    job = storage.jobs.put_in(a_job())
    storage.jobs.update(job.id, lambda job: job.cancel_requested(clock()))
    WebhookDispatcher(storage, url, key_of(SECRET), clock=Clock(now=clock)).deliver_due()


# CA bundles.


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_missing_ca_bundle_is_named_with_its_variable_and_used_once_it_exists(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle.pem"
    monkeypatch.setenv(variable, str(bundle))
    with FaultServer(report_by, tls=True) as server, closing(DashboardClient(server.url)) as client:
        with pytest.raises(LocalProblem) as raised:
            client.report(REQUEST)
        assert raised.value.message == f"{variable} names {bundle}, which does not exist."
        assert server.received == []
        bundle.write_bytes(CERTIFICATE.read_bytes())
        assert client.report(REQUEST).rows == 1


def test_a_missing_ca_bundle_is_ignored_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    with FaultServer(report_by) as server:
        assert fetch(server.url) == 1


def test_a_ca_bundle_without_a_certificate_is_named_with_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("no certificate")
    monkeypatch.setenv("CURL_CA_BUNDLE", str(bundle))
    with FaultServer(report_by, tls=True) as server:
        assert problem(server.url).startswith(f"CURL_CA_BUNDLE names {bundle}, which cannot be read as a CA bundle:")


def test_the_error_of_an_unverified_certificate_states_the_reason_and_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FaultServer(report_by, tls=True) as server:
        assert problem(server.url).startswith(
            "The certificate of 127.0.0.1 cannot be verified: self-signed certificate."
        )
        assert "set REQUESTS_CA_BUNDLE" in problem(server.url)
        assert server.received == []


# Proxies and names.


def test_a_socks_proxy_without_its_package_is_named_with_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_spec("socks") is None, "this test needs an environment without PySocks"
    monkeypatch.setenv("ALL_PROXY", "socks5://user:secret@127.0.0.1:1080")
    message = problem("http://dashboard.invalid")
    assert message == (
        "The proxy socks5://127.0.0.1:1080 (ALL_PROXY) needs the package PySocks, which is not installed: "
        "pip install PySocks."
    )


@pytest.mark.parametrize("proxy", ["http://[::1", "ftp://proxy.example:21", "http://", "http://proxy.example:port"])
def test_an_invalid_proxy_address_is_named_with_its_variable(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert problem("https://dashboard.invalid").startswith("HTTPS_PROXY is not the address of a proxy")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_unreachable_proxy_is_a_local_problem(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = unused_port()
    monkeypatch.setenv(f"{scheme}_proxy", f"http://user:secret@127.0.0.1:{port}")
    message = problem(f"{scheme}://dashboard.invalid")
    assert message == f"The proxy http://127.0.0.1:{port} ({scheme}_proxy) cannot be used: Connection refused."


def test_a_proxy_that_refuses_the_tunnel_is_a_local_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(report_by) as proxy:  # it does not support CONNECT
        monkeypatch.setenv("https_proxy", proxy.url)
        assert "Tunnel connection failed: 501" in problem("https://dashboard.invalid")


def test_a_host_name_that_cannot_be_resolved_is_a_local_problem() -> None:
    assert problem("http://dashboard.invalid") == (
        "DNS does not resolve dashboard.invalid. Check the DNS settings of this machine, and BACKFILL_DASHBOARD_URL."
    )


def test_a_server_that_refuses_the_connection_is_not_a_local_problem() -> None:
    with pytest.raises(DashboardError) as raised:
        fetch(f"http://127.0.0.1:{unused_port()}")
    assert raised.value.code == "CONNECTION_FAILED"


@pytest.mark.parametrize(
    ("url", "environment", "cause"),
    [
        ("https://127.0.0.1:1/?key=of-ours", {"SSL_CERT_FILE": "/nowhere.pem"}, "SSL_CERT_FILE names /nowhere.pem"),
        ("http://hook.invalid/?key=of-ours", {}, "DNS does not resolve the receiver"),
        ("http://hook.invalid/?key=of-ours", {"ALL_PROXY": "socks5://127.0.0.1:1"}, "needs the package PySocks"),
    ],
)
def test_a_local_problem_of_a_webhook_is_logged_in_one_line_without_the_address(
    url: str,
    environment: dict[str, str],
    cause: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, value in environment.items():
        monkeypatch.setitem(os.environ, name, value)
    with caplog.at_level(logging.WARNING):
        deliver_event(url)
    (message,) = caplog.messages
    assert cause in message
    assert "of-ours" not in message
