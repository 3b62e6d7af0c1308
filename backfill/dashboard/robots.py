"""The rules of the dashboard's robots.txt (RFC 9309)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from protego import Protego

PRODUCT = "unified-backfill-service"
"""The name by which robots.txt addresses this service; the User-Agent begins with it."""

_MAX_BYTES = 512 * 1024
"""The rest is ignored. RFC 9309 requires at least 500 KiB."""

_MAX_DELAY = 24 * 60 * 60.0
"""Seconds; the maximum of Crawl-delay."""


@dataclass(frozen=True, slots=True)
class RobotRules:
    rules: Protego
    base_path: str = ""
    """The path of the dashboard's base address."""

    @property
    def crawl_delay(self) -> float:
        """Seconds between the starts of two requests; 0 without a Crawl-delay."""
        delay = self.rules.crawl_delay(PRODUCT)
        if delay is None or math.isnan(delay):
            return 0.0
        return min(max(delay, 0.0), _MAX_DELAY)

    def allows(self, path_and_query: str) -> bool:
        return self.rules.can_fetch(self.base_path + path_and_query, PRODUCT)


def robot_rules(content: bytes, base_path: str = "") -> RobotRules:
    """Parse robots.txt. An HTML page has no rules: the dashboard sends one if the file does not exist."""
    text = content[:_MAX_BYTES].decode("utf-8", errors="replace").removeprefix("\ufeff")
    return RobotRules(Protego.parse("" if text.lstrip().startswith("<") else text), base_path)


NO_RULES = robot_rules(b"")
