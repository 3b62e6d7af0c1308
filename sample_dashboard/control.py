"""The door through which tests and demonstrations make the sample dashboard misbehave, and see what it was asked."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

LOG_LENGTH = 200_000


class FaultKind(StrEnum):
    TOO_MANY = "429"
    UNAVAILABLE = "503"
    BROKEN = "500"
    HANG = "hang"
    RESET = "reset"
    TRUNCATE = "truncate"
    HTML = "html"
    EMPTY = "empty"
    STALE_FOOTER = "stale_footer"
    WRONG_AS_OF = "wrong_as_of"
    WRONG_DISTRICT = "wrong_district"
    MISSING_COLUMN = "missing_column"
    LATENCY = "latency"


@dataclass(slots=True)
class Fault:
    """How the next answers go wrong. The first fault that matches a request is the only one it meets."""

    kind: FaultKind
    times: int = 1
    """How many answers are left to spoil; below 0 for ever."""
    match: str = ""
    """What the path and the report string, with a space between them, must contain."""
    retry_after: str | None = None
    seconds: float = 30.0
    """How long `hang` and `latency` wait before they answer as always."""

    @classmethod
    def read(cls, value: object) -> Fault:
        """From JSON. ValueError, with a sentence, for what is no fault."""
        fields = value if isinstance(value, Mapping) else {}
        kinds = [kind.value for kind in FaultKind]
        if fields.get("kind") not in kinds:
            raise ValueError(f"A fault is an object with a kind, one of {', '.join(kinds)}; this is none: {value!r}.")
        retry_after = fields.get("retry_after")
        try:
            return cls(
                FaultKind(fields["kind"]),
                int(fields.get("times", 1)),
                str(fields.get("match", "")),
                None if retry_after is None else str(retry_after),
                float(fields.get("seconds", 30.0)),
            )
        except TypeError as exc:
            raise ValueError("Of a fault, times and seconds are numbers.") from exc


@dataclass(slots=True)
class Entry:
    """One request; times are epoch seconds."""

    time: float
    path: str
    query: str
    report: str
    user_agent: str
    in_flight: int
    """Requests that were being answered when this one arrived, itself included."""
    status: int | str | None = None
    """The HTTP status, or what happened instead of a whole answer."""
    ended: float | None = None

    def as_json(self) -> dict[str, Any]:
        """What an unanswered request has not got yet is left out."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in fields.items() if value is not None}


class Control:
    """The log and the faults, shared by all threads of a server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=LOG_LENGTH)
        self._faults: list[Fault] = []
        self._in_flight = 0

    def set_faults(self, faults: list[Fault]) -> None:
        """In place of those there were."""
        with self._lock:
            self._faults = faults

    def take_fault(self, subject: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.times != 0 and fault.match in subject:
                    fault.times -= fault.times > 0
                    return fault
        return None

    def reset(self) -> None:
        """Forget the log and the faults."""
        with self._lock:
            self._entries.clear()
            self._faults = []

    def begin(self, path: str, query: str, report: str, user_agent: str) -> Entry:
        with self._lock:
            self._in_flight += 1
            entry = Entry(time.time(), path, query, report, user_agent, self._in_flight)
            self._entries.append(entry)
        return entry

    def end(self, entry: Entry, status: int | str) -> None:
        with self._lock:
            self._in_flight -= 1
            entry.status, entry.ended = status, time.time()

    def log(self) -> list[dict[str, Any]]:
        """Every request since the last reset, oldest first."""
        with self._lock:
            return [entry.as_json() for entry in self._entries]
