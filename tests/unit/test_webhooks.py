"""Delivery of webhook events: content, signature, retries, and the dispatcher thread."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from backfill.domain import Job, WebhookEvent, WebhookEvents, WebhookEventType, hold_event
from backfill.errors import CorruptRecord
from backfill.serializers.jobs import ListedJobSerializer
from backfill.webhooks import WebhookDispatcher, key_of, sender, signature
from backfill.webhooks import dispatcher as dispatcher_module
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import NOW, a_job, a_running_job
from tests.unit.virtual_clock import VirtualClock
from tests.webhook_receiver import SECRET, Receiver

clock = VirtualClock.at()


@pytest.fixture(autouse=True)
def virtual_time() -> None:
    """Gives each test its own clock."""
    global clock  # noqa: PLW0603 - functions of this module read it
    clock = VirtualClock.at()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().serving() as receiver:
        yield receiver


class WebhookScenario:
    """A store and a dispatcher that delivers its events."""

    def __init__(self, receiver: Receiver) -> None:
        self.storage, self.clock = MemoryStorage(), clock
        self.dispatcher = self.new_dispatcher(receiver)

    def new_dispatcher(self, receiver: Receiver) -> WebhookDispatcher:
        return WebhookDispatcher(self.storage, receiver.url, key_of(SECRET), clock=self.clock)

    def ended(self) -> Job:
        job = self.storage.jobs.put_in(a_job())
        return self.storage.jobs.update(job.id, lambda job: job.cancel_requested(self.clock.now())).after

    def event(self, job: Job) -> WebhookEvent:
        event = self.storage.jobs.rows[job.id].webhook_events.ended
        assert event is not None
        return event


@pytest.fixture
def scenario(receiver: Receiver) -> WebhookScenario:
    return WebhookScenario(receiver)


# Content and signature.


def test_a_message_is_signed_by_the_standard_webhooks_specification() -> None:
    """Uses the example of the Standard Webhooks libraries."""
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_is_used_as_text_or_decoded_from_base64() -> None:
    assert key_of("whsec_YWJj") == key_of("abc") == b"abc"
    for secret, message in (
        ("", "is empty"),
        ("whsec_", "is empty"),
        ("whsec_a b", "not valid base64"),
        ("whsec_ä", "not valid base64"),
    ):
        with pytest.raises(ValueError, match=message):
            key_of(secret)


def test_the_end_of_a_job_is_delivered_with_its_json(receiver: Receiver, scenario: WebhookScenario) -> None:
    job = scenario.ended()
    scenario.dispatcher.deliver_due()
    (delivery,) = receiver.deliveries
    ended = job.webhook_events.ended
    assert ended is not None
    assert delivery.message_id == delivery.shape["deliveryId"] == str(ended.id_for(job.id))
    assert delivery.timestamp == int(NOW.timestamp())
    assert delivery.signature == signature(key_of(SECRET), delivery.message_id, delivery.timestamp, delivery.body)
    content = delivery.shape
    assert (content["event"], content["occurredAt"]) == ("job.ended", NOW.isoformat().replace("+00:00", "Z"))
    assert content["message"] == ended.sentence
    assert content["job"] == ListedJobSerializer.render(job)
    assert content["job"]["status"] == "cancelled"


def test_a_hold_is_delivered_with_its_reason(receiver: Receiver, scenario: WebhookScenario) -> None:
    event = WebhookEvent(event=WebhookEventType.HELD, at=NOW, sentence="The dashboard answered 503.", due_at=NOW)
    scenario.storage.jobs.put_in(a_running_job(webhook_events=WebhookEvents(held=event, held_since=NOW)))
    scenario.dispatcher.deliver_due()
    (delivery,) = receiver.deliveries
    assert (delivery.shape["event"], delivery.shape["message"]) == ("job.held", "The dashboard answered 503.")
    assert delivery.shape["job"]["status"] == "running"


# Exactly one delivery.


def test_an_accepted_event_is_not_sent_again(receiver: Receiver, scenario: WebhookScenario) -> None:
    job = scenario.ended()
    for _ in range(3):
        scenario.dispatcher.deliver_due()
        scenario.clock.sleep(3600)
    assert len(receiver.deliveries) == 1
    assert (scenario.event(job).due_at, scenario.event(job).attempts) == (None, 1)


def test_only_one_of_several_dispatchers_delivers_an_event(receiver: Receiver, scenario: WebhookScenario) -> None:
    job = scenario.ended()
    event = scenario.event(job)
    dispatchers = [scenario.new_dispatcher(receiver) for _ in range(4)]
    for dispatcher in dispatchers:
        dispatcher._deliver(job.id, event)  # each dispatcher has read the event before any of them claimed it
    assert len(receiver.deliveries) == 1


def test_the_event_of_a_job_that_was_deleted_meanwhile_is_not_sent(
    receiver: Receiver, scenario: WebhookScenario
) -> None:
    job = scenario.ended()
    event = scenario.event(job)
    scenario.storage.jobs.delete_finished(NOW + timedelta(seconds=1))
    scenario.dispatcher._deliver(job.id, event)
    assert receiver.deliveries == []


# Errors and retries.


@pytest.mark.parametrize("status", [500, 404, 302])
def test_a_refused_delivery_is_retried_with_the_same_id(
    receiver: Receiver, scenario: WebhookScenario, status: int
) -> None:
    job = scenario.ended()
    receiver.status = status
    scenario.dispatcher.deliver_due()
    scenario.dispatcher.deliver_due()  # not due again yet
    assert len(receiver.deliveries) == 1
    scenario.clock.sleep(15)
    receiver.status = 200
    scenario.dispatcher.deliver_due()
    assert len({delivery.message_id for delivery in receiver.deliveries}) == 1
    assert (len(receiver.deliveries), scenario.event(job).due_at) == (2, None)


def test_a_receiver_that_responds_with_410_receives_no_further_attempt(
    receiver: Receiver, scenario: WebhookScenario
) -> None:
    job = scenario.ended()
    receiver.status = 410
    scenario.dispatcher.deliver_due()
    assert scenario.event(job).due_at is None


def test_an_unreachable_receiver_is_logged_without_its_address_and_retried(
    scenario: WebhookScenario, caplog: pytest.LogCaptureFixture
) -> None:
    job = scenario.ended()
    dispatcher = WebhookDispatcher(
        scenario.storage, "http://127.0.0.1:9/?key=of-ours", key_of(SECRET), clock=scenario.clock
    )
    with caplog.at_level(logging.WARNING):
        dispatcher.deliver_due()
    assert caplog.messages == [f"Job {job.id}: job.ended was not delivered: Connection refused."]
    assert scenario.event(job).due_at == NOW + timedelta(seconds=15)


def test_a_receiver_without_a_response_times_out_and_is_retried(
    receiver: Receiver, scenario: WebhookScenario, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sender, "_TIMEOUTS", (0.2, 0.2))
    job = scenario.ended()
    receiver.hangs.set()
    scenario.dispatcher.deliver_due()
    assert scenario.event(job).attempts == 1
    assert caplog.messages == [f"Job {job.id}: job.ended was not delivered: no response in time."]
    receiver.hangs.clear()
    scenario.clock.sleep(15)
    scenario.dispatcher.deliver_due()
    assert scenario.event(job).due_at is None


@pytest.mark.parametrize("sent", [b"HTTP/1.1 204 O", b"HTTP/1.1 204 No Content\r\nX: a"])
def test_a_receiver_that_responds_slowly_is_given_up_at_the_deadline(
    scenario: WebhookScenario, sent: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sender, "_DEADLINE", 0.3)
    job = scenario.ended()

    def respond() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(sent)
            while True:
                time.sleep(0.1)
                connection.sendall(sent[-1:])

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=respond, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        began = time.monotonic()
        WebhookDispatcher(scenario.storage, url, key_of(SECRET), clock=scenario.clock).deliver_due()
    assert time.monotonic() - began < 5
    assert caplog.messages[-1:] == [f"Job {job.id}: job.ended was not delivered: no response in time."]
    assert scenario.event(job).attempts == 1


def test_a_delivery_is_given_up_after_a_day(
    receiver: Receiver, scenario: WebhookScenario, caplog: pytest.LogCaptureFixture
) -> None:
    attempted = scenario.ended()
    receiver.status = 500
    scenario.dispatcher.deliver_due()
    never_attempted = scenario.ended()  # for example because no receiver was configured
    scenario.clock.sleep(24 * 3600 + 1)
    scenario.dispatcher.deliver_due()
    assert len(receiver.deliveries) == 1
    assert scenario.event(attempted).due_at is scenario.event(never_attempted).due_at is None
    assert caplog.text.count("gave up") == 1


def test_an_attempt_of_a_killed_process_is_repeated(receiver: Receiver, scenario: WebhookScenario) -> None:
    """A killed process leaves only the claim of its attempt."""
    job = scenario.ended()
    scenario.storage.jobs.update(
        job.id, lambda job: job.with_webhook_events(scenario.event(job).attempted(scenario.clock.now()))
    )
    scenario.dispatcher.deliver_due()
    assert receiver.deliveries == []
    scenario.clock.sleep(15)
    scenario.dispatcher.deliver_due()
    assert len(receiver.deliveries) == 1


def test_an_unreadable_job_does_not_block_events_of_other_jobs(
    receiver: Receiver, scenario: WebhookScenario, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    damaged, sound = scenario.ended(), scenario.ended()
    read = scenario.storage.jobs.get

    def damaged_is_unreadable(job_id: UUID) -> Job | None:
        if job_id == damaged.id:
            raise CorruptRecord(f"Job {job_id} cannot be read.")
        return read(job_id)

    monkeypatch.setattr(scenario.storage.jobs, "get", damaged_is_unreadable)
    for _ in range(3):
        scenario.dispatcher.deliver_due()
    assert [delivery.shape["job"]["jobId"] for delivery in receiver.deliveries] == [str(sound.id)]
    assert caplog.text.count("cannot be read") == 1


def test_a_long_store_outage_is_reported_once_from_memory(receiver: Receiver, scenario: WebhookScenario) -> None:
    job = a_running_job()
    scenario.dispatcher.on_store_outage(job, hold_event("The job store does not answer.", NOW))
    scenario.dispatcher.deliver_unstored()
    assert receiver.deliveries == []
    scenario.clock.sleep(300)
    receiver.status = 503
    scenario.dispatcher.deliver_unstored()
    receiver.status = 200
    scenario.dispatcher.deliver_unstored()  # not due again yet
    scenario.clock.sleep(15)
    for _ in range(3):
        scenario.dispatcher.deliver_unstored()
    first, second = receiver.deliveries
    assert first.message_id == second.message_id
    assert (second.shape["event"], second.shape["message"]) == ("job.held", "The job store does not answer.")


def test_a_short_store_outage_is_not_reported(receiver: Receiver, scenario: WebhookScenario) -> None:
    job = a_running_job()
    scenario.dispatcher.on_store_outage(job, hold_event("The job store does not answer.", NOW))
    scenario.dispatcher.on_store_outage(job, None)
    scenario.clock.sleep(3600)
    scenario.dispatcher.deliver_unstored()
    assert receiver.deliveries == []


# The dispatcher thread.


def test_the_dispatcher_delivers_new_events_after_errors_and_a_store_outage(
    receiver: Receiver, scenario: WebhookScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher_module, "_POLL_SECONDS", 0.02)
    store = scenario.storage.store
    store.broken_by = RuntimeError("Nobody expects this.")
    scenario.dispatcher.start()
    assert clock.eventually(lambda: store.broken_by is None)
    polls: list[int] = []
    poll = scenario.storage.jobs.with_webhook_event_due

    def counted(now: datetime) -> list[UUID]:
        polls.append(1)
        return poll(now)

    monkeypatch.setattr(scenario.storage.jobs, "with_webhook_event_due", counted)
    store.is_down = True
    assert clock.eventually(lambda: len(polls) > 2)
    store.is_down = False
    job = scenario.ended()
    assert clock.eventually(lambda: scenario.event(job).due_at is None)
    scenario.dispatcher.stop()
    assert store.disconnects == 1


def test_a_stop_delivers_due_events_first(receiver: Receiver, scenario: WebhookScenario) -> None:
    scenario.dispatcher.start()
    job = scenario.ended()  # the next poll is only in five seconds
    scenario.dispatcher.stop()
    assert scenario.event(job).due_at is None
    assert len(receiver.deliveries) == 1
