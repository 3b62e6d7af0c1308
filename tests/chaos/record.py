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
"""Seconds from the answer to a cancel to the start of the last new item."""


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


@dataclass
class Record:
    """Filled by the threads of all sites."""

    stories: Counter[str] = field(default_factory=Counter)
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
    doubled: int = 0
    set_aside: int = 0
    """Items that were in flight at three successive kills and correctly failed."""
    over_limit: int = 0
    stuck: int = 0
    most_again: int = 0
    """Maximum number of items fetched again for one change of runner."""
    fenced: int = 0
    refused: int = 0
    crowds: int = 0
    """Rounds of 100 concurrent creates."""
    checks: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    """Stories that this machine cannot run, and the reasons."""
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def killed(self) -> int:
        return sum(self.kills.values())

    def kill(self, name: str, place: str) -> None:
        with self.lock:
            self.kills[name] += 1
            self.killed_on[place] += 1

    def violation(self, sentence: str) -> None:
        with self.lock:
            self.wrong.append(sentence)
        print(f"  VIOLATION: {sentence}", flush=True)

    def missed_aims(self) -> list[str]:
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
                "stories",
                f"{sum(self.stories.values()):,}, each followed by a check of ledger, counters and request log",
            ),
            ("kills", f"{self.killed:,} ({kills})"),
            ("kills by place", ", ".join(f"{count} on {place}" for place, count in sorted(self.killed_on.items()))),
            ("jobs, items, requests", f"{self.jobs:,}, {self.items:,}, {self.requests:,}"),
            ("items lost, doubled", f"{self.lost}, {self.doubled}"),
            ("items set aside, in flight at three kills in a row", f"{self.set_aside}"),
            ("jobs stuck", f"{self.stuck}"),
            ("requests over the limit in any 60 s", f"{self.over_limit}"),
            ("fenced-off runners, refused", f"{self.fenced}, {self.refused}"),
            ("items fetched again for one change of runner, at most", f"{self.most_again}"),
            ("resume after kill -9: median, slowest", self._of(self.after_kill)),
            ("resume after SIGTERM: median, slowest", self._of(self.after_stop)),
        ]
        if self.after_cancel:
            late = percentile(self.after_cancel, 0.99)
            rows.append(("last new item after a cancel, 99th percentile", f"{late:.2f} s of {len(self.after_cancel)}"))
        if self.crowds:
            rows.append(("100 concurrent creates, one job each time", f"{self.crowds} times"))
        return rows

    @staticmethod
    def _of(values: Sequence[float]) -> str:
        return f"{statistics.median(values):.1f} s, {max(values):.1f} s of {len(values)}" if values else "none"
