"""What tests of the admin's pages share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.test import Client

OperatorFor = Callable[..., Client]

_INLINE = re.compile(r"""<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)(?![^>]*type="application/json")""")


def is_free_of_inline_code(answer: Any) -> bool:
    """Whether a page keeps to a policy that allows no inline script and no inline style."""
    found = _INLINE.search(answer.content.decode())
    return found is None and "'unsafe" not in answer["Content-Security-Policy"]
