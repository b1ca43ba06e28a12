"""An experiment plan as a table to hand round: CSV, HTML or PDF, from the same rows.

The HTML is one page without scripts or anything from elsewhere. The PDF needs reportlab (extra ``report``) and shows
characters of Western European languages; others are spelled as escapes, since its built-in fonts lack them.
"""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from battery_analysis.analysis.extras import needs

_STYLE = """
body { font-family: sans-serif; margin: 2em; color: #1a1a1a; }
table { border-collapse: collapse; }
th, td { border: 1px solid #999; padding: 0.25em 0.6em; text-align: left; }
th { background: #eee; }
tr.open td { background: #fff4d6; }
"""
_MARGIN_MM = 15
_FONT_POINTS = 8


@dataclass(frozen=True)
class PlanSheet:
    """What is written: a title, facts, and a row for each cell; ``columns`` say which keys, under which headings."""

    title: str
    facts: Mapping[str, str]
    columns: Mapping[str, str]
    rows: Sequence[Mapping[str, Any]]

    def cells(self) -> list[list[str]]:
        """The rows as texts."""
        return [[_text(row[name]) for name in self.columns] for row in self.rows]


def plan_csv(sheet: PlanSheet) -> bytes:
    r"""Write the rows as CSV.

    >>> plan_csv(PlanSheet("loadings", {}, {"cell": "cell", "x": "loading"}, [{"cell": 1, "x": 2.5}]))
    b'cell,loading\n1,2.5\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(sheet.columns.values())
    writer.writerows(sheet.cells())
    return text.getvalue().encode()


def plan_html(sheet: PlanSheet) -> bytes:
    """Write a page of HTML; whatever names hold is text on it."""
    title = html.escape(sheet.title)
    facts = "".join(f"<p>{html.escape(name)}: {html.escape(value)}</p>\n" for name, value in sheet.facts.items())
    head = "".join(f"<th>{html.escape(name)}</th>" for name in sheet.columns.values())
    body = "".join(
        f'<tr class="{html.escape(str(row.get("state", "")))}">'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        + "</tr>\n"
        for row, cells in zip(sheet.rows, sheet.cells(), strict=True)
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{facts}"
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</body>\n</html>\n"
    ).encode()


def plan_pdf(sheet: PlanSheet) -> bytes:
    """Write a PDF on A4 across; the headings stand on every page.

    Raises:
        AnalysisError: reportlab is not installed (the extra is named).
    """
    with needs("report", "plan"):
        from reportlab.lib import colors
        from reportlab.lib.pagesizes import A4, landscape
        from reportlab.lib.styles import getSampleStyleSheet
        from reportlab.lib.units import mm
        from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, Spacer
    styles = getSampleStyleSheet()
    small = styles["BodyText"].clone("small", fontSize=_FONT_POINTS, leading=1.25 * _FONT_POINTS)
    width = landscape(A4)[0] - 2 * _MARGIN_MM * mm
    table = LongTable(
        [[Paragraph(f"<b>{_printable(name)}</b>", small) for name in sheet.columns.values()]]
        + [[Paragraph(_printable(cell), small) for cell in row] for row in sheet.cells()],
        colWidths=[width / len(sheet.columns)] * len(sheet.columns),
        repeatRows=1,
        style=[
            ("GRID", (0, 0), (-1, -1), 0.25, colors.grey),
            ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ],
    )
    facts = [Paragraph(f"{_printable(name)}: {_printable(value)}", small) for name, value in sheet.facts.items()]
    written = io.BytesIO()
    margins = dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), _MARGIN_MM * mm)
    title = _latin(sheet.title)
    document = SimpleDocTemplate(written, pagesize=landscape(A4), title=title, invariant=1, **margins)
    document.build([Paragraph(_printable(sheet.title), styles["Title"]), *facts, Spacer(0, 4 * mm), table])
    return written.getvalue()


WRITERS: Mapping[str, Callable[[PlanSheet], bytes]] = {"csv": plan_csv, "html": plan_html, "pdf": plan_pdf}
"""By the ending of the file."""


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _printable(text: str) -> str:
    """Text as a paragraph of a PDF takes it: no markup, no characters that its fonts lack."""
    return html.escape(_latin(text))


def _latin(text: str) -> str:
    return text.encode("cp1252", "backslashreplace").decode("cp1252")
