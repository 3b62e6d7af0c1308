"""What is sent to a receiver, how it is signed, and what becomes of it where the receiver is in trouble."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from backfill import webhooks
from backfill.domain import Job, WebhookEvent, WebhookEvents, WebhookEventType, hold_event
from backfill.errors import CorruptRecord
from backfill.serializers.jobs import ListedJobSerializer
from backfill.webhooks import WebhookDispatcher, key_of, signature
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import NOW, a_job, a_running_job
from tests.unit.virtual_clock import VirtualClock
from tests.webhook_receiver import SECRET, Receiver

clock = VirtualClock.at()


@pytest.fixture(autouse=True)
def virtual_time() -> None:
    """Each test begins with a clock of its own."""
    global clock  # noqa: PLW0603 - functions of this module ask it
    clock = VirtualClock.at()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().serving() as receiver:
        yield receiver


class Post:
    """A store with a dispatcher over it."""

    def __init__(self, receiver: Receiver) -> None:
        self.storage, self.clock = MemoryStorage(), clock
        self.dispatcher = self.another(receiver)

    def another(self, receiver: Receiver) -> WebhookDispatcher:
        return WebhookDispatcher(self.storage, receiver.url, key_of(SECRET), clock=self.clock)

    def ended(self) -> Job:
        job = self.storage.jobs.put_in(a_job())
        return self.storage.jobs.update(job.id, lambda job: job.cancel_requested(self.clock.now())).after

    def event(self, job: Job) -> WebhookEvent:
        event = self.storage.jobs.rows[job.id].webhook_events.ended
        assert event is not None
        return event


@pytest.fixture
def post(receiver: Receiver) -> Post:
    return Post(receiver)


# What is sent.


def test_a_message_is_signed_as_the_standard_has_it() -> None:
    """The example of the Standard Webhooks libraries."""
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_is_taken_as_it_is_written_or_as_base64() -> None:
    assert key_of("whsec_YWJj") == key_of("abc") == b"abc"
    for secret, sentence in (
        ("", "is empty"),
        ("whsec_", "is empty"),
        ("whsec_a b", "not valid base64"),
        ("whsec_ä", "not valid base64"),
    ):
        with pytest.raises(ValueError, match=sentence):
            key_of(secret)


def test_the_end_of_a_job_is_told_with_its_shape(receiver: Receiver, post: Post) -> None:
    job = post.ended()
    post.dispatcher.deliver_due()
    (delivery,) = receiver.deliveries
    ended = job.webhook_events.ended
    assert ended is not None
    assert delivery.message_id == delivery.shape["deliveryId"] == str(ended.id_for(job.id))
    assert delivery.timestamp == int(NOW.timestamp())
    assert delivery.signature == signature(key_of(SECRET), delivery.message_id, delivery.timestamp, delivery.body)
    shape = delivery.shape
    assert (shape["event"], shape["occurredAt"]) == ("job.ended", NOW.isoformat().replace("+00:00", "Z"))
    assert shape["message"] == ended.sentence
    assert shape["job"] == ListedJobSerializer.render(job)
    assert shape["job"]["status"] == "cancelled"


def test_a_hold_is_told_with_its_reason(receiver: Receiver, post: Post) -> None:
    event = WebhookEvent(event=WebhookEventType.HELD, at=NOW, sentence="The dashboard answered 503.", due_at=NOW)
    post.storage.jobs.put_in(a_running_job(webhook_events=WebhookEvents(held=event, held_since=NOW)))
    post.dispatcher.deliver_due()
    (delivery,) = receiver.deliveries
    assert (delivery.shape["event"], delivery.shape["message"]) == ("job.held", "The dashboard answered 503.")
    assert delivery.shape["job"]["status"] == "running"


# Once, and not more.


def test_what_was_taken_is_not_sent_again(receiver: Receiver, post: Post) -> None:
    job = post.ended()
    for _ in range(3):
        post.dispatcher.deliver_due()
        post.clock.sleep(3600)
    assert len(receiver.deliveries) == 1
    assert (post.event(job).due_at, post.event(job).attempts) == (None, 1)


def test_only_one_of_several_dispatchers_delivers_an_event(receiver: Receiver, post: Post) -> None:
    job = post.ended()
    event = post.event(job)
    dispatchers = [post.another(receiver) for _ in range(4)]
    for dispatcher in dispatchers:
        dispatcher._deliver(job.id, event)  # as each does that has looked before any of them claimed it
    assert len(receiver.deliveries) == 1


def test_a_job_that_is_removed_meanwhile_is_not_told(receiver: Receiver, post: Post) -> None:
    job = post.ended()
    event = post.event(job)
    post.storage.jobs.delete_finished(NOW + timedelta(seconds=1))
    post.dispatcher._deliver(job.id, event)
    assert receiver.deliveries == []


# Trouble.


@pytest.mark.parametrize("status", [500, 404, 302])
def test_what_is_not_taken_is_tried_again_under_the_same_id(receiver: Receiver, post: Post, status: int) -> None:
    job = post.ended()
    receiver.status = status
    post.dispatcher.deliver_due()
    post.dispatcher.deliver_due()  # not due again yet
    assert len(receiver.deliveries) == 1
    post.clock.sleep(15)
    receiver.status = 200
    post.dispatcher.deliver_due()
    assert len({delivery.message_id for delivery in receiver.deliveries}) == 1
    assert (len(receiver.deliveries), post.event(job).due_at) == (2, None)


def test_a_receiver_that_is_gone_for_good_is_not_asked_again(receiver: Receiver, post: Post) -> None:
    job = post.ended()
    receiver.status = 410
    post.dispatcher.deliver_due()
    assert post.event(job).due_at is None


def test_a_receiver_that_is_not_there_costs_an_attempt_and_a_log_line_without_its_address(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    job = post.ended()
    nobody = WebhookDispatcher(post.storage, "http://127.0.0.1:9/?key=of-ours", key_of(SECRET), clock=post.clock)
    with caplog.at_level(logging.WARNING):
        nobody.deliver_due()
    assert caplog.messages == [f"Job {job.id}: job.ended was not delivered: Connection refused."]
    assert post.event(job).due_at == NOW + timedelta(seconds=15)


def test_a_receiver_that_does_not_answer_is_waited_for_and_then_tried_again(
    receiver: Receiver, post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(webhooks, "_TIMEOUTS", (0.2, 0.2))
    job = post.ended()
    receiver.hangs.set()
    post.dispatcher.deliver_due()
    assert post.event(job).attempts == 1
    assert caplog.messages == [f"Job {job.id}: job.ended was not delivered: no response in time."]
    receiver.hangs.clear()
    post.clock.sleep(15)
    post.dispatcher.deliver_due()
    assert post.event(job).due_at is None


def test_after_a_day_it_is_given_up(receiver: Receiver, post: Post, caplog: pytest.LogCaptureFixture) -> None:
    tried = post.ended()
    receiver.status = 500
    post.dispatcher.deliver_due()
    never_tried = post.ended()  # as where there was no receiver at the time
    post.clock.sleep(24 * 3600 + 1)
    post.dispatcher.deliver_due()
    assert len(receiver.deliveries) == 1
    assert post.event(tried).due_at is post.event(never_tried).due_at is None
    assert caplog.text.count("gave up") == 1


def test_an_attempt_that_was_killed_is_made_again(receiver: Receiver, post: Post) -> None:
    """The claim of an attempt is all that a killed process leaves."""
    job = post.ended()
    post.storage.jobs.update(job.id, lambda job: job.with_webhook_events(post.event(job).attempted(post.clock.now())))
    post.dispatcher.deliver_due()
    assert receiver.deliveries == []
    post.clock.sleep(15)
    post.dispatcher.deliver_due()
    assert len(receiver.deliveries) == 1


def test_a_job_that_cannot_be_read_is_in_no_other_ones_way(
    receiver: Receiver, post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    damaged, sound = post.ended(), post.ended()
    read = post.storage.jobs.get

    def damaged_is_unreadable(job_id: UUID) -> Job | None:
        if job_id == damaged.id:
            raise CorruptRecord(f"Job {job_id} cannot be read.")
        return read(job_id)

    monkeypatch.setattr(post.storage.jobs, "get", damaged_is_unreadable)
    for _ in range(3):
        post.dispatcher.deliver_due()
    assert [delivery.shape["job"]["jobId"] for delivery in receiver.deliveries] == [str(sound.id)]
    assert caplog.text.count("cannot be read") == 1


def test_a_store_that_stays_away_is_told_of_from_memory_once(receiver: Receiver, post: Post) -> None:
    job = a_running_job()
    post.dispatcher.on_store_outage(job, hold_event("The job store does not answer.", NOW))
    post.dispatcher.deliver_unstored()
    assert receiver.deliveries == []
    post.clock.sleep(300)
    receiver.status = 503
    post.dispatcher.deliver_unstored()
    receiver.status = 200
    post.dispatcher.deliver_unstored()  # not due again yet
    post.clock.sleep(15)
    for _ in range(3):
        post.dispatcher.deliver_unstored()
    first, second = receiver.deliveries
    assert first.message_id == second.message_id
    assert (second.shape["event"], second.shape["message"]) == ("job.held", "The job store does not answer.")


def test_a_store_that_is_back_in_time_is_not_told_of(receiver: Receiver, post: Post) -> None:
    job = a_running_job()
    post.dispatcher.on_store_outage(job, hold_event("The job store does not answer.", NOW))
    post.dispatcher.on_store_outage(job, None)
    post.clock.sleep(3600)
    post.dispatcher.deliver_unstored()
    assert receiver.deliveries == []


# Its thread.


def test_it_delivers_what_comes_and_survives_the_loss_of_the_store(
    receiver: Receiver, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "_POLL_SECONDS", 0.02)
    store = post.storage.store
    store.broken_by = RuntimeError("Nobody expects this.")
    post.dispatcher.start()
    assert clock.eventually(lambda: store.broken_by is None)
    looks: list[int] = []
    look = post.storage.jobs.with_webhook_event_due

    def counted(now: datetime) -> list[UUID]:
        looks.append(1)
        return look(now)

    monkeypatch.setattr(post.storage.jobs, "with_webhook_event_due", counted)
    store.is_down = True
    assert clock.eventually(lambda: len(looks) > 2)
    store.is_down = False
    job = post.ended()
    assert clock.eventually(lambda: post.event(job).due_at is None)
    post.dispatcher.stop()
    assert store.disconnects == 1


def test_a_stop_takes_a_last_look(receiver: Receiver, post: Post) -> None:
    post.dispatcher.start()
    job = post.ended()  # it looks again in five seconds only
    post.dispatcher.stop()
    assert post.event(job).due_at is None
    assert len(receiver.deliveries) == 1
