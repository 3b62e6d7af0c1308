"""When the coverage target is reported to the webhook receiver, and how its events are delivered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, time, timedelta

import pytest

from backfill.domain import (
    CoverageRule,
    CoverageTarget,
    Findings,
    KeeperState,
    TargetSettings,
    WebhookEventType,
    with_target_event,
)
from backfill.domain.clock import Clock
from backfill.domain.runtime_config import RuntimeConfig
from backfill.domain.webhook_event import TARGET_ID
from backfill.service.commands import BackfillService
from backfill.webhooks.sender import WebhookSender, key_of, signature
from backfill.webhooks.target_delivery import TargetDelivery
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import NOW
from tests.unit.virtual_clock import VirtualClock
from tests.webhook_receiver import SECRET, Receiver

DAY = timedelta(days=1)
TARGET = CoverageTarget(
    settings=TargetSettings(enabled=True, daily_at=time(6), rules=(CoverageRule(start=date(2024, 7, 1)),)), version=4
)
COMPLETE = KeeperState(checked_at=NOW, checked_version=4, findings=Findings(complete_until=date(2026, 11, 20)))
INCOMPLETE = replace(COMPLETE, findings=Findings(missing={"HTML_PAGE": 2}), incomplete_since=NOW - 3 * DAY)
UNPUBLISHED = replace(COMPLETE, findings=Findings(missing={"not-published": 3}))


def reported(state: KeeperState) -> str | None:
    return str(state.events.newest.event) if state.events.newest else None


# When something is reported.


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (COMPLETE, "target.complete"),
        (UNPUBLISHED, "target.complete"),
        (INCOMPLETE, "target.incomplete"),
        (replace(INCOMPLETE, incomplete_since=NOW - 3 * DAY + timedelta(seconds=1)), None),
        (replace(INCOMPLETE, incomplete_since=None), None),
        (replace(COMPLETE, checked_version=3), None),
        (KeeperState(), None),
    ],
)
def test_a_target_is_reported_when_it_is_complete_or_incomplete_for_three_days(
    state: KeeperState, event: str | None
) -> None:
    assert reported(with_target_event(state, TARGET, "The status.", NOW)) == event


def test_a_target_that_is_off_is_not_reported() -> None:
    off = replace(TARGET, settings=replace(TARGET.settings, enabled=False))
    assert with_target_event(INCOMPLETE, off, "", NOW) == INCOMPLETE


def test_nothing_is_reported_twice() -> None:
    once = with_target_event(COMPLETE, TARGET, "Complete.", NOW)
    assert with_target_event(once, TARGET, "Complete to a later date.", NOW + DAY) == once
    later = replace(once, findings=INCOMPLETE.findings, incomplete_since=NOW)
    assert with_target_event(later, TARGET, "", NOW + 2 * DAY) == later
    incomplete = with_target_event(later, TARGET, "Incomplete.", NOW + 3 * DAY)
    assert reported(incomplete) == "target.incomplete"
    assert with_target_event(incomplete, TARGET, "", NOW + 9 * DAY) == incomplete
    again = replace(incomplete, findings=COMPLETE.findings, incomplete_since=None)
    assert reported(with_target_event(again, TARGET, "Complete.", NOW + 10 * DAY)) == "target.complete"


def test_a_changed_target_is_reported_again_when_it_is_complete() -> None:
    once = with_target_event(COMPLETE, TARGET, "Complete.", NOW)
    changed, checked = replace(TARGET, version=5), replace(once, checked_version=5)
    event = with_target_event(checked, changed, "Complete.", NOW + DAY).events.newest
    assert event is not None
    assert (event.event, event.at) == (WebhookEventType.TARGET_COMPLETE, NOW + DAY)


# Delivery.


class TargetScenario:
    def __init__(self, receiver: Receiver) -> None:
        self.storage, self.clock, self.receiver = MemoryStorage(), VirtualClock.at(), receiver
        self.storage.targets.update_target(lambda _: TARGET)
        self.set_state(COMPLETE)

    def set_state(self, state: KeeperState) -> None:
        self.storage.targets.update_keeper(lambda before: replace(state, events=before.events))

    def new_delivery(self, clock: Clock | None = None) -> TargetDelivery:
        config = RuntimeConfig(clock=self.clock)
        sender = WebhookSender(self.receiver.url, key_of(SECRET), self.clock)
        return TargetDelivery(BackfillService(self.storage, {}, config).targets, sender, clock or self.clock)


@pytest.fixture
def scenario() -> Iterator[TargetScenario]:
    with Receiver().serving() as receiver:
        yield TargetScenario(receiver)


def test_the_event_is_delivered_once_and_signed_with_the_target_as_in_the_api(scenario: TargetScenario) -> None:
    for _ in range(2):  # two processes
        scenario.new_delivery().deliver_due()
    (delivery,) = scenario.receiver.deliveries
    content = delivery.shape
    event = scenario.storage.targets.keeper().events.newest
    assert event is not None
    assert event.due_at is None
    assert delivery.message_id == content["deliveryId"] == str(event.id_for(TARGET_ID))
    assert delivery.signature == signature(key_of(SECRET), delivery.message_id, delivery.timestamp, delivery.body)
    assert (content["event"], content["message"]) == ("target.complete", content["target"]["sentence"])
    assert content["message"].startswith("Complete to 20 Nov 2026")
    assert content["target"]["completeUntil"] == "2026-11-20"
    assert "job" not in content


def test_a_failed_delivery_is_repeated_by_the_next_process(scenario: TargetScenario) -> None:
    scenario.receiver.status = 500
    scenario.new_delivery().deliver_due()
    scenario.receiver.status = 204
    scenario.new_delivery().deliver_due()
    assert len(scenario.receiver.deliveries) == 1, "the next attempt is due after 15 seconds"
    scenario.clock.sleep(15)
    scenario.new_delivery().deliver_due()
    first, second = scenario.receiver.deliveries
    assert first.message_id == second.message_id


def test_the_state_is_read_at_most_every_thirty_seconds(scenario: TargetScenario) -> None:
    delivery = scenario.new_delivery()
    delivery.deliver_due()
    scenario.set_state(INCOMPLETE)
    scenario.clock.sleep(29)
    delivery.deliver_due()
    assert len(scenario.receiver.deliveries) == 1
    scenario.clock.sleep(1)
    delivery.deliver_due()
    assert [each.shape["event"] for each in scenario.receiver.deliveries] == ["target.complete", "target.incomplete"]


def test_an_unreadable_target_is_logged_once_and_stops_no_other_delivery(
    scenario: TargetScenario, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        from backfill.errors import CorruptRecord

        raise CorruptRecord("The stored coverage target cannot be read.")

    monkeypatch.setattr(type(scenario.storage.targets), "target", fail)
    delivery = scenario.new_delivery()
    for _ in range(3):
        delivery.deliver_due()
        scenario.clock.sleep(30)
    assert [record.message for record in caplog.records] == [
        "The stored coverage target cannot be read. Its webhook events cannot be delivered."
    ]
