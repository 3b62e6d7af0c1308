"""What every test may ask for: a storage of each adapter, empty."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings
from pytest_django import DjangoDbBlocker

from backfill.storage import Storage
from tests.contract.backends import BACKENDS, Backend, BackendMissing

settings.register_profile("here", deadline=None)  # a shared machine may be slow for a moment
settings.load_profile("here")


@pytest.fixture(scope="session", params=BACKENDS)
def backend(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Backend]:
    """One store of each adapter for the whole session; `storage` empties it for each test."""
    folder = tmp_path_factory.mktemp(request.param)
    try:
        with BACKENDS[request.param](folder) as backend:
            with django_db_blocker.unblock(), backend.opened():
                backend.prepare()
            yield backend
    except BackendMissing as exc:
        if os.environ.get("CI") == "true":
            pytest.fail(str(exc))
        pytest.skip(str(exc))


@pytest.fixture
def storage(backend: Backend, django_db_blocker: DjangoDbBlocker) -> Iterator[Storage]:
    """Both ports over an empty store."""
    with django_db_blocker.unblock(), backend.opened() as storage:
        backend.clear()
        yield storage
