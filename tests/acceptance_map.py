"""Which test shows which acceptance criterion: `make acceptance-map`. Fails on a number without a test."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

CRITERIA = {1: 7, 2: 5, 3: 4, 4: 5, 5: 5, 6: 5, 7: 4, 8: 7, 9: 6, 10: 4, 11: 4, 12: 5}
"""How many criteria each requirement has: R1.1 to R1.7, and so on."""

_NUMBER = re.compile(r"R(\d+)\.(\d+)")
_ROOT = Path(__file__).resolve().parent


def shown_by(path: Path) -> Iterator[tuple[str, str]]:
    """Pairs of a criterion's number and a test of that file whose docstring names it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            for match in _NUMBER.finditer(ast.get_docstring(node) or ""):
                yield match[0], f"{path.relative_to(_ROOT.parent)}::{node.name}"


def main() -> int:
    tests: dict[str, list[str]] = defaultdict(list)
    for path in sorted(_ROOT.rglob("test_*.py")):
        for number, test in shown_by(path):
            tests[number].append(test)
    numbers = [f"R{requirement}.{n}" for requirement, count in CRITERIA.items() for n in range(1, count + 1)]
    for number in numbers:
        print(f"{number:6} {len(tests[number])} test(s)")
        for test in tests[number]:
            print(f"         {test}")
    unknown = sorted(set(tests) - set(numbers))
    missing = [number for number in numbers if not tests[number]]
    if unknown:
        print(f"\nNo such criterion: {', '.join(unknown)}.")
    if missing:
        print(f"\nNo test shows: {', '.join(missing)}.")
    return 1 if missing or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
