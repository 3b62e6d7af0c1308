"""Fault injection and the request log of the sample dashboard."""

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
    """A fault of the next responses. Only the first fault that matches a request applies to it."""

    kind: FaultKind
    times: int = 1
    """Number of remaining responses; negative means no limit."""
    match: str = ""
    """Text that must be part of the path and the report string, joined by a space."""
    retry_after: str | None = None
    seconds: float = 30.0
    """Delay of `hang` and `latency`."""

    @classmethod
    def read(cls, value: object) -> Fault:
        """Convert JSON. Raises ValueError with a message for invalid faults."""
        fields = value if isinstance(value, Mapping) else {}
        kinds = [kind.value for kind in FaultKind]
        if fields.get("kind") not in kinds:
            raise ValueError(f"A fault is an object whose kind is one of {', '.join(kinds)}; it was {value!r}.")
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
            raise ValueError("times and seconds of a fault must be numbers.") from exc


@dataclass(slots=True)
class Entry:
    """One request; times are epoch seconds."""

    time: float
    path: str
    query: str
    report: str
    user_agent: str
    in_flight: int
    """Number of concurrent requests when this one arrived, including this one."""
    status: int | str | None = None
    """The HTTP status, or what happened instead of a complete response."""
    ended: float | None = None
    fault: FaultKind | None = None
    """The fault that was applied to the response."""

    def as_json(self) -> dict[str, Any]:
        """Return the fields that are not None."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in fields.items() if value is not None}


class Control:
    """Log and faults of a server; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=LOG_LENGTH)
        self._faults: list[Fault] = []
        self._in_flight = 0

    def set_faults(self, faults: list[Fault]) -> None:
        """Replace all faults."""
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
        """Remove all log entries and faults."""
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
        """Return all requests since the last reset, oldest first."""
        with self._lock:
            return [entry.as_json() for entry in self._entries]
