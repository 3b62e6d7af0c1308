"""Sign-in with passwords and tokens: limits for failures, their reports, and the addresses by which they count."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client, RequestFactory, override_settings
from django.utils import timezone

from accounts.client_address import UNKNOWN, client_address
from accounts.lockout import ADDRESS_LIMIT, COOL_OFF, TOKEN_LIMIT
from accounts.models import ApiToken
from backfill.errors import StorageUnavailable
from backfill.service.commands import BackfillService
from tests.integration.checked_client import CheckedClient

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("served")]

JOBS = "/api/admin/backfill/jobs"
LIMIT: int = settings.AXES_FAILURE_LIMIT


@pytest.fixture
def alice() -> User:
    return User.objects.create_superuser("alice", password="right")


def sign_in(name: str, password: str, **meta: str) -> Any:
    return Client(**meta).post("/admin/login/", {"username": name, "password": password})  # type: ignore[arg-type]


def with_token(key: str, **meta: Any) -> Any:
    return CheckedClient().get(JOBS, headers={"Authorization": f"Token {key}"}, **meta)


def actions(service: BackfillService) -> list[tuple[str, str, str, object]]:
    entries = service.audit(None, limit=100, offset=0).rows
    return [(e.action, e.actor.operator, e.actor.channel, e.changes.get("address", (None, None))[1]) for e in entries]


def test_a_name_is_locked_for_an_address_after_repeated_wrong_passwords(alice: User) -> None:
    answers = [sign_in("alice", f"wrong {number}").status_code for number in range(LIMIT)]
    assert answers == [200] * (LIMIT - 1) + [429]
    locked = sign_in("alice", "right")
    assert locked.status_code == 429
    assert locked["Retry-After"] == "900"
    assert "Too many failed sign-ins" in locked.content.decode()
    assert "default-src 'none'" in locked["Content-Security-Policy"]


def test_a_lock_holds_neither_for_other_addresses_nor_for_other_names(alice: User) -> None:
    User.objects.create_superuser("bob", password="right")
    for number in range(LIMIT + 1):
        sign_in("alice", f"wrong {number}")
    assert sign_in("alice", "right", REMOTE_ADDR="198.51.100.7").status_code == 302
    assert sign_in("bob", "right").status_code == 302


def test_a_lock_ends_after_the_cool_off_although_the_attack_continued(alice: User) -> None:
    for number in range(LIMIT):
        sign_in("alice", f"wrong {number}")
    AccessAttempt.objects.update(attempt_time=timezone.now() - COOL_OFF + timedelta(seconds=5))
    assert sign_in("alice", "wrong").status_code == 429
    AccessAttempt.objects.update(attempt_time=timezone.now() - COOL_OFF - timedelta(seconds=1))
    assert sign_in("alice", "right").status_code == 302


def test_a_successful_sign_in_forgets_the_failures_before_it(alice: User) -> None:
    for _ in range(3):
        for number in range(LIMIT - 1):
            sign_in("alice", f"wrong {number}")
        assert sign_in("alice", "right").status_code == 302


def test_an_address_that_tries_many_names_is_locked(alice: User) -> None:
    answers = [sign_in(f"name{number}", "wrong").status_code for number in range(ADDRESS_LIMIT)]
    assert set(answers[:-1]) == {200}
    assert sign_in("alice", "right").status_code == 429
    assert sign_in("alice", "right", REMOTE_ADDR="198.51.100.7").status_code == 302


@pytest.mark.parametrize("name", ["x" * 5000, "a\r\nb", "\x1b[31m", "%s%n{0}", "' OR 1=1 --", "\u202egnp"])
def test_unusual_names_are_counted_as_any_other(name: str) -> None:
    assert {sign_in(name, "wrong").status_code for _ in range(LIMIT + 1)} <= {200, 429}
    assert all(len(row.username) <= 255 for row in AccessAttempt.objects.all())


def test_failures_are_logged_and_audited_with_the_address(
    alice: User, served: BackfillService, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("backfill"), "propagate", True)
    sign_in("alice", "wrong", REMOTE_ADDR="203.0.113.9")
    assert "Sign-in of alice from 203.0.113.9 failed (1 in a row)." in caplog.messages
    assert actions(served) == [("sign-in-failed", "alice", "admin", "203.0.113.9")]


def test_the_lock_is_audited_once(alice: User, served: BackfillService) -> None:
    for number in range(LIMIT + 5):
        sign_in("alice", f"wrong {number}")
    assert [action for action, *_ in actions(served)] == ["sign-in-locked", *["sign-in-failed"] * LIMIT]


def test_a_typed_name_that_no_user_has_is_not_reported(
    served: BackfillService, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a password."""
    monkeypatch.setattr(logging.getLogger("backfill"), "propagate", True)
    sign_in("correct horse battery", "alice")
    assert actions(served)[0][1] == "unknown"
    assert "correct horse" not in caplog.text


def test_a_sign_in_works_while_the_job_store_does_not_respond(
    alice: User, served: BackfillService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StorageUnavailable("The job store does not respond.")

    monkeypatch.setattr(BackfillService, "record_account_action", fail)
    assert sign_in("alice", "wrong").status_code == 200
    assert with_token("0" * 40).status_code == 401
    assert sign_in("alice", "right").status_code == 302


def test_unknown_tokens_are_throttled_and_valid_ones_go_on_working(alice: User, served: BackfillService) -> None:
    _, key = ApiToken.objects.issue(alice)
    answers = [with_token(f"{number:040x}").status_code for number in range(TOKEN_LIMIT + 2)]
    assert answers == [401] * TOKEN_LIMIT + [429] * 2
    refused = with_token("1" * 40)
    assert refused.json()["error"]["code"] == "TOO_MANY_REQUESTS"
    assert 0 < int(refused["Retry-After"]) <= 900
    assert with_token(key).status_code == 200
    assert with_token("1" * 40, REMOTE_ADDR="198.51.100.7").status_code == 401
    assert [action for action, *_ in actions(served)] == ["sign-in-failed", "sign-in-locked", "sign-in-failed"]


def test_failures_with_tokens_do_not_lock_passwords(alice: User) -> None:
    for number in range(TOKEN_LIMIT + 2):
        with_token(f"{number:040x}")
    AccessAttempt.objects.update(failures_since_start=ADDRESS_LIMIT)
    assert sign_in("alice", "right").status_code == 302


def test_the_count_of_token_failures_starts_again_after_the_cool_off() -> None:
    for number in range(TOKEN_LIMIT + 1):
        with_token(f"{number:040x}")
    AccessAttempt.objects.update(attempt_time=timezone.now() - COOL_OFF - timedelta(seconds=1))
    assert with_token("0" * 40).status_code == 401
    assert AccessAttempt.objects.get().failures_since_start == 1


def test_an_expired_token_and_one_of_an_inactive_user_are_refused(alice: User) -> None:
    _, key = ApiToken.objects.issue(alice, expires_at=timezone.now() + timedelta(seconds=30))
    assert with_token(key).status_code == 200
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "has expired" in with_token(key).json()["error"]["message"]
    ApiToken.objects.update(expires_at=None)
    User.objects.update(is_active=False)
    assert with_token(key).status_code == 401


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "", "192.0.2.1"),
        (0, "203.0.113.5", "192.0.2.1"),
        (1, "203.0.113.5", "203.0.113.5"),
        (1, "6.6.6.6, 203.0.113.5", "203.0.113.5"),
        (2, "6.6.6.6, 203.0.113.5, 10.0.0.1", "203.0.113.5"),
        (2, "203.0.113.5", "192.0.2.1"),
        (1, "'; drop table", "192.0.2.1"),
        (1, "203.0.113.5, ", "203.0.113.5"),
        (1, "::ffff:203.0.113.5", "203.0.113.5"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        (1, "fe80::1%eth0", "fe80::"),
    ],
)
def test_the_client_address_is_the_one_that_the_trusted_proxies_saw(
    proxies: int, forwarded: str, expected: str
) -> None:
    request = RequestFactory(REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR=forwarded).get("/")
    with override_settings(BACKFILL_PROXIES=proxies):
        assert client_address(request) == expected


def test_clients_on_a_unix_socket_count_together(alice: User) -> None:
    assert client_address(RequestFactory(REMOTE_ADDR="").get("/")) == UNKNOWN
    answers = [sign_in("alice", "wrong", REMOTE_ADDR="").status_code for _ in range(LIMIT)]
    assert answers[-1] == 429
    assert {with_token("0" * 40, REMOTE_ADDR="").status_code for _ in range(TOKEN_LIMIT + 1)} == {401, 429}
