"""What the dashboard's robots.txt says, as RFC 9309 reads it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from protego import Protego

PRODUCT = "unified-backfill-service"
"""The name by which robots.txt addresses this service; the User-Agent begins with it."""

_LONGEST = 512 * 1024
"""Bytes that are read; RFC 9309 asks for 500 KiB at least."""

_LONGEST_DELAY = 24 * 60 * 60.0
"""Seconds; a longer Crawl-delay is taken for this."""


@dataclass(frozen=True, slots=True)
class RobotRules:
    rules: Protego
    base_path: str = ""
    """The path of the dashboard's address, where it does not lie at the root of its host."""

    @property
    def crawl_delay(self) -> float:
        """Seconds between the starts of two requests; 0 where nothing is asked for."""
        delay = self.rules.crawl_delay(PRODUCT)
        if delay is None or math.isnan(delay):
            return 0.0
        return min(max(delay, 0.0), _LONGEST_DELAY)

    def allows(self, path_and_query: str) -> bool:
        return self.rules.can_fetch(self.base_path + path_and_query, PRODUCT)


def robot_rules(content: bytes, base_path: str = "") -> RobotRules:
    """The rules of a robots.txt. A web page in its place has no rules: it is what the dashboard sends for a missing
    file."""
    text = content[:_LONGEST].decode("utf-8", errors="replace").removeprefix("\ufeff")
    return RobotRules(Protego.parse("" if text.lstrip().startswith("<") else text), base_path)


NO_RULES = robot_rules(b"")
