"""`python -m tests.chaos`: runs a campaign, prints its result and writes it to docs/reliability.md and README.md."""

from __future__ import annotations

import argparse
import random
import sys
from datetime import UTC, datetime

from benchmarks import pages
from tests.acceptance.harness import ROOT
from tests.chaos.campaign import STORES, Campaign
from tests.chaos.record import Record

_BEGIN, _END = "<!-- chaos: written by `make chaos` -->", "<!-- /chaos -->"


def block(record: Record, campaign: Campaign) -> str:
    """Return the table of a campaign for docs/reliability.md."""
    options = f"SEED={campaign.seed} MINUTES={campaign.minutes:g} SITES={campaign.sites}"
    options += f" KILLS={campaign.kills}" if campaign.kills else ""
    options += f" ON={campaign.stores[0].kind}" if len(campaign.stores) == 1 else ""
    kinds = [store.kind for store in campaign.stores[: campaign.sites] if store.kind not in record.skipped]
    over = " and ".join([", ".join(kinds[:-1]), kinds[-1]] if len(kinds) > 1 else kinds)
    lines = [
        f"`make chaos {options}` on {datetime.now(UTC):%Y-%m-%d}, over {over}:",
        "",
        "| count | |",
        "| --- | --- |",
        *(f"| {name} | {figure} |" for name, figure in record.lines()),
        *(f"| violations | {sentence} |" for sentence in [*record.violations, *record.missed_targets()]),
        *(f"| not run: {name} | {reason} |" for name, reason in record.skipped.items()),
    ]
    return "\n".join(lines)


def write(text: str) -> None:
    """Replace the text between the markers."""
    path = ROOT / "docs" / "reliability.md"
    before, _, rest = path.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    path.write_text(f"{before}{_BEGIN}\n\n{text}\n\n{_END}{after}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="the same seed selects the same scenarios; default: random")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--kills", type=int, help="end after this number of kills")
    parser.add_argument(
        "--sites",
        type=int,
        default=len(STORES),
        help="number of parallel sites: SQLite, PostgreSQL and Firestore in turn",
    )
    parser.add_argument("--on", choices=[store.kind for store in STORES], help="use this store for all sites")
    parser.add_argument("--print-only", action="store_true", help="do not write docs/reliability.md")
    options = parser.parse_args()
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    print(f"Chaos with seed {seed} on {options.sites} sites, {options.minutes:g} minutes.", flush=True)
    stores = tuple(store for store in STORES if options.on in {None, store.kind})
    campaign = Campaign(seed, options.minutes, options.sites, options.kills, stores)
    record = campaign.run()
    for name, figure in record.lines():
        print(f"{name:<54} {figure}")
    for name, count in sorted(record.scenarios.items()):
        print(f"  {count:>4}  {name}")
    for name, reason in record.skipped.items():
        print(f"not run: {name}. {reason}")
    violations = [*record.violations, *record.missed_targets()]
    for sentence in violations:
        print(f"VIOLATION: {sentence}")
    if not options.print_only:
        write(block(record, campaign))
        for problem in pages.update():
            print(problem)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
