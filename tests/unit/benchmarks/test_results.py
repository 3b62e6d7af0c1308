"""benchmarks/results.json."""

from __future__ import annotations

import json
import platform
import re
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.figures import Better, Figure, Section, at_least

SECTION = Section("one", "A section", lambda _: None, (Figure("rate", "rate of items", "items/s", at_least(220)),))
RUN = {"date": "2026-11-29", "commit": "abc", "seconds": 1.5, "machine": {"cores": 2}}
MEASURED: dict[str, Any] = {"figures": {"rate": 231.25}, "stores": {"SQLite": "3.40"}, "series": {}, "failures": []}
EMPTY: results.Json = {"sections": {}}


def test_a_section_is_stored_with_its_figures_its_date_and_its_machine() -> None:
    stored = results.with_section(EMPTY, SECTION, MEASURED, RUN)["sections"]["one"]
    assert stored == {
        "title": "A section",
        **RUN,
        "stores": {"SQLite": "3.40"},
        "figures": {
            "rate": {
                "title": "rate of items",
                "value": 231.25,
                "unit": "items/s",
                "digits": 0,
                "target": 220,
                "better": "higher",
                "compared": False,
            }
        },
    }


def test_a_section_that_could_not_run_keeps_its_former_figures_with_their_date() -> None:
    before = results.with_section(EMPTY, SECTION, MEASURED, RUN)
    after = results.with_section(before, SECTION, {"not_run": "PostgreSQL is missing."}, {**RUN, "date": "2026-12-01"})
    stored = after["sections"]["one"]
    assert stored["not_run"] == {"date": "2026-12-01", "reason": "PostgreSQL is missing."}
    assert stored["date"] == "2026-11-29"
    assert results.values(after)["one.rate"].text == "231 items/s"
    again = results.with_section(after, SECTION, MEASURED, RUN)
    assert "not_run" not in again["sections"]["one"]


def test_a_section_that_never_ran_has_no_figures() -> None:
    content = results.with_section(EMPTY, SECTION, {"not_run": "PostgreSQL is missing."}, RUN)
    assert results.values(content) == {}
    assert results.values(content, "one") == {}


def test_running_one_section_leaves_the_others() -> None:
    other = Section("two", "Another", lambda _: None, SECTION.figures)
    both = results.with_section(results.with_section(EMPTY, other, MEASURED, RUN), SECTION, MEASURED, RUN)
    assert list(both["sections"]) == ["two", "one"]
    ordered = results.in_order(both, [SECTION, other])
    assert list(ordered["sections"]) == ["one", "two"]
    assert list(results.in_order(both, [other])["sections"]) == ["two"]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    assert results.read(path) == EMPTY
    content = results.with_section(EMPTY, SECTION, MEASURED, RUN)
    results.write(content, path)
    assert results.read(path) == content
    value = results.values(results.read(path))["one.rate"]
    assert (value.value, value.figure.direction) == (231.25, Better.HIGHER)


def test_the_description_of_the_machine_names_neither_the_machine_nor_a_path() -> None:
    described = json.dumps(results.machine())
    assert platform.node() not in described
    assert not re.search(r"/(home|root|work|tmp)\b", described)
    assert set(results.machine()) == {"cores", "cpu", "system", "python"}
