"""The service under a path of its host: the setting SCRIPT_NAME."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import Http404
from pytest_django import Settings

from backfill.api.exceptions import error_spec
from backfill.domain import WebhookEvent, WebhookEventType
from backfill.errors import InvalidRequest
from backfill.serializers.errors import ErrorSerializer
from backfill.serializers.jobs import JobSerializer
from backfill.webhooks import message_body
from backfill_site.script_name import with_script_name, without_script_name
from tests.factories import NOW, JobFactory

PREFIX = "/backfill"


@pytest.fixture
def below(settings: Settings) -> None:
    settings.FORCE_SCRIPT_NAME = PREFIX


@pytest.mark.parametrize(
    ("path", "known", "public"),
    [
        ("/backfill/admin/backfill/", "/admin/backfill/", "/backfill/admin/backfill/"),
        ("/admin/backfill/", "/admin/backfill/", "/backfill/admin/backfill/"),
        ("/backfill", "", "/backfill"),
        ("/backfill/", "/", "/backfill/"),
        ("/", "/", "/backfill/"),
        ("/backfills/healthz", "/backfills/healthz", "/backfill/backfills/healthz"),
        ("/backfill/backfill/healthz", "/backfill/healthz", "/backfill/backfill/healthz"),
    ],
)
def test_the_prefix_is_removed_once_if_the_proxy_has_kept_it(path: str, known: str, public: str) -> None:
    assert without_script_name(path, PREFIX) == known
    assert with_script_name(path, PREFIX) == public


def test_the_links_of_a_job_contain_the_prefix(below: None) -> None:
    links = JobSerializer.render(JobFactory.build())["links"]
    paths = [links["self"], links["items"], links["cancel"], links["again"]["path"]]
    assert all(path.startswith("/backfill/api/admin/backfill") for path in paths)


def test_a_webhook_message_contains_the_prefix(below: None) -> None:
    """It is made in a thread of the worker, not in a request."""
    job = JobFactory.build()
    event = WebhookEvent(event=WebhookEventType.ENDED, at=NOW, sentence="It ended.", due_at=NOW)
    body: dict[str, Any] = json.loads(message_body(job, event))
    assert body["job"]["links"]["self"] == f"/backfill/api/admin/backfill/{job.id}"


def test_an_error_names_paths_with_the_prefix(below: None) -> None:
    job = JobFactory.build()
    conflict = job.conflict()
    body = ErrorSerializer.render(error_spec(conflict).error_for(conflict))
    assert body["error"]["details"]["path"] == f"/backfill/api/admin/backfill/{job.id}"
    invalid = InvalidRequest({"path": ["Remove it."]})
    body = ErrorSerializer.render(error_spec(invalid).error_for(invalid))
    assert body["error"]["details"] == {"path": ["Remove it."]}
    missing = error_spec(Http404()).error_for(path="/backfill/api/nothing")
    assert missing.message.startswith("There is nothing at /backfill/api/nothing. /backfill/api/docs lists")
