"""``battery-analysis formats``: what can be read, how it is recognised, what it maps."""

from __future__ import annotations

import sys

from cli.common import Context, command, new_app, run
from cli.output import print_json, print_table

app = new_app()


@command(app, "formats")
def formats(context: Context) -> None:
    """List what can be read, and how it is recognised."""
    from battery_analysis.readers import READERS

    known = [
        {
            "id": reader.name,
            "name": reader.name,
            "version": reader.version,
            "tester": reader.tester,
            "suffixes": sorted(reader.suffixes),
            "description": reader.description,
        }
        for reader in READERS
    ]
    if context.json:
        print_json(known)
    else:
        print_table(known, ["name", "tester", "suffixes", "description"])


if __name__ == "__main__":
    sys.exit(run(app))
