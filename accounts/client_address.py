"""The address of the client, also behind reverse proxies."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

_IPV6_PREFIX = 64
"""The part of an IPv6 address that a provider assigns; a client chooses the rest."""


UNKNOWN = "0.0.0.0"  # noqa: S104 - not an address to bind to
"""The address of clients on a Unix socket. The unique constraint of django-axes does not hold for null."""


def client_address(request: HttpRequest) -> str:
    """Return the address by which failed sign-ins are counted; UNKNOWN if there is none.

    Each of BACKFILL_PROXIES proxies appends the address of its client to X-Forwarded-For, so the entry with that
    number from the right is the client of the outermost proxy. Entries further left are sent by the client itself.
    An IPv6 address is reduced to its /64 network.
    """
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    proxies: int = settings.BACKFILL_PROXIES
    if proxies and len(hops) >= proxies and (found := _parsed(hops[-proxies])):
        return found
    return _parsed(request.META.get("REMOTE_ADDR", "")) or UNKNOWN


def _parsed(text: str) -> str | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        mapped: IPv4Address | None = address.ipv4_mapped
        return str(mapped or ip_network((address, _IPV6_PREFIX), strict=False).network_address)
    return str(address)
