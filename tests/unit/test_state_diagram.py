"""The state diagram of the documentation is generated from the transition table."""

from __future__ import annotations

import re

import pytest

from backfill.domain import ENDED, TRANSITIONS, Status
from backfill_site.state_diagram import PAGE, page_with_diagram


def test_the_state_diagram_of_the_documentation_is_up_to_date() -> None:
    """After a change of the transitions: python -m backfill_site.state_diagram"""
    page = PAGE.read_text()
    assert page == page_with_diagram(page)


def test_the_state_diagram_has_exactly_the_transitions_of_the_table() -> None:
    arrows = re.findall(r"^    (\S+) --> ([^\s:]+)", PAGE.read_text(), re.MULTILINE)
    expected = {(str(before), str(after)) for before, after in TRANSITIONS}
    expected |= {("[*]", str(Status.PENDING)), *((str(status), "[*]") for status in ENDED)}
    assert len(arrows) == len(expected)
    assert set(arrows) == expected


def test_a_page_without_a_state_diagram_is_refused() -> None:
    with pytest.raises(ValueError, match="no state diagram"):
        page_with_diagram("# Architecture\n")
