"""``battery-analysis report CODE…``: one cell, or several side by side, as a page of HTML or a PDF."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.common import Context, command, new_app, open_store, run
from cli.output import print_json, say_written

SUFFIXES = (".pdf", ".html")

app = new_app()


def _writable(out: Path) -> Path:
    if out.suffix.lower() not in SUFFIXES:
        raise typer.BadParameter(f"{str(out)!r} ends in {out.suffix!r}, not in {' or '.join(SUFFIXES)}")
    return out


@command(app, "report")
def report(
    context: Context,
    codes: Annotated[list[str], typer.Argument(metavar="CODE...", help="Cells; several are compared.")],
    out: Annotated[Path, typer.Option(metavar="FILE", callback=_writable, help="FILE.pdf or FILE.html.")],
) -> None:
    """Report on a cell, or compare several, from what is stored: facts, figures, fade, quality and what is missing.

    Needs the extra 'report'.
    """
    from datetime import UTC, datetime

    from battery_analysis import __version__
    from battery_analysis.files import check_writable, replacing
    from battery_analysis.reports.composing import made_at, report_of
    from battery_analysis.store.reporting import load_cell

    check_writable(out)
    with open_store(context) as store:
        cells = [load_cell(store, code) for code in dict.fromkeys(codes)]
    composed = report_of(cells, made_at(datetime.now(UTC), __version__))
    if out.suffix.lower() == ".pdf":
        from battery_analysis.reports.sheets import to_pdf as write
    else:
        from battery_analysis.reports.page import to_html as write
    written = write(composed)
    with replacing(out) as file:
        file.write(written)
    say_written(out)
    if context.json:
        sections = [section.heading for section in composed.sections]
        print_json({"file": out, "title": composed.title, "sections": sections})


def main() -> int:
    """Run this command alone and return its exit status."""
    return run(app, name="report")


if __name__ == "__main__":
    sys.exit(main())
