"""``battery-analysis formats``: what can be read or is attached to what is read, and how it is recognised."""

from __future__ import annotations

import sys
from typing import Any

from cli.common import Context, command, new_app, run
from cli.output import print_json, print_table

app = new_app()


@command(app, "formats")
def formats(context: Context) -> None:
    """List what can be read, what is attached to tests, and how it is recognised."""
    from battery_analysis.readers import READERS, plug_ins
    from battery_analysis.readers.base import Reader
    from battery_analysis.readers.beside import BESIDE, BesideFormat
    from battery_analysis.readers.delimited import delimited_readers

    listed: list[Reader | BesideFormat] = [*READERS, *BESIDE, *plug_ins().readers]
    listed += delimited_readers(context.settings.mappings)
    known: list[dict[str, Any]] = [
        {
            "id": each.name,
            "name": each.name,
            "version": None if isinstance(each, BesideFormat) else each.version,
            "tester": each.tester,
            "suffixes": sorted(each.suffixes),
            "description": each.description,
        }
        for each in listed
    ]
    known += [
        {
            "id": refused.name,
            "name": refused.name,
            "version": None,
            "tester": None,
            "suffixes": [],
            "description": f"refused, from package {refused.package}: {refused.reason}",
        }
        for refused in plug_ins().refused
    ]
    if context.json:
        print_json(known)
    else:
        shown = [{**each, "suffixes": _suffixes_text(each["suffixes"])} for each in known]
        print_table(shown, ["name", "tester", "suffixes", "description"])


def _suffixes_text(suffixes: list[str]) -> str:
    """Spell suffixes; the numbers that some testers use for channels as a range.

    >>> _suffixes_text([".001", ".002", ".999", ".txt"])
    '.001 to .999, .txt'
    >>> _suffixes_text([".000"])
    '.000'
    """
    numbers = [suffix for suffix in suffixes if suffix[1:].isdigit()]
    words = [suffix for suffix in suffixes if suffix not in set(numbers)]
    return ", ".join([" to ".join(dict.fromkeys((numbers[0], numbers[-1]))), *words] if numbers else words)


if __name__ == "__main__":
    sys.exit(run(app))
