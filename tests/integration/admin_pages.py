"""Helpers for the tests of admin pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.test import Client

OperatorFor = Callable[..., Client]

_INLINE = re.compile(r"""<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)(?![^>]*type="application/json")""")


def is_free_of_inline_code(response: Any) -> bool:
    """Return whether a page has no inline script and no inline style, and a policy that forbids them."""
    found = _INLINE.search(response.content.decode())
    return found is None and "'unsafe" not in response["Content-Security-Policy"]
