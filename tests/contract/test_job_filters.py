"""Lists of jobs by operator, outcome, text and retried job, on every storage adapter."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from backfill.domain import JobFilter, JobOutcome, Note, Status
from backfill.storage import Storage
from tests.contract.test_job_storage import created
from tests.factories import NOW, JobFactory, ProgressFactory


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (JobFilter(outcomes=frozenset({JobOutcome.SUCCEEDED})), {"good"}),
        (JobFilter(outcomes=frozenset({JobOutcome.COMPLETED_WITH_FAILURES})), {"partly", "retry"}),
        (JobFilter(outcomes=frozenset({JobOutcome.FAILED, JobOutcome.CANCELLED})), {"bad", "stopped"}),
        (
            JobFilter(outcomes=frozenset({JobOutcome.SUCCEEDED}), statuses=frozenset({Status.FAILED})),
            set(),
        ),
        (JobFilter(created_by="ann"), {"good", "partly"}),
        (JobFilter(created_by="an"), set()),
        (JobFilter(created_by="ann", outcomes=frozenset({JobOutcome.COMPLETED_WITH_FAILURES})), {"partly"}),
        (JobFilter(created_by="ann", created_from=NOW + timedelta(hours=1)), {"partly"}),
        (JobFilter(text="0B7F4C1E"), {"good", "partly"}),
        (JobFilter(text="0b7f4c1e-5a0c-4d38-9d0b-3f6f3c8e2a1"), {"good", "partly"}),
        (JobFilter(text="0b7f4c1e-5a0c-4d38-9d0b-3f6f3c8e2a11"), {"good"}),
        (JobFilter(text="c4e"), set()),
        (JobFilter(text="\u00e9T\u00c9"), {"stopped"}),
        (JobFilter(text="stra\u00dfe"), {"bad"}),
        (JobFilter(text="STRASSE"), {"bad"}),
        (JobFilter(text="100 %"), {"bad"}),
        (JobFilter(text="1_0"), set()),
        (JobFilter(text="older note"), {"stopped"}),
        (JobFilter(text="\x00"), set()),
        (JobFilter(text="?", created_by="ann"), set()),
        (
            JobFilter(
                retry_of=frozenset({UUID("0b7f4c1e-5a0c-4d38-9d0b-3f6f3c8e2a12"), *(uuid4() for _ in range(40))})
            ),
            {"retry"},
        ),
        (JobFilter(retry_of=frozenset({UUID("0b7f4c1e-5a0c-4d38-9d0b-3f6f3c8e2a12")}), created_by="ann"), set()),
    ],
)
def test_a_list_is_filtered_by_operator_outcome_text_and_retried_job(
    storage: Storage, wanted: JobFilter, found: set[str]
) -> None:
    """R6.3"""
    first, second = (UUID(f"0b7f4c1e-5a0c-4d38-9d0b-3f6f3c8e2a1{n}") for n in (1, 2))
    others = {name: UUID(int=(0xF << 124) + number) for number, name in enumerate(("bad", "stopped", "retry", "waits"))}
    partly = ProgressFactory.build(processed=4, failed=2)

    def notes(*texts: str) -> tuple[Note, ...]:
        return tuple(Note(at=NOW, operator="ann", text=text) for text in texts)

    jobs = {
        "good": JobFactory.build(id=first, created_by="ann", status=Status.COMPLETED, ended_at=NOW),
        "partly": JobFactory.build(
            id=second,
            created_by="ann",
            status=Status.COMPLETED,
            ended_at=NOW,
            progress=partly,
            created_at=NOW + timedelta(hours=1),
        ),
        "bad": JobFactory.build(
            id=others["bad"], status=Status.FAILED, ended_at=NOW, progress=partly, notes=notes("100 % of Stra\u00dfe")
        ),
        "stopped": JobFactory.build(
            id=others["stopped"], status=Status.CANCELLED, ended_at=NOW, notes=notes("An older note", "\u00c9t\u00e9")
        ),
        "retry": JobFactory.build(
            id=others["retry"], status=Status.COMPLETED, ended_at=NOW, progress=partly, retry_of=second
        ),
        "waits": JobFactory.build(id=others["waits"]),
    }
    for job in jobs.values():
        created(storage, job)
    page = storage.jobs.page(wanted, limit=10, offset=0)
    assert {name for name, job in jobs.items() if job.id in {row.id for row in page.rows}} == found
    assert page.total == len(found)
    assert [job.id for job in page.rows] == [
        job.id
        for job in sorted(jobs.values(), key=lambda job: (job.created_at, job.id), reverse=True)
        if wanted.matches(job)
    ]
    assert list(storage.jobs.page(wanted, limit=1, offset=1).rows) == list(page.rows)[1:2]
