"""API tokens: stored as digests, created, listed and revoked by their owners, and those of earlier versions."""

from __future__ import annotations

import io
import json
import re
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.signals import post_save
from django.test import Client
from django.utils import timezone
from rest_framework.authtoken.models import Token

from accounts.models import ApiToken
from accounts.signals import keep_only_the_digest
from accounts.tokens import revoke
from backfill.domain import Actor, Channel
from backfill.service.commands import BackfillService
from tests.integration.admin_pages import OperatorFor, is_free_of_inline_code
from tests.integration.checked_client import CheckedClient

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("served")]

PAGE = "/admin/api-tokens/"
KEY = re.compile(r'id="new-token-key">([0-9a-f]{40})<')


@pytest.fixture
def alice() -> User:
    return User.objects.create_superuser("alice")


def works(key: str) -> bool:
    response = CheckedClient().get("/api/admin/backfill/jobs", headers={"Authorization": f"Token {key}"})
    return response.status_code != 401


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_the_command_of_drf_prints_its_line_and_stores_no_key(alice: User) -> None:
    line = run("drf_create_token", "alice")
    match = re.fullmatch(r"Generated token ([0-9a-f]{40}) for user alice\n", line)
    assert match
    assert works(match[1])
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM accounts_apitoken")
        assert match[1] not in str(cursor.fetchall())
    assert not Token.objects.exists()


def test_a_second_token_leaves_the_first_one_valid_unless_it_is_a_reset(alice: User) -> None:
    first, second = (run("drf_create_token", "alice").split()[2] for _ in range(2))
    assert works(first)
    assert works(second)
    third = run("drf_create_token", "alice", "--reset").split()[2]
    assert [works(key) for key in (first, second, third)] == [False, False, True]


def test_the_command_sets_a_name_and_an_expiry(alice: User) -> None:
    run("drf_create_token", "alice", "--name", "cron", "--days", "30")
    token = ApiToken.objects.get()
    assert token.name == "cron"
    assert token.expires_at is not None
    assert timedelta(days=29) < token.expires_at - timezone.now() < timedelta(days=31)
    with pytest.raises(CommandError, match="days from 1 to"):
        run("drf_create_token", "alice", "--days", "0")
    with pytest.raises(CommandError, match="user bob does not exist"):
        run("drf_create_token", "bob")


def test_a_token_created_by_the_model_of_drf_works_and_is_stored_as_a_digest(alice: User) -> None:
    key = Token.objects.create(user=alice).key
    assert works(key)
    assert not Token.objects.exists()
    assert ApiToken.objects.count() == 1


def test_the_migration_keeps_tokens_of_the_previous_version_and_removes_their_keys(alice: User) -> None:
    post_save.disconnect(keep_only_the_digest, sender=Token)
    try:
        key = Token.objects.create(user=alice).key
    finally:
        post_save.connect(keep_only_the_digest, sender=Token)
    assert not works(key)
    migration = import_module("accounts.migrations.0002_hash_tokens")
    for _ in range(2):  # a migration that was interrupted is repeated
        migration.hash_tokens(apps, connection.schema_editor(atomic=False))
    assert works(key)
    assert not Token.objects.exists()
    assert ApiToken.objects.get().user == alice


def test_tokens_are_listed_and_revoked_on_the_command_line(alice: User, served: BackfillService) -> None:
    assert run("api_tokens", "list") == "There are no API tokens.\n"
    key = run("drf_create_token", "alice", "--name", "cron").split()[2]
    token = ApiToken.objects.get()
    assert run("api_tokens", "list", "--user", "alice").startswith(f"{token.pk}: alice, cron, created ")
    assert json.loads(run("api_tokens", "list", "--json"))[0]["expiresAt"] is None
    with pytest.raises(CommandError, match="There is no user 'bob'"):
        run("api_tokens", "list", "--user", "bob")
    with pytest.raises(CommandError, match="There is no token 999"):
        run("api_tokens", "revoke", str(token.pk), "999")
    assert works(key)
    assert run("api_tokens", "revoke", str(token.pk), "--operator", "carol") == f"Revoked: {token.pk}.\n"
    assert not works(key)
    entries = served.audit(None, limit=9, offset=0).rows
    assert [(entry.action, entry.changes["user"]) for entry in entries if "token" in entry.changes] == [
        ("token-revoked", ("alice", None)),
        ("token-created", (None, "alice")),
    ]


def test_the_page_shows_the_key_of_a_new_token_once(operator_for: OperatorFor) -> None:
    browser = operator_for()  # no permission of the section is needed
    assert "You have no tokens." in browser.get(PAGE).content.decode()
    created = browser.post(PAGE, {"name": "reports", "days": "30"})
    match = KEY.search(created.content.decode())
    assert match
    assert works(match[1])
    assert "no-store" in created["Cache-Control"]
    assert is_free_of_inline_code(created)
    later = browser.get(PAGE).content.decode()
    assert "reports" in later
    assert match[1] not in later


@pytest.mark.parametrize("number", ["0", "-1", "9" * 30])
def test_an_id_that_no_token_can_have_is_unknown(operator: Client, number: str) -> None:
    with pytest.raises(CommandError, match=r"There is no token|must be an id"):
        run("api_tokens", "revoke", "--", number)
    assert operator.post(f"{PAGE}{number}/revoke/").status_code == 404


def test_a_name_with_control_characters_is_listed_as_text(alice: User) -> None:
    ApiToken.objects.issue(alice, name="\x1b]0;owned\x07<script>\r\n\u202e")
    assert "\x1b" not in run("api_tokens", "list")
    browser = Client()
    browser.force_login(alice)
    assert "<script>\r" not in browser.get(PAGE).content.decode()


@pytest.mark.parametrize("form", [{}, {"name": "x" * 101}, {"name": "a", "days": "1000000"}, {"name": "a\x00"}])
def test_an_invalid_form_creates_no_token(operator: Client, form: dict[str, str]) -> None:
    assert operator.post(PAGE, form).status_code == 422
    assert not ApiToken.objects.exists()


def test_only_the_owner_sees_and_revokes_a_token(operator_for: OperatorFor, alice: User) -> None:
    token, key = ApiToken.objects.issue(alice, name="of alice")
    other, own = operator_for("view_backfilljob"), Client()
    own.force_login(alice)
    assert "of alice" not in other.get(PAGE).content.decode()
    assert other.post(f"{PAGE}{token.pk}/revoke/").status_code == 404
    assert works(key)
    assert own.get(f"{PAGE}{token.pk}/revoke/").status_code == 405
    assert own.post(f"{PAGE}{token.pk}/revoke/").status_code == 302
    assert not works(key)


def test_the_page_requires_a_sign_in() -> None:
    for path in (PAGE, f"{PAGE}1/revoke/"):
        assert Client().post(path, {"name": "x"}).status_code == 302
    assert not ApiToken.objects.exists()


def test_an_administrator_lists_and_revokes_tokens_of_others(alice: User) -> None:
    token, key = ApiToken.objects.issue(User.objects.create_user("bob"), name="cron")
    browser = Client()
    browser.force_login(alice)
    assert "cron" in browser.get("/admin/accounts/apitoken/").content.decode()
    assert browser.get("/admin/accounts/apitoken/add/").status_code == 403
    page = browser.get(f"/admin/accounts/apitoken/{token.pk}/change/").content.decode()
    assert token.digest not in page
    assert browser.post(f"/admin/accounts/apitoken/{token.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not works(key)


def test_a_token_is_deleted_with_its_user(alice: User) -> None:
    _, key = ApiToken.objects.issue(alice)
    alice.delete()
    assert not works(key)


@pytest.mark.parametrize("point", ["accounts.sign_in_log._audit", "django.db.models.Model.delete"])
def test_a_kill_during_a_revocation_leaves_both_or_neither_the_token_and_no_entry(
    alice: User, served: BackfillService, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """The transaction is rolled back by the database when the process dies; here by an exception."""

    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    token, key = ApiToken.objects.issue(alice)
    with monkeypatch.context() as patch:
        patch.setattr(point, kill)
        with pytest.raises(Killed):
            revoke(token, by=Actor("alice", Channel.ADMIN))
    assert works(key)
    assert served.audit(None, limit=9, offset=0).total == 0
    revoke(ApiToken.objects.get(), by=Actor("alice", Channel.ADMIN))
    assert not ApiToken.objects.exists()
    assert [entry.action for entry in served.audit(None, limit=9, offset=0).rows] == ["token-revoked"]
