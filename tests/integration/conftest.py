"""A service with a fake job type in the test's database, and clients of its API."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from accounts.models import ApiToken
from backfill.service.commands import BackfillService
from backfill.storage import open_storage
from tests.integration.admin_pages import OperatorFor
from tests.integration.checked_client import CheckedClient
from tests.integration.fake_job_type import FakeHandler, fake_service

ClientFor = Callable[..., CheckedClient]


@pytest.fixture
def served(db: None, monkeypatch: pytest.MonkeyPatch) -> BackfillService:
    """Return the service that the API calls."""
    service = fake_service(open_storage("orm"), FakeHandler())
    monkeypatch.setattr("backfill.bootstrap.backfill_service", lambda: service)
    return service


@pytest.fixture
def client_for(served: BackfillService) -> ClientFor:
    """Return a function that creates an API client for a new operator with the given permissions."""

    def make(*permissions: str) -> CheckedClient:
        user = User.objects.create_user(f"operator{User.objects.count()}")
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        assert user.user_permissions.count() == len(permissions)
        return _signed_in(user)

    return make


@pytest.fixture
def api(served: BackfillService) -> CheckedClient:
    """Return an API client with all permissions."""
    return _signed_in(User.objects.create_superuser("alice"))


def _signed_in(user: User) -> CheckedClient:
    client = CheckedClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {ApiToken.objects.issue(user)[1]}")
    return client


@pytest.fixture
def operator_for(served: BackfillService) -> OperatorFor:
    """Return a function that creates an admin client for a new operator with the given permissions."""

    def make(*permissions: str) -> Client:
        user = User.objects.create_user(f"staff{User.objects.count()}", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def operator(operator_for: OperatorFor) -> Client:
    """Return an admin client that may only view."""
    return operator_for("view_backfilljob")
