"""Run all benchmarks, or those named: ``python -m benchmarks [read_formats import_large import_many …]``.

Prints every line as it is measured, and replaces its part of ``benchmarks/RESULTS.md``.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measuring import Row, machine

ALL = (
    *("read_formats", "import_large", "import_many", "import_grown", "watching"),
    *("load_frame", "search", "analyses", "dashboard", "beside_aurora"),
)
RESULTS = Path(__file__).with_name("RESULTS.md")
HEADING = "# Benchmark results\n\nMade by `make bench`.\n\n"


def main() -> int:
    """Measure and print; exit status 1 if something does not reach what it should."""
    whole = True
    for name in sys.argv[1:] or ALL:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"\n{name}: {module.__doc__.strip()}", flush=True)
        rows = []
        for row in module.run():
            rows.append(row)
            print(f"  {row.what}: {row.value}{_verdict(row)}", flush=True)
        whole = whole and not any(row.holds is False for row in rows)
        before = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else HEADING
        RESULTS.write_text(with_part(before, name, _part(module.__doc__.strip(), rows)), encoding="utf-8")
    return int(not whole)


def _verdict(row: Row) -> str:
    return "" if row.holds is None else f"  [{row.reach}: {'yes' if row.holds else 'NO'}]"


def with_part(text: str, name: str, part: str) -> str:
    """Return results with the part of one benchmark replaced, or added at the end."""
    head, *others = re.split(r"^## ", text, flags=re.MULTILINE)
    parts = dict(each.split("\n", 1) for each in others) | {name: f"\n{part}\n"}
    ordered = sorted(parts, key=lambda each: ALL.index(each) if each in ALL else len(ALL))
    return head + "".join(f"## {each}\n{parts[each]}" for each in ordered)


def _part(about: str, rows: Sequence[Row]) -> str:
    lines = [about, "", f"{datetime.now(UTC):%Y-%m-%d}, {machine()}.", ""]
    lines += ["| what | measured | to reach | reached |", "|---|---|---|---|"]
    for row in rows:
        reached = "" if row.holds is None else "yes" if row.holds else "no"
        lines.append(f"| {row.what} | {row.value} | {row.reach} | {reached} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
