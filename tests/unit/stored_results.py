"""Stores snapshots with the results that are computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backfill.analytics import SCHEMA_VERSION
from backfill.domain import SUMMARY, Result, Snapshot
from backfill.job_types.compute.tasks import ComputeInput, ComputeOutput, compute, world_of
from backfill.storage import Storage
from tests.factories import ResultFactory


def results_of(snapshots: Sequence[Snapshot]) -> list[Result]:
    """Return the result of each snapshot, with the summary of its date if that is one of the snapshots."""
    worlds = {one.date: world_of(one) for one in snapshots if one.district == SUMMARY}
    results = []
    for snapshot in snapshots:
        world = worlds.get(snapshot.date) if snapshot.district != SUMMARY else None
        (output,) = compute(
            [
                ComputeInput(
                    snapshot=snapshot,
                    summary=world.rows.get(snapshot.district) if world else None,
                    world_line=world.lines.get(snapshot.district) if world else None,
                )
            ]
        )
        assert isinstance(output, ComputeOutput), output
        results.append(
            ResultFactory.build(
                date=snapshot.date,
                district=snapshot.district,
                program_year=snapshot.program_year,
                source_hash=snapshot.content_hash,
                schema_version=SCHEMA_VERSION,
                input_digest=snapshot.content_hash,
                body=output.body,
                point=output.point,
            )
        )
    return results


def store(storage: Storage, *snapshots: Snapshot) -> None:
    """Store snapshots, in place of earlier ones of the same dates and districts, and their results."""
    for snapshot in snapshots:
        stored = storage.snapshots.get(snapshot.date, snapshot.district)
        newer = replace(snapshot, fetched_at=snapshot.fetched_at.replace(year=2025)) if stored else snapshot
        assert storage.snapshots.put(newer)
    storage.results.put(results_of(snapshots))
