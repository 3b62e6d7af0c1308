"""Fixtures for Chromium and a site that all tests share; each test starts without an active job."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.admin_site import Desk, chromium, launched


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of this folder can be selected by the marker `browser`."""
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        message = "Chromium is not installed: run apt-get install chromium or set BACKFILL_TEST_CHROMIUM."
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = launched(playwright, path)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def shared_desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with Desk.opened(browser, tmp_path_factory.mktemp("desk")) as desk:
        yield desk


@pytest.fixture
def desk(shared_desk: Desk) -> Iterator[Desk]:
    """A site without an active job. Fails if a page reported an error."""
    shared_desk.quiet()
    shared_desk.troubles.clear()
    yield shared_desk
    for context in shared_desk.browser.contexts:
        context.close()
    assert shared_desk.troubles == []
