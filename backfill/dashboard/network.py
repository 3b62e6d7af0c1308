"""Proxies and CA bundles for an address, and the causes of network errors.

Proxies and CA bundles come from the environment. `~/.netrc` is not read.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.exceptions import InvalidProxyURL, InvalidSchema, ProxyError
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError, NameResolutionError
from urllib3.exceptions import ProxyError as Urllib3ProxyError
from urllib3.util import Url, parse_url

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""The first that is set is used."""

_PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


def causes(exc: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes. requests and urllib3 keep causes in arguments and attributes too."""
    seen: set[int] = set()
    open_causes: list[object] = [exc]
    while open_causes:
        cause = open_causes.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            open_causes += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]


def reason(exc: BaseException) -> str:
    """Return the message of the operating system, such as `Connection refused`, or the name of the exception."""
    last = exc
    for last in causes(exc):
        if isinstance(last, OSError) and last.strerror:
            return last.strerror
    return type(last).__name__


def is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False  # a host name, or an invalid URL that the request reports


@dataclass(frozen=True, slots=True)
class Route:
    """The proxy and the CA bundle for an address, with the environment variables that set them.

    Create one for each request, so that changes of the environment take effect.
    """

    url: str
    host: str
    """The name of the receiver in messages."""
    setting: str
    """The setting that contains the address."""
    proxies: Mapping[str, str] = field(default_factory=dict)
    proxy: str = ""
    ca_bundle: str = ""
    ca_variable: str = ""

    @classmethod
    def to(cls, url: str, *, setting: str, host: str = "") -> Route:
        """Return the route to a URL. `host` replaces the host name of the URL in messages.

        Loopback addresses never use a proxy.
        """
        ca_variable = next((name for name in _CA_VARIABLES if os.environ.get(name)), "")
        try:
            proxies = {} if is_loopback(url) else get_environ_proxies(url)
            proxy = select_proxy(url, proxies) or ""
            host = host or urlsplit(url).hostname or "the dashboard"
        except ValueError:
            proxies, proxy, host = {}, "", host or "the dashboard"  # an invalid URL; the request reports it
        return cls(url, host, setting, proxies, proxy, os.environ.get(ca_variable, ""), ca_variable)

    @property
    def verify(self) -> bool | str:
        """The argument `verify` of requests."""
        return self.ca_bundle or True

    def problem(self) -> str:
        """Return a sentence that explains why this route cannot be used; empty if no problem is known."""
        if self.proxy and (problem := self._proxy_problem()):
            return problem
        if self.ca_bundle and self.url.lower().startswith("https:") and not Path(self.ca_bundle).exists():
            return f"{self.ca_variable} names {self.ca_bundle}, which does not exist."
        return ""

    def cause(self, exc: BaseException) -> str:
        """Return a sentence about the local problem that made a request fail; empty if the cause is not local."""
        for cause in causes(exc):
            if message := self._cause(cause):
                return message
        return ""

    def _cause(self, cause: BaseException) -> str:
        if isinstance(cause, ssl.SSLCertVerificationError):
            bundle = f"{self.ca_variable} is {self.ca_bundle}" if self.ca_variable else "set REQUESTS_CA_BUNDLE"
            return (
                f"The certificate of {self.host} cannot be verified: {cause.verify_message}. If it is signed by a "
                f"private authority, name its CA bundle in the environment ({bundle})."
            )
        if self.ca_variable and self._is_about_bundle(cause):
            return f"{self.ca_variable} names {self.ca_bundle}, which cannot be read as a CA bundle: {reason(cause)}."
        return self._proxy_cause(cause) or self._network_cause(cause)

    def _proxy_cause(self, cause: BaseException) -> str:
        if isinstance(cause, InvalidProxyURL):
            return self._not_a_proxy()
        if not self.proxy:
            return ""
        if isinstance(cause, InvalidSchema) and "SOCKS" in str(cause):
            return self._needs_socks()
        if isinstance(cause, ProxyError | Urllib3ProxyError | NameResolutionError | socket.gaierror):
            return f"The proxy {self._proxy_name()} cannot be used: {_innermost(cause)}."
        return ""

    def _network_cause(self, cause: BaseException) -> str:
        if isinstance(cause, NameResolutionError | socket.gaierror):
            return f"DNS does not resolve {self.host}. Check the DNS settings of this machine, and {self.setting}."
        if isinstance(cause, OSError) and cause.errno in (errno.ENETUNREACH, errno.ENETDOWN):
            return f"This machine has no network to reach {self.host}: {cause.strerror}."
        return ""

    @staticmethod
    def _is_about_bundle(cause: BaseException) -> bool:
        if isinstance(cause, ssl.SSLError):
            return cause.reason in ("NO_CERTIFICATE_OR_CRL_FOUND", "PEM_LIB") or "x509" in str(cause).lower()
        return isinstance(cause, FileNotFoundError | PermissionError) or (
            isinstance(cause, OSError) and not isinstance(cause, requests.RequestException) and "TLS CA" in str(cause)
        )

    def _proxy_problem(self) -> str:
        try:
            address = self._proxy_address()
        except (HTTPError, ValueError):
            return self._not_a_proxy()
        if not address.host or address.scheme not in _PROXY_SCHEMES:
            return self._not_a_proxy()
        if address.scheme.startswith("socks") and find_spec("socks") is None:
            return self._needs_socks()
        return ""

    def _not_a_proxy(self) -> str:
        return f"{self._proxy_variable()} is not the address of a proxy, such as http://proxy.example.org:8080."

    def _needs_socks(self) -> str:
        return f"The proxy {self._proxy_name()} needs the package PySocks, which is not installed: pip install PySocks."

    def _proxy_address(self) -> Url:
        return parse_url(self.proxy if "://" in self.proxy else f"http://{self.proxy}")

    def _proxy_name(self) -> str:
        """Return the address without credentials."""
        address = self._proxy_address()
        return f"{address.scheme}://{address.netloc} ({self._proxy_variable()})"

    def _proxy_variable(self) -> str:
        scheme = self.url.partition(":")[0].lower()
        names = [spelling for name in (f"{scheme}_proxy", "all_proxy") for spelling in (name, name.upper())]
        return next((name for name in names if os.environ.get(name)), "the proxy of this system")


def _innermost(exc: BaseException) -> str:
    """Return why a proxy failed: `Connection refused`, or its response."""
    for cause in causes(exc):
        if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException | ssl.SSLError):
            return cause.strerror or str(cause) or type(cause).__name__
    return reason(exc)
