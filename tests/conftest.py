"""Fixtures for all tests: an empty storage of each adapter."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest
from hypothesis import settings
from pytest_django import DjangoDbBlocker

from backfill.storage import Storage
from tests import shared
from tests.contract.backends import BACKENDS, Backend, BackendMissing
from tests.run import FOLDERS, PACED_AT_ONCE, ROOT

settings.register_profile("backfill", deadline=None)  # a shared machine may be slow
settings.load_profile("backfill")


def pytest_configure() -> None:
    """The first process of a run owns the folder that all of them share."""
    shared.folder()
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        # A shell ignores the first two for commands in the background, and nohup the third.
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse markers where tests.run does not look for them: the test would not run at all."""
    for item in items:
        for name, folders in FOLDERS.items():
            if item.get_closest_marker(name) and not item.path.relative_to(ROOT).as_posix().startswith(folders):
                raise pytest.UsageError(f"{item.nodeid}: the marker {name!r} may be used in {', '.join(folders)} only.")


def pytest_collection_finish() -> None:
    gc.freeze()  # otherwise each full collection during a test looks at all modules and all collected tests


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail tests that measure where too many others run at the same time."""
    workers = getattr(item.config, "workerinput", {"workercount": 1})["workercount"]
    for marker, at_once in (("paced", PACED_AT_ONCE), ("alone", 1)):
        if item.get_closest_marker(marker) and workers > at_once:
            pytest.fail(
                f"This test measures a pace or provokes races, so no more than {at_once} may run at a time: use "
                f"`make test`, `pytest -n 0 -m {marker}`, or leave it out by `-m 'not {marker}'`.",
                pytrace=False,
            )


@pytest.fixture(scope="session")
def open_backend(
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Callable[[str], Backend]]:
    """Return one store of each adapter, which stays open for the whole session."""
    with ExitStack() as stack:

        @cache
        def opened(name: str) -> Backend:
            backend = stack.enter_context(BACKENDS[name](tmp_path_factory.mktemp(name)))
            with django_db_blocker.unblock(), backend.opened():
                backend.prepare()
            return backend

        yield opened


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, open_backend: Callable[[str], Backend]) -> Backend:
    """One store of each adapter; `storage` empties it for each test."""
    try:
        return open_backend(request.param)
    except BackendMissing as exc:
        if os.environ.get("CI") == "true":
            pytest.fail(str(exc))
        pytest.skip(str(exc))


@pytest.fixture
def storage(backend: Backend, django_db_blocker: DjangoDbBlocker) -> Iterator[Storage]:
    """An empty storage of each adapter."""
    with django_db_blocker.unblock(), backend.opened() as storage:
        backend.clear()
        yield storage
