"""Run all benchmarks, or those named: ``python -m benchmarks [read_formats import_large import_many …]``.

Prints every line as it is measured; a run of all of them replaces ``benchmarks/RESULTS.md``.
"""

from __future__ import annotations

import importlib
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measuring import Row, machine

ALL = ("read_formats", "import_large", "import_many", "import_grown", "watching", "load_frame", "search")
RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> int:
    """Measure and print; exit status 1 if something does not reach what it should."""
    chosen = sys.argv[1:] or list(ALL)
    parts: dict[str, tuple[str, list[Row]]] = {}
    for name in chosen:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"\n{name}: {module.__doc__.strip()}", flush=True)
        rows = []
        for row in module.run():
            rows.append(row)
            print(f"  {row.what}: {row.value}{_verdict(row)}", flush=True)
        parts[name] = (module.__doc__.strip(), rows)
    if not sys.argv[1:]:
        RESULTS.write_text(_document(parts), encoding="utf-8")
    return int(any(row.holds is False for _, rows in parts.values() for row in rows))


def _verdict(row: Row) -> str:
    return "" if row.holds is None else f"  [{row.reach}: {'yes' if row.holds else 'NO'}]"


def _document(parts: dict[str, tuple[str, list[Row]]]) -> str:
    lines = ["# Benchmark results", "", f"{datetime.now(UTC):%Y-%m-%d}, {machine()}. Made by `make bench`.", ""]
    for name, (about, rows) in parts.items():
        lines += [f"## {name}", "", about, "", "| what | measured | to reach | reached |", "|---|---|---|---|"]
        for row in rows:
            reached = "" if row.holds is None else "yes" if row.holds else "no"
            lines.append(f"| {row.what} | {row.value} | {row.reach} | {reached} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
