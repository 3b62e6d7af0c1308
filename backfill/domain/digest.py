"""Stored digests of named fields, which change only if the values of the fields change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b


def stable_digest(fields: Mapping[str, object], *, size: int = 16) -> str:
    """Return the hex digest, of `size` bytes, of named JSON values in the given order.

    Callers keep the names and their order. A field that is added later is left out while it has its default value, so
    that stored digests stay valid.
    """
    return blake2b(json.dumps(fields, separators=(",", ":")).encode(), digest_size=size).hexdigest()
