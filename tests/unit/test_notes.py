"""Notes on jobs: which texts are accepted, what a note changes, and what a repetition with another note returns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from backfill.domain import LONGEST_NOTE, MOST_NOTES, AuditAction, Job, Note, Status, parsed_note, required_note
from backfill.errors import InvalidJobState, InvalidRequest, JobNotFound
from tests.factories import JobFactory
from tests.unit.fakes import NOW
from tests.unit.test_service import ANN, BOB, FAILED, REQUEST, Service

CONTROLS = "\x00\n\r\t\x1b\x7f\x85\u2028\u2029\u202e\u2066\ud800"


@pytest.mark.parametrize(
    "text",
    ["a", "x" * LONGEST_NOTE, "Été “close” 100 %", "👩\u200d💻 checked", "<b>&amp;</b>", "=1+1", "a\u00a0b"],
)
def test_printable_text_of_any_language_is_a_note(text: str) -> None:
    assert parsed_note(text) == required_note(text) == text.strip()


def test_spaces_around_a_note_are_removed() -> None:
    assert parsed_note("  checked by hand ") == "checked by hand"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x" * (LONGEST_NOTE + 1), "note must not be longer than 500 characters; it has 501"),
        *((f"a{char}b", "without control characters") for char in CONTROLS),
    ],
)
def test_long_texts_and_control_characters_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as refused:
        parsed_note(text)
    assert set(refused.value.details or ()) == {"note"}


@pytest.mark.parametrize("text", ["", " ", "\u00a0"])
def test_an_empty_text_is_no_note(text: str) -> None:
    assert parsed_note(text) == ""
    with pytest.raises(InvalidRequest, match="note must not be empty"):
        required_note(text)


def test_a_job_has_a_limited_number_of_notes() -> None:
    job = JobFactory.build()
    for number in range(MOST_NOTES):
        job = job.noted(Note(at=NOW, operator="ann", text=str(number)))
    assert job.note == str(MOST_NOTES - 1)
    with pytest.raises(InvalidJobState, match="50 notes"):
        job.noted(Note(at=NOW, operator="ann", text="one more"))
    assert job.noted(None) is job


def notes_of(job: Job) -> list[tuple[str, str]]:
    return [(note.operator, note.text) for note in job.notes]


def audited(service: Service, job: Job) -> list[tuple[AuditAction, object]]:
    """The entries of a job with a note, oldest first."""
    rows = service.audit(job.id, limit=50, offset=0).rows
    return [(row.action, row.changes["note"]) for row in reversed(rows) if "note" in row.changes]


def test_a_note_comes_with_start_pause_cancel_and_later_and_is_audited() -> None:
    service = Service()
    job = service.start(REQUEST, by=ANN, note="close of January").job
    service.clock.forward(seconds=1)
    service.pause(job.id, by=BOB, note="dashboard is slow")
    service.clock.forward(seconds=1)
    service.pause(job.id, by=BOB, note="still slow")
    service.clock.forward(seconds=1)
    service.lower_limits(job.id, {"max_concurrent": 1}, by=ANN, note="slower")
    service.clock.forward(seconds=1)
    service.cancel(job.id, by=BOB, note="wrong year")
    service.clock.forward(seconds=1)
    ended = service.add_note(job.id, " done again ", by=ANN)
    assert (ended.status, ended.note) == (Status.CANCELLED, "done again")
    assert notes_of(ended) == [
        ("ann", "close of January"),
        ("bob", "dashboard is slow"),
        ("bob", "still slow"),
        ("ann", "slower"),
        ("bob", "wrong year"),
        ("ann", "done again"),
    ]
    assert [note.at for note in ended.notes] == [NOW + timedelta(seconds=n) for n in range(6)]
    assert audited(service, job) == [
        (AuditAction.STARTED, (None, "close of January")),
        (AuditAction.PAUSED, (None, "dashboard is slow")),
        (AuditAction.PAUSED, (None, "still slow")),
        (AuditAction.LOWERED_LIMITS, (None, "slower")),
        (AuditAction.CANCELLED, (None, "wrong year")),
        (AuditAction.NOTED, (None, "done again")),
    ]


def test_a_note_changes_no_plan_id_and_a_repetition_with_another_note_is_the_same_job() -> None:
    service = Service()
    plan_id = service.preview(REQUEST).plan_id
    job = service.start(REQUEST, by=ANN, idempotency_key="k", note="first").job
    again = service.start(REQUEST, by=ANN, idempotency_key="k", note="second")
    assert (again.is_new, again.job.id) == (False, job.id)
    assert notes_of(service.job(job.id)) == [("ann", "first")]
    assert service.preview(REQUEST).plan_id == plan_id


def test_a_retry_has_its_note() -> None:
    service = Service()
    failed = service.ended(*FAILED)
    job = service.retry(failed.id, by=ANN, idempotency_key="k", note="the server is back").job
    assert notes_of(job) == [("ann", "the server is back")]
    assert service.retry(failed.id, by=ANN, idempotency_key="k", note="again").job.id == job.id
    assert audited(service, job) == [(AuditAction.RETRIED, (None, "the server is back"))]


@pytest.mark.parametrize(
    "act",
    [
        lambda service, job: service.start(REQUEST, by=ANN, note="a\nb"),
        lambda service, job: service.retry(job.id, by=ANN, note="a\nb"),
        lambda service, job: service.cancel(job.id, by=ANN, note="a\nb"),
        lambda service, job: service.pause(job.id, by=ANN, note="a\nb"),
        lambda service, job: service.lower_limits(job.id, {"max_concurrent": 1}, by=ANN, note="a\nb"),
        lambda service, job: service.add_note(job.id, "a\nb", by=ANN),
        lambda service, job: service.add_note(job.id, " ", by=ANN),
    ],
)
def test_a_refused_note_refuses_the_action(act: Callable[[Service, Job], object]) -> None:
    service = Service()
    job = service.begin()
    with pytest.raises(InvalidRequest):
        act(service, job)
    assert service.job(job.id) == job
    assert service.audit(job.id, limit=5, offset=0).total == 1


def test_a_note_on_an_unknown_job_is_refused() -> None:
    with pytest.raises(JobNotFound):
        Service().add_note(uuid4(), "x", by=ANN)
