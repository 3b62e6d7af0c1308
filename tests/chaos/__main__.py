"""`python -m tests.chaos`: runs a campaign, prints its result and writes it to docs/reliability.md."""

from __future__ import annotations

import argparse
import random
import sys
from datetime import UTC, datetime

from tests.acceptance.harness import ROOT
from tests.chaos.campaign import PLACES, Campaign
from tests.chaos.record import Record

_BEGIN, _END = "<!-- chaos: written by `make chaos` -->", "<!-- /chaos -->"


def block(record: Record, campaign: Campaign) -> str:
    """Return the table of a campaign for docs/reliability.md."""
    options = f"SEED={campaign.seed} MINUTES={campaign.minutes:g} SITES={campaign.sites}"
    options += f" KILLS={campaign.kills}" if campaign.kills else ""
    options += f" ON={campaign.places[0].kind}" if len(campaign.places) == 1 else ""
    kinds = [place.kind for place in campaign.places[: campaign.sites] if place.kind not in record.skipped]
    over = " and ".join([", ".join(kinds[:-1]), kinds[-1]] if len(kinds) > 1 else kinds)
    lines = [
        f"`make chaos {options}` on {datetime.now(UTC):%Y-%m-%d}, over {over}:",
        "",
        "| what was counted | |",
        "| --- | --- |",
        *(f"| {name} | {figure} |" for name, figure in record.lines()),
        *(f"| violations | {sentence} |" for sentence in [*record.wrong, *record.missed_aims()]),
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
    parser.add_argument("--seed", type=int, help="the same seed selects the same stories; default: random")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--kills", type=int, help="end after this number of kills")
    parser.add_argument(
        "--sites",
        type=int,
        default=len(PLACES),
        help="number of parallel sites: SQLite, PostgreSQL and Firestore in turn",
    )
    parser.add_argument("--on", choices=[place.kind for place in PLACES], help="use this store for all sites")
    parser.add_argument("--no-readme", action="store_true", help="only print")
    options = parser.parse_args()
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    print(f"Chaos with seed {seed} on {options.sites} sites, {options.minutes:g} minutes.", flush=True)
    places = tuple(place for place in PLACES if options.on in {None, place.kind})
    campaign = Campaign(seed, options.minutes, options.sites, options.kills, places)
    record = campaign.run()
    for name, figure in record.lines():
        print(f"{name:<54} {figure}")
    for name, count in sorted(record.stories.items()):
        print(f"  {count:>4}  {name}")
    for name, reason in record.skipped.items():
        print(f"not run: {name}. {reason}")
    wrong = [*record.wrong, *record.missed_aims()]
    for sentence in wrong:
        print(f"VIOLATION: {sentence}")
    if not options.no_readme:
        write(block(record, campaign))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
