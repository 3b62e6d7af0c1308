"""The site of the documentation draws its diagrams, without requests to other servers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, expect

from backfill.domain import Status

ROOT = Path(__file__).resolve().parents[2]
OPEN_SHADOW_ROOTS = """
    const attachShadow = Element.prototype.attachShadow;
    Element.prototype.attachShadow = function () { return attachShadow.call(this, {mode: "open"}); };
"""
"""The theme puts a diagram into a closed shadow root, which a test cannot read."""


def test_the_site_draws_its_diagrams_and_loads_nothing_from_another_server(browser: Browser, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=300)
    context = browser.new_context()
    context.add_init_script(OPEN_SHADOW_ROOTS)
    requests: list[str] = []
    context.on("request", lambda request: requests.append(request.url))
    drawn: set[str] = set()
    for path in tmp_path.rglob("*.html"):
        diagrams = path.read_text().count('class="mermaid"')
        if diagrams:
            page = context.new_page()
            page.goto(path.as_uri())
            pictures = page.locator("div.mermaid svg")
            expect(pictures).to_have_count(diagrams)
            drawn |= set(pictures.locator(".nodeLabel").all_inner_texts())
            assert page.locator("pre.mermaid").count() == 0, path.name
    context.close()
    assert {str(status) for status in Status} <= drawn
    assert [url for url in requests if not url.startswith(("file:", "blob:", "data:"))] == []
