"""Counts and violations of a campaign over all sites, and their presentation."""

from __future__ import annotations

import statistics
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

RESUME_MEDIAN, RESUME_WORST = 15.0, 20.0
"""Seconds from a kill -9 to the claim of the next runner."""

CLEAN_STOP_WORST = 2.0
"""Seconds from a SIGTERM to the claim of the next runner."""

CANCEL_WITHIN = 1.0
"""Seconds from the response to a cancel to the start of the last new item."""


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


@dataclass
class Record:
    """Filled by the threads of all sites."""

    scenarios: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    killed_on: Counter[str] = field(default_factory=Counter)
    """Kills by kind of store."""
    after_kill: list[float] = field(default_factory=list)
    after_stop: list[float] = field(default_factory=list)
    after_cancel: list[float] = field(default_factory=list)
    jobs: int = 0
    items: int = 0
    requests: int = 0
    lost: int = 0
    duplicated: int = 0
    quarantined: int = 0
    """Items that were quarantined after three kills in a row."""
    over_limit: int = 0
    stuck: int = 0
    max_repeated: int = 0
    """Maximum number of repeated items per takeover."""
    suspended_with_lock: int = 0
    """Servers that were suspended within a write transaction of SQLite."""
    fenced: int = 0
    refused: int = 0
    concurrent_starts: int = 0
    """Rounds of 100 concurrent starts."""
    checks: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    """Scenarios that this machine cannot run, and the reasons."""
    violations: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def killed(self) -> int:
        return sum(self.kills.values())

    def kill(self, name: str, store: str) -> None:
        with self.lock:
            self.kills[name] += 1
            self.killed_on[store] += 1

    def violation(self, sentence: str) -> None:
        with self.lock:
            self.violations.append(sentence)
        print(f"  VIOLATION: {sentence}", flush=True)

    def missed_targets(self) -> list[str]:
        """Return messages about missed targets."""
        missed = []
        if self.after_kill and statistics.median(self.after_kill) > RESUME_MEDIAN:
            missed.append(f"the median resume after a kill took {statistics.median(self.after_kill):.1f} s")
        if self.after_cancel and percentile(self.after_cancel, 0.99) > CANCEL_WITHIN:
            missed.append(f"a new item began {percentile(self.after_cancel, 0.99):.2f} s after a cancel")
        return missed

    def lines(self) -> list[tuple[str, str]]:
        """Return pairs of a name and a figure."""
        kills = ", ".join(f"{count} {name}" for name, count in sorted(self.kills.items()))
        rows = [
            (
                "scenarios",
                f"{sum(self.scenarios.values()):,}, each followed by a check of ledger, counters and request log",
            ),
            ("kills", f"{self.killed:,} ({kills})"),
            ("kills by store", ", ".join(f"{count} on {store}" for store, count in sorted(self.killed_on.items()))),
            ("jobs, items, requests", f"{self.jobs:,}, {self.items:,}, {self.requests:,}"),
            ("items lost, duplicated", f"{self.lost}, {self.duplicated}"),
            ("items quarantined after three kills in a row", f"{self.quarantined}"),
            ("jobs stuck", f"{self.stuck}"),
            ("requests over the limit in any 60 s", f"{self.over_limit}"),
            ("runners that lost their claim, writes refused", f"{self.fenced}, {self.refused}"),
            ("servers suspended within a write transaction of SQLite", f"{self.suspended_with_lock}"),
            ("repeated items per takeover, maximum", f"{self.max_repeated}"),
            ("resume after kill -9: median, maximum", self._of(self.after_kill)),
            ("resume after SIGTERM: median, maximum", self._of(self.after_stop)),
        ]
        if self.after_cancel:
            late = percentile(self.after_cancel, 0.99)
            rows.append(("last new item after a cancel, 99th percentile", f"{late:.2f} s of {len(self.after_cancel)}"))
        if self.concurrent_starts:
            rows.append(("100 concurrent starts, one job each time", f"{self.concurrent_starts} times"))
        return rows

    @staticmethod
    def _of(values: Sequence[float]) -> str:
        return f"{statistics.median(values):.1f} s, {max(values):.1f} s of {len(values)}" if values else "none"
