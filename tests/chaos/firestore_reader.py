"""Reads the documents under a prefix of Firestore through its REST API."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import requests

from tests.chaos.consistency import KINDS, JobRow, Reader, SegmentRow, StoredJob, StoreDown, unpack

_STORED_BY = {"data-collection": "snapshots", "analytics-generation": "results"}
"""The collection that items of each job type write."""

_PAGE = 300
"""Number of documents that one call removes."""

_CLAIM = ("job_id", "token", "is_held")

Fields = dict[str, Any]


def _value(typed: dict[str, Any]) -> Any:
    """Convert a typed value of the API. Timestamps remain text."""
    [(kind, content)] = typed.items()
    readings: dict[str, Callable[[Any], Any]] = {
        "nullValue": lambda _: None,
        "integerValue": int,
        "bytesValue": base64.b64decode,
        "arrayValue": lambda array: [_value(one) for one in array.get("values", ())],
        "mapValue": lambda found: _fields(found.get("fields", {})),
    }
    return readings[kind](content) if kind in readings else content


def _fields(typed: dict[str, Any]) -> Fields:
    return {name: _value(value) for name, value in typed.items()}


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _job_of(name: str, fields: Fields) -> JobRow:
    body = unpack(fields["body"])
    owner = body["lease"][0] if body["lease"] else ""
    return JobRow(UUID(_last(name)).hex, body["status"], body["token"], owner, body["progress"])


class _Moment:
    """A consistent read of documents at one time."""

    def __init__(self, reader: FirestoreReader, transaction: str) -> None:
        self._reader, self._transaction = reader, transaction

    def all(self, *path: str, only: Sequence[str] = ()) -> dict[str, Fields]:
        """Return the documents of a collection in the order of their names; `only` selects fields."""
        *parents, collection = path
        query: dict[str, Any] = {"from": [{"collectionId": collection}]}
        if only:
            query["select"] = {"fields": [{"fieldPath": field} for field in only]}
        parent = self._reader.name(*parents)
        rows = self._reader.ask(parent, "runQuery", {"structuredQuery": query, "transaction": self._transaction})
        found = [row["document"] for row in rows if "document" in row]
        return {document["name"]: _fields(document.get("fields", {})) for document in found}

    def some(self, names: Sequence[str]) -> list[Fields | None]:
        """Return documents in the order of the names; None for missing ones."""
        rows = self._reader.ask(
            self._reader.root, "batchGet", {"documents": list(names), "transaction": self._transaction}
        )
        found = {row["found"]["name"]: _fields(row["found"].get("fields", {})) for row in rows if "found" in row}
        return [found.get(name) for name in names]

    def body(self, name: str, fields: Fields) -> bytes:
        """Return the packed bytes of a document, which may be stored in parts."""
        if "parts" not in fields:
            return bytes(fields["body"])
        parts = self.some([f"{name}/parts/{part}" for part in fields["parts"]])
        return b"".join(part["body"] for part in parts if part is not None)


class FirestoreReader(Reader):
    """Reads from a Firestore without credentials, such as the emulator."""

    def __init__(self, host: str, project: str, prefix: str) -> None:
        self._api = f"http://{host}/v1"
        self._prefix = prefix
        self.root = f"projects/{project}/databases/(default)/documents"

    def name(self, *path: str) -> str:
        return "/".join((self.root, self._prefix, "v1", *path))

    def ask(self, name: str, verb: str, body: object) -> Any:
        with self._answering():
            answer = requests.post(f"{self._api}/{name}:{verb}", json=body, timeout=20)
            answer.raise_for_status()
            return answer.json()

    @staticmethod
    @contextmanager
    def _answering() -> Iterator[None]:
        try:
            yield
        except requests.RequestException as exc:
            raise StoreDown(str(exc)) from exc

    @contextmanager
    def _moment(self) -> Iterator[_Moment]:
        transaction = self.ask(self.root, "beginTransaction", {"options": {"readOnly": {}}})["transaction"]
        yield _Moment(self, transaction)
        self.ask(self.root, "rollback", {"transaction": transaction})

    def job(self, job_id: str) -> JobRow:
        name = self.name("jobs", str(UUID(job_id)))
        with self._answering():
            answer = requests.get(f"{self._api}/{name}", timeout=20)
            answer.raise_for_status()
        return _job_of(name, _fields(answer.json()["fields"]))

    def read_job(self, job_id: str) -> StoredJob:
        key = str(UUID(job_id))
        name, plan_name = self.name("jobs", key), self.name("plans", key)
        with self._moment() as moment:
            jobs = moment.all("jobs")
            fields = jobs[name]
            plan, slot, schedule = moment.some(
                [plan_name, self.name("state", "slot"), self.name("state", "timeline")],
            )
            ledger = [
                SegmentRow(
                    segment["number"],
                    tuple(segment[kind] for kind in KINDS),
                    moment.body(at, segment),
                )
                for at, segment in moment.all("jobs", key, "segments").items()
            ]
            stored = moment.all(_STORED_BY[fields["job_type"]], only=("day", "district"))
            packed_plan = moment.body(plan_name, plan or {})
        rows = {at: _job_of(at, found) for at, found in jobs.items()}
        return StoredJob(
            job=rows[name],
            active=sum(row.is_active for row in rows.values()),
            plan=packed_plan,
            detail=unpack(fields["detail"]),
            ledger=ledger,
            stored={f"{document['day']}/{document['district']}" for document in stored.values()},
            differences=[
                *(sentence for at, found in jobs.items() for sentence in _field_differences(rows[at], found)),
                *_claim_differences(list(rows.values()), slot, schedule),
            ],
        )

    def snapshots(self) -> Iterator[tuple[str, dict[str, Any], bytes]]:
        with self._moment() as moment:
            for name, fields in moment.all("snapshots").items():
                yield fields["district"], fields["about"]["reports"], moment.body(name, fields)

    def delete_collected(self) -> None:
        names: list[str] = []
        with self._moment() as moment:
            for collection in _STORED_BY.values():
                for name, fields in moment.all(collection, only=("parts",)).items():
                    names += [f"{name}/parts/{part}" for part in fields.get("parts", ())]
                    names.append(name)
        for start in range(0, len(names), _PAGE):
            deletes = [{"delete": name} for name in names[start : start + _PAGE]]
            self.ask(self.root, "commit", {"writes": deletes})


def _field_differences(row: JobRow, fields: Fields) -> list[str]:
    """Return messages about query fields of a job that differ from its packed data."""
    violations = []
    if fields["status"] != row.status or fields["is_active"] != row.is_active:
        violations.append(f"job {row.id} is {row.status}, but its query field is {fields['status']}")
    if (fields["ended_at"] is None) != row.is_active or (fields["expires_at"] is None) != row.is_active:
        violations.append(f"job {row.id} is {row.status}, which contradicts its end and expiry")
    return violations


def _claim_differences(rows: Sequence[JobRow], slot: Fields | None, schedule: Fields | None) -> list[str]:
    """Return a message if the stored claim is not that of the active job."""
    violations = []
    claims = [(str(UUID(row.id)), row.token, bool(row.owner)) for row in rows if row.is_active]
    slots = [tuple(slot[name] for name in _CLAIM)] if slot else []
    if slots != claims:
        violations.append(f"the slot has the claim {slots}, the active jobs {claims}")
    held = [tuple(schedule[name] for name in _CLAIM)] if schedule and schedule["job_id"] else []
    if held != claims:
        violations.append(f"the request schedule has the claim {held}, the active jobs {claims}")
    return violations
