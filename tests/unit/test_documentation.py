"""The pages of the documentation: all are reachable, and links of the README lead to files of the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")), *(ROOT / "docs").glob("*.md")]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_SLUG = re.compile(r"[^\w\- ]")


def headings(page: Path) -> set[str]:
    """Return the anchors of the page's headings, as GitHub and the site build them."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    titles = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {_SLUG.sub("", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_is_part_of_the_navigation_of_the_site() -> None:
    """A missing page also fails `make lint-docs`: add it to `nav` in mkdocs.yml."""
    named = re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    docs = ROOT / "docs"
    assert sorted(named) == sorted(str(page.relative_to(docs)) for page in docs.rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_to_files_and_headings(page: Path) -> None:
    for target in _LINK.findall(re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.is_file(), target
        assert not anchor or anchor in headings(linked), target


@pytest.mark.parametrize("name", ["CHANGELOG.md", "CONTRIBUTING.md"])
def test_a_page_that_is_also_a_page_of_the_site_has_no_relative_links(name: str) -> None:
    """The site has a copy in another folder, so name the pages of the documentation without a link."""
    assert [target for target in _LINK.findall((ROOT / name).read_text()) if "://" not in target] == []
