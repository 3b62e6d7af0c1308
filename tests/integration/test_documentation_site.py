"""The documentation as a site: complete, without broken links, and without requests to other servers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site as `make lint-docs` does."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    environ = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False, env=environ)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    process = build(ROOT, site)
    assert process.returncode == 0, process.stdout + process.stderr
    return site


def test_the_site_is_built_without_a_warning(site: Path) -> None:
    assert (site / "index.html").is_file()
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} <= {page.stem for page in site.glob("*.html")}


def test_a_page_of_the_site_loads_nothing_from_another_server(site: Path) -> None:
    loaded = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=\"?((?:https?:)?//[^\s\">]+)")
    for page in site.rglob("*.html"):
        assert loaded.findall(page.read_text()) == [], page.name
    for style in site.rglob("*.css"):
        assert re.findall(r"url\(\"?(?:https?:)?//", style.read_text()) == [], style.name


def test_a_page_that_is_missing_from_the_navigation_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    (tmp_path / "docs" / "forgotten.md").write_text("# Forgotten\n")
    process = build(tmp_path, tmp_path / "site")
    assert process.returncode
    assert "forgotten.md" in process.stdout + process.stderr
