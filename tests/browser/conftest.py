"""Fixtures for Chromium and a site that all tests share; each test starts without an active job."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.admin_site import AdminSite, chromium, launch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder with `browser`."""
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        message = (
            "Chromium is not installed: run apt-get install chromium-headless-shell or set BACKFILL_TEST_CHROMIUM."
        )
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = launch(playwright, path)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def shared_admin_site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminSite]:
    with AdminSite.opened(browser, tmp_path_factory.mktemp("admin")) as admin_site:
        yield admin_site


@pytest.fixture
def admin_site(shared_admin_site: AdminSite) -> Iterator[AdminSite]:
    """A site without an active job. Fails if a page reported an error."""
    shared_admin_site.reset()
    shared_admin_site.errors.clear()
    yield shared_admin_site
    for context in shared_admin_site.browser.contexts:
        context.close()
    assert shared_admin_site.errors == []
