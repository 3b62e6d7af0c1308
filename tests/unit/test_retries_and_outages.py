"""The retry policy, the circuit breaker, and the response policy that connects them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.errors import (
    DashboardError,
    DeadlineExceeded,
    HtmlPage,
    MalformedRow,
    NoRows,
    NotCsv,
    NotPublished,
    NotSent,
    Overloaded,
    Throttled,
    TooLarge,
    UnexpectedStatus,
    WrongAsOf,
)
from backfill.rate_limit.circuit_breaker import CircuitBreaker
from backfill.rate_limit.response_policy import RequestStart, ResponsePolicy
from backfill.rate_limit.retry_policy import ATTEMPTS, FailureKind, RetryPolicy
from tests.unit.fakes import FAST, NOW


def policy_of(*items: str) -> ResponsePolicy:
    policy = ResponsePolicy()
    for item in items:
        policy.retries.begin(item)
    return policy


def failing(policy: ResponsePolicy, *items: str) -> ResponsePolicy:
    for n, item in enumerate(items):
        policy.item_failed(item, NOW + timedelta(seconds=n))
    return policy


def test_the_circuit_breaker_opens_and_closes_independently_of_the_retry_policy() -> None:
    breaker = CircuitBreaker()
    for item in "ABABA":
        assert not breaker.is_down
        breaker.failed(item, NOW)
    assert breaker.is_down
    assert breaker.close() is False  # no probe failed, so it was no outage
    assert (breaker.is_down, breaker.is_failing) == (False, False)
    breaker.open(NOW)
    breaker.probe_failed()
    assert breaker.close() is True


def test_the_retry_policy_gives_up_items_independently_of_the_circuit_breaker() -> None:
    retries = RetryPolicy()
    retries.begin("A")
    for _ in range(ATTEMPTS):
        retries.failed("A")
    assert (retries.is_unresolved("A"), retries.are_all_unresolved(), retries.is_given_up("A")) == (True, True, False)
    retries.resolve(are_counted=False)
    assert retries.failures("A") == 0
    retries.count("A", ATTEMPTS)
    assert retries.is_given_up("A")


def test_a_failure_counts_when_a_later_request_succeeds() -> None:
    policy = failing(policy_of("A", "B"), "A", "A")
    assert (policy.retries.counted("A"), policy.retries.failures("A")) == (0, 2)
    policy.succeeded()
    assert (policy.retries.counted("A"), policy.retries.failures("A"), policy.retries.counted("B")) == (2, 2, 0)


def test_an_item_is_given_up_after_five_failures_while_others_succeed() -> None:
    policy = policy_of("A", "B")
    for _ in range(ATTEMPTS):
        assert not policy.retries.is_given_up("A")
        failing(policy, "A")
        policy.succeeded()
    assert policy.retries.is_given_up("A")
    assert not policy.breaker.is_down


def test_five_failures_in_a_row_of_different_items_open_the_circuit_breaker() -> None:
    policy = failing(policy_of("A", "B", "C"), "A", "B", "A", "C")
    assert not policy.breaker.is_down
    failing(policy, "A")
    assert policy.breaker.is_down
    assert policy.breaker.down_since == NOW  # when the first of them failed


def test_five_failures_of_one_item_do_not_open_the_breaker_while_others_are_requested() -> None:
    policy = failing(policy_of("A", "B"), *"AAAAA")
    assert not policy.breaker.is_down
    assert policy.is_unresolved("A")
    policy.succeeded()
    assert policy.retries.is_given_up("A")
    assert not policy.is_unresolved("A")


def test_a_success_between_failures_ends_the_row() -> None:
    policy = failing(policy_of("A", "B", "C"), "A", "B", "C", "A")
    policy.succeeded()
    assert not failing(policy, "B", "C", "B", "C").breaker.is_down


def test_failures_before_and_during_an_outage_count_against_no_item() -> None:
    policy = failing(policy_of("A", "B", "C"), *"ABCAB")
    for _ in range(20):
        policy.breaker.probe_failed()
        policy.item_failed("C", NOW)  # a request that started before the outage
    policy.succeeded()
    assert not policy.breaker.is_down
    assert [policy.retries.failures(item) for item in "ABC"] == [0, 0, 0]


def test_if_the_first_probe_succeeds_there_was_no_outage_and_the_failures_count() -> None:
    policy = failing(policy_of("A", "B"), *"AABAB")
    assert policy.breaker.probes_known
    policy.succeeded()
    assert (policy.retries.counted("A"), policy.retries.counted("B"), policy.breaker.is_down) == (3, 2, False)


def test_the_first_probe_and_each_eighth_one_request_a_known_report() -> None:
    policy = failing(policy_of("A", "B"), *"ABABA")
    probes = []
    for _ in range(17):
        probes.append(policy.breaker.probes_known)
        policy.breaker.probe_failed()
    assert [n for n, is_known in enumerate(probes) if is_known] == [0, 8, 16]


def test_a_single_failing_item_is_decided_by_a_probe_for_a_known_report() -> None:
    policy = failing(policy_of("A"), *"AAAA")
    assert not policy.breaker.is_down
    failing(policy, "A")
    assert policy.breaker.is_down
    assert policy.breaker.probes_known
    policy.succeeded()
    assert policy.retries.is_given_up("A")


def test_items_that_are_all_unresolved_are_decided_by_a_probe_for_a_known_report() -> None:
    """Each item fails four times between successes, and once more without one: a short row, but no further request."""
    policy = policy_of("A", "B")
    for _ in range(ATTEMPTS - 1):
        failing(policy, "A", "B").succeeded()
    failing(policy, "A", "B")
    assert policy.breaker.is_down
    policy.succeeded()
    assert policy.retries.is_given_up("A")
    assert policy.retries.is_given_up("B")


def test_the_circuit_breaker_opens_when_the_last_other_item_ends() -> None:
    policy = failing(policy_of("A", "B"), *"AAAAA")
    policy.end_item("B", NOW)
    assert policy.breaker.is_down


def test_a_runner_that_starts_during_a_known_outage_probes_first() -> None:
    policy = ResponsePolicy(NOW)
    policy.retries.begin("A")
    assert (policy.breaker.is_down, policy.breaker.probes_known) == (True, False)
    policy.breaker.probe_failed()
    policy.succeeded()
    assert (policy.breaker.is_down, policy.retries.failures("A")) == (False, 0)


def test_the_failures_of_a_settled_item_are_forgotten() -> None:
    policy = failing(policy_of("A"), "A", "A")
    policy.succeeded()
    policy.end_item("A", NOW)
    assert policy.retries.counted("A") == 0


@given(st.lists(st.one_of(st.sampled_from("ABC"), st.just("answer")), max_size=60))
def test_no_item_is_given_up_without_five_failures_of_its_own_and_a_later_success(events: list[str]) -> None:
    policy, own, answers = policy_of(*"ABC"), dict.fromkeys("ABC", 0), 0
    for event in events:
        if event == "answer":
            policy.succeeded()
            answers += 1
        else:
            policy.item_failed(event, NOW)
            own[event] += 1
        for item in "ABC":
            assert policy.retries.counted(item) <= own[item]
            assert not (policy.retries.is_given_up(item) and (own[item] < ATTEMPTS or not answers))


# Responses to everything, to one report, or to one item.


def answered(policy: ResponsePolicy, item: str, exc: DashboardError | None = None, report: str = "clubs") -> bool:
    """The item's request ends with a success or an error. Return whether that lowers the rate."""
    breaker = policy.breaker
    is_probe = breaker.is_down and breaker.concerns(report)
    start = RequestStart(item, report, NOW, 0.0, is_probe, is_probe and breaker.probes_known)
    if exc is not None:
        return policy.failed(exc, start, FAST, NOW).is_slower
    policy.succeeded(report, "" if start.asks_for_known else item)
    return False


def status(code: int) -> UnexpectedStatus:
    exc = UnexpectedStatus(f'The dashboard answered "{code}".')
    exc.status = code
    return exc


REJECTIONS = [*map(status, (301, 400, 401, 403, 404, 410, 451)), HtmlPage("WAF"), NotCsv("captcha"), NoRows("none")]


@pytest.mark.parametrize("exc", [*REJECTIONS, MalformedRow("cells"), TooLarge("much"), Throttled("429")], ids=str)
def test_the_same_rejection_of_five_items_in_a_row_is_an_outage_and_counts_against_none(exc: DashboardError) -> None:
    policy = policy_of(*"ABCDE")
    for item in "ABCDE":
        assert not policy.breaker.is_down
        answered(policy, item, exc)
    assert policy.breaker.is_down
    answered(policy, "A", exc)  # something that succeeded before
    for item in "ABCDE":
        answered(policy, item, exc)
    answered(policy, "A")
    assert not policy.breaker.is_down
    assert [policy.retries.failures(item) for item in "ABCDE"] == [0] * 5


def test_the_message_of_an_outage_names_the_response_and_how_often_it_came() -> None:
    policy = policy_of(*"ABCDE")
    for item in "ABCDE":
        answered(policy, item, status(403))
    assert (
        policy.down_reason
        == "No usable response since 09:26:53 UTC; 403 Forbidden for 5 requests in a row, for 5 items."
    )
    answered(policy, "A", status(404))
    assert policy.down_reason.endswith("; 6 requests failed, the last one with 404 Not Found, in a row, for 5 items.")
    answered(policy, "A", status(999))
    assert "the last one with 999," in policy.down_reason
    answered(policy, "A", NotCsv("It begins with `captcha`."))
    assert policy.down_reason.endswith("; last error: It begins with `captcha`.")


def test_a_report_that_is_rejected_for_every_item_is_an_outage_although_other_reports_succeed() -> None:
    policy = policy_of(*"ABC")
    for item in "ABCAB":
        answered(policy, item)
        answered(policy, item, status(403), "divisions")
    assert policy.breaker.is_down
    assert [policy.retries.counted(item) for item in "ABC"] == [0, 0, 0]
    answered(policy, "C")
    assert policy.breaker.is_down  # another report says nothing about it
    answered(policy, "A", status(403), "divisions")
    answered(policy, "A", None, "divisions")
    assert not policy.breaker.is_down
    assert [policy.retries.failures(item) for item in "ABC"] == [0, 0, 0]


def test_a_report_that_fails_during_the_outage_of_another_one_belongs_to_the_outage() -> None:
    policy = policy_of(*"ABC")
    for item in "ABCAB":
        answered(policy, item, status(403), "divisions")
    answered(policy, "A", status(403))
    assert policy.breaker.concerns("clubs")
    assert not policy.breaker.concerns("summary")
    answered(policy, "B", status(403))
    answered(policy, "C")
    assert not policy.breaker.is_down
    assert [policy.retries.failures(item) for item in "ABC"] == [0, 0, 0]


def test_an_item_that_alone_is_rejected_fails_after_five_attempts() -> None:
    policy = policy_of("A", "B")
    for _ in range(ATTEMPTS):
        answered(policy, "A", status(403))
        answered(policy, "B")
    assert policy.retries.is_given_up("A")
    assert policy.retries.counted("B") == 0


def test_an_item_that_is_rejected_every_other_time_does_not_fail() -> None:
    policy = policy_of(*"ABC")
    for number in range(9):
        answered(policy, "ABC"[number % 3], status(403) if number % 2 else None)
    assert [policy.retries.is_given_up(item) for item in "ABC"] == [False] * 3
    assert not policy.breaker.is_down


@pytest.mark.parametrize("exc", [WrongAsOf("Another day."), NotPublished("No rows.")])
def test_a_wrong_report_and_an_unpublished_one_show_that_the_dashboard_works(exc: DashboardError) -> None:
    policy = policy_of(*"ABC")
    for item in "ABCABC":
        answered(policy, item, exc)
    assert not policy.breaker.is_down
    assert policy.retries.counted("A") == 2


def test_a_request_that_is_not_sent_says_nothing_about_the_dashboard() -> None:
    policy = policy_of(*"AB")
    for item in "ABABAB":
        answered(policy, item, NotSent("invalid"))
    assert (policy.breaker.is_failing, policy.retries.failures("A")) == (False, 0)


def test_responses_that_reach_the_deadline_count_twice_only() -> None:
    policy = policy_of(*"AB")
    for _ in range(2):
        assert not policy.retries.is_given_up("A")
        answered(policy, "A", DeadlineExceeded("Too slow."))
        answered(policy, "B")
    assert policy.retries.is_given_up("A")


def test_pauses_for_one_item_are_bounded_and_do_not_count_as_attempts() -> None:
    policy, until = policy_of(*"AB"), NOW + timedelta(seconds=1)
    for _ in range(ATTEMPTS):
        assert not policy.retries.is_given_up("A")
        answered(policy, "A", Throttled("429", retry_at=until))
        answered(policy, "B")
    assert policy.retries.is_given_up("A")
    assert (policy.retries.counted("A"), policy.retries.counted("A", with_pauses=True)) == (0, ATTEMPTS)


def test_pauses_for_every_item_count_against_none() -> None:
    policy, until = policy_of(*"AB"), NOW + timedelta(seconds=1)
    for item in "ABABABABAB":
        answered(policy, item, Throttled("429", retry_at=until))
    assert policy.breaker.is_down  # each item would fail if one of them succeeded
    for _ in range(3):
        answered(policy, "A", Throttled("429", retry_at=until))
    answered(policy, "A")
    assert [policy.retries.is_given_up(item) for item in "AB"] == [False, False]


@pytest.mark.parametrize("exc", [Throttled("429"), Throttled("429", retry_at=NOW), Overloaded("503")])
def test_an_item_that_is_throttled_although_others_succeed_lowers_the_rate_once(exc: DashboardError) -> None:
    policy = policy_of(*"AB")
    assert answered(policy, "A", exc)
    answered(policy, "B")
    assert not answered(policy, "A", exc)
    assert answered(policy, "B", exc) is isinstance(exc, Throttled)  # a 503 is not the rate's fault if others fail too
    assert policy.end_item("A", NOW) is False  # it was not given up


def test_an_item_that_is_given_up_because_it_alone_is_throttled_is_named() -> None:
    policy = policy_of(*"AB")
    for _ in range(ATTEMPTS):
        answered(policy, "A", Throttled("429"))
        answered(policy, "B")
    assert policy.end_item("A", NOW)
    assert not policy.end_item("B", NOW)


def test_an_item_that_succeeds_after_it_was_throttled_may_lower_the_rate_again() -> None:
    policy = policy_of("A")
    assert answered(policy, "A", Throttled("429"))
    answered(policy, "A")
    assert answered(policy, "A", Throttled("429"))


def test_each_kind_of_failure_has_its_own_limit_and_all_attempts_have_one() -> None:
    retries = RetryPolicy()
    retries.begin("A")
    for kind in (FailureKind.SLOW, FailureKind.PAUSED, *[FailureKind.UNUSABLE] * 3):
        retries.count("A", kind=kind)
    assert (retries.counted("A"), retries.is_given_up("A")) == (4, False)
    retries.failed("A", "clubs")
    assert (retries.failures("A"), retries.is_unresolved("A")) == (6, True)
    retries.resolve(are_counted=True, report="divisions")
    assert retries.is_unresolved("A")
    retries.resolve(are_counted=True, report="clubs")
    assert retries.is_given_up("A")
