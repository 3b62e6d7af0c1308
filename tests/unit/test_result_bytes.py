"""The stored bytes of results."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backfill.job_types.compute.tasks import as_json

FIGURES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.integers(-(10**14), 10**14).map(lambda hundredths: hundredths / 100),
    st.text(),
)
VALUES = st.recursive(
    FIGURES,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(), inner, max_size=5)),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_a_result_is_stored_as_the_bytes_of_the_standard_json_module(result: dict[str, Any]) -> None:
    """A result that is computed again is equal, with any version of the JSON library. Percentages have two digits."""
    assert as_json(result) == json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode()
