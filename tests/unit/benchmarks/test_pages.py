"""The figures in README.md and docs/: inserted from what was measured, and none without a marker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import pages, plot, results
from benchmarks.campaign import ROWS, campaign_figures
from benchmarks.registry import SECTIONS
from benchmarks.sections.growth import OPERATIONS
from tests.chaos.record import Record

NOT_MEASURED = {
    "benchmarks.md": ["more than 15 % worse", "200 ms |", "2 s |"],
    "collection.md": [
        "at least 80 % of its rate",
        "More than 20 MB",
        "The first 2 KB",
        "at most 20 ms",
        "at least 99 %",
    ],
    "firestore.md": ["each 400 KB of packed data"],
    "operations.md": ["after 15 s, 30 s and so"],
}
"""Numbers with an abbreviated unit that are settings, limits or conditions of a measurement."""

RULES = {"analytics.md", "data-dictionary.md"}
"""Pages that describe the rules of Toastmasters International, which contain percentages."""

NOT_MEASURED_GUARANTEES = [
    "100 concurrent requests",
    "60 seconds",
    "99th percentile",
    "1,705 of 1,705 clubs",  # asserted by tests/unit/test_official_figures.py
]

PAGES = pages.pages()


def content(path: Path) -> str:
    text = path.read_text()
    for phrase in NOT_MEASURED.get(path.name, []):
        text = text.replace(phrase, "")
    return text


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_shows_the_present_figures(path: Path) -> None:
    """`make bench` and `make chaos` insert them; `python -m benchmarks.pages` does it alone."""
    assert pages.inserted(path.read_text(), pages.figures()) == path.read_text()


@pytest.mark.parametrize("path", [path for path in PAGES if path.name not in RULES], ids=lambda path: path.name)
def test_a_measured_figure_has_a_marker(path: Path) -> None:
    """Write settings and limits with words, such as 15 seconds, or add them to NOT_MEASURED."""
    assert list(pages.unmarked(content(path))) == []


def test_every_number_of_the_guarantees_is_measured() -> None:
    guarantees = (results.ROOT / "README.md").read_text().partition("## Guarantees")[2].partition("\n## ")[0]
    for phrase in NOT_MEASURED_GUARANTEES:
        assert phrase in guarantees
        guarantees = guarantees.replace(phrase, "")
    assert re.findall(r"\d[\d,.]*", pages.without_markers(guarantees)) == []


def test_exceptions_that_no_page_contains_any_more_are_removed() -> None:
    for name, phrases in NOT_MEASURED.items():
        text = (results.ROOT / "docs" / name).read_text()
        assert [phrase for phrase in phrases if phrase not in text] == []


def test_the_present_text_replaces_that_between_the_markers() -> None:
    page = "| resume | <!-- figure: resume.seconds -->9 s<!-- /figure --> | <!-- figure: a.b --><!-- /figure --> |"
    assert pages.inserted(page, {"resume.seconds": "2.71 s", "a.b": "1"}) == (
        "| resume | <!-- figure: resume.seconds -->2.71 s<!-- /figure --> | <!-- figure: a.b -->1<!-- /figure --> |"
    )


def test_a_figure_that_nothing_measures_is_refused() -> None:
    with pytest.raises(KeyError, match=r"Nothing measures the figure 'resume\.speed'"):
        pages.inserted("<!-- figure: resume.speed -->1<!-- /figure -->", {})


@pytest.mark.parametrize(
    "line",
    [
        "A resume takes 3.4 s.",
        "It needs 77 MB of memory.",
        "The share is 96 %.",
        "It collects 220 items/s.",
        "A poll has 290 bytes.",
        "| writes | 0.09 an item |",
        "It is 1.1 times as fast.",
        "It was 0.35ms.",
    ],
)
def test_a_number_with_an_abbreviated_unit_needs_a_marker(line: str) -> None:
    assert list(pages.unmarked(f"{line}\n")) == [line]


@pytest.mark.parametrize(
    "line",
    [
        "A lease lasts 15 seconds.",
        "Version 1.2 of Python 3.11",
        "It takes <!-- figure: resume.seconds -->3.4 s<!-- /figure -->.",
        "`sleep 3 s`",
        "    curl --max-time 5 s",
        "See [a page](page.md#5-s).",
    ],
)
def test_settings_code_links_and_marked_figures_need_no_marker(line: str) -> None:
    assert list(pages.unmarked(f"\n\n{line}\n")) == []


def test_a_cell_in_a_column_of_measured_figures_needs_a_marker() -> None:
    marked = "<!-- figure: a.b -->2<!-- /figure -->"
    page = f"| what | SQLite: measured |\n| --- | --- |\n| of 130 districts | 285 |\n| reads | {marked} |\n"
    assert list(pages.unmarked(page)) == ["| of 130 districts | 285 |"]


def test_the_figures_of_a_campaign_are_read_from_its_report() -> None:
    report = (
        "<!-- chaos: written by `make chaos` -->\n\n`make chaos SEED=7 MINUTES=5 SITES=3` on 2026-11-29\n\n"
        "| count | |\n| --- | --- |\n"
        "| jobs, items, requests | 101, 5,738, 10,998 |\n"
        "| resume after kill -9: median, maximum | 14.7 s, 16.0 s of 138 |\n"
        "| 100 concurrent starts, one job each time | 15 times |\n<!-- /chaos -->\n| kills | 5 |\n"
    )
    assert campaign_figures(report) == {
        "command": "`make chaos SEED=7 MINUTES=5 SITES=3`",
        "jobs": "101",
        "items": "5,738",
        "requests": "10,998",
        "resume-after-kill": "14.7 s",
        "resume-after-kill-worst": "16.0 s",
        "takeovers": "138",
        "concurrent-starts": "15",
    }
    assert campaign_figures("A page without a report.") == {}


def test_a_campaign_writes_the_rows_that_the_figures_are_read_from() -> None:
    record = Record(after_cancel=[0.1], concurrent_starts=1)
    assert set(ROWS) <= {name for name, _ in record.lines()}


def test_the_page_of_the_benchmarks_states_the_growth_that_is_checked() -> None:
    page = (results.ROOT / "docs" / "benchmarks.md").read_text()
    for operation in OPERATIONS:
        (row,) = re.findall(rf"^.*figure: growth-million\.{operation.name}-time .*$", page, re.MULTILINE)
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert (cells[2], cells[4]) == (operation.time, operation.memory)


def test_the_page_of_the_benchmarks_names_the_sections_outside_of_a_full_run() -> None:
    text = " ".join((results.ROOT / "docs" / "benchmarks.md").read_text().split())
    named = re.search(r"run only by their name: (.*?)\. ?-", text)
    assert named is not None
    outside = {section.name for section in SECTIONS if not section.is_in_full_run}
    assert set(re.findall(r"`([\w-]+)`", named[1])) == outside


def test_the_picture_of_the_growth_shows_the_stored_points() -> None:
    sections = results.read()["sections"]
    assert plot.PICTURE.read_text() == plot.svg(sections["growth-million"]["series"])
