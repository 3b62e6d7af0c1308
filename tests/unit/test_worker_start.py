"""The processes that start a worker, and the time of the start."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from django.apps import apps
from pytest_django import Settings

from backfill import apps as backfill_apps
from backfill.engine import worker as worker_module
from tests.unit.fakes import eventually

Started = list[bool]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Started:
    """Returns a list that receives, for each start of a worker, whether all applications were ready."""
    starts = Started()
    settings.BACKFILL_WORKER = "auto"
    monkeypatch.delenv(backfill_apps.STARTS_AFTER_FORK, raising=False)
    monkeypatch.setattr(worker_module, "_process_worker", None)
    monkeypatch.setattr(backfill_apps, "_serves", False)
    monkeypatch.setattr("backfill.apps.signal.signal", lambda *_: None)
    worker = Mock(start=lambda: starts.append(apps.ready_event.is_set()))
    monkeypatch.setattr("backfill.bootstrap.new_worker", lambda _: worker)
    return starts


def ready() -> None:
    apps.get_app_config("backfill").ready()


def test_a_process_that_does_not_serve_requests_starts_no_worker(started: Started) -> None:
    ready()
    assert started == []


def test_a_serving_process_starts_its_worker_once_all_applications_are_ready(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before that, Django warns about database queries. `ready` makes none: the test has no access to a database."""
    are_ready = threading.Event()
    monkeypatch.setattr("django.apps.apps.ready", False)
    monkeypatch.setattr("django.apps.apps.ready_event", are_ready)
    backfill_apps.declare_serving()
    ready()
    assert started == []
    are_ready.set()
    assert eventually(lambda: started)
    assert started == [True]


def test_declare_serving_after_the_start_of_django_starts_the_worker_at_once(started: Started) -> None:
    """This is the case with runserver, which imports wsgi.py after `ready`."""
    backfill_apps.declare_serving()
    assert started == [True]


def test_backfill_worker_off_starts_no_worker(started: Started, settings: Settings) -> None:
    settings.BACKFILL_WORKER = "off"
    backfill_apps.declare_serving()
    backfill_apps.start_worker()
    assert started == []


def test_gunicorn_conf_starts_the_worker_only_after_the_fork(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(backfill_apps.STARTS_AFTER_FORK, "yes")
    backfill_apps.declare_serving()
    ready()
    assert started == []
    backfill_apps.start_worker()
    backfill_apps.start_worker()
    assert started == [True]


def uwsgi(monkeypatch: pytest.MonkeyPatch, *options: str, worker_id: int = 0) -> SimpleNamespace:
    """Replaces the module that uWSGI provides in its processes."""
    state = SimpleNamespace(id=worker_id)
    module = SimpleNamespace(opt=dict.fromkeys(options, True), worker_id=lambda: state.id, state=state)
    monkeypatch.setattr(backfill_apps, "_uwsgi", lambda: module)
    return module


def test_uwsgi_starts_the_worker_in_each_process_after_the_fork(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = uwsgi(monkeypatch, "enable-threads")
    other: list[str] = []
    module.post_fork_hook = lambda: other.append("hook")
    backfill_apps.declare_serving()
    hook: Callable[[], None] = module.post_fork_hook
    hook()  # in a mule, which has no worker id
    assert started == []
    module.state.id = 1
    hook()
    assert (started, other) == ([True], ["hook", "hook"])


def test_uwsgi_with_lazy_apps_starts_the_worker_at_once(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    uwsgi(monkeypatch, "threads", worker_id=2)
    backfill_apps.declare_serving()
    assert started == [True]


def test_uwsgi_without_threads_starts_no_worker_and_logs_what_to_do(
    started: Started, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module = uwsgi(monkeypatch)
    backfill_apps.declare_serving()
    assert started == []
    assert not hasattr(module, "post_fork_hook")
    assert "manage.py backfill work" in caplog.text
