"""A report as one page of HTML: no scripts, nothing from elsewhere, figures drawn within it."""

from __future__ import annotations

import base64
import html
import re

from battery_analysis.reports.blocks import Block, Figure, Report, Table
from battery_analysis.reports.drawing import draw

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #1d1d1f; background: #fff; }
main { max-width: 52rem; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.9rem; margin: 0 0 .2rem; } .subtitle { color: #555; margin: 0 0 1.5rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; padding-bottom: .25rem; border-bottom: 2px solid #0072b2; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; min-width: 50%; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #e3e3e3; }
th { color: #444; font-weight: 600; } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; } figure img { width: 100%; height: auto; } figcaption { color: #555; font-size: .85rem; }
footer { margin-top: 3rem; color: #777; font-size: .8rem; }
@media print { h2 { break-after: avoid; } figure, tr { break-inside: avoid; } }
"""


def to_html(report: Report) -> bytes:
    """Write a report as HTML; whatever names hold is text on it.

    Raises:
        AnalysisError: matplotlib is not installed (the extra is named).
    """
    title = html.escape(report.title)
    sections = "\n".join(
        f"<section>\n<h2>{html.escape(section.heading)}</h2>\n"
        + "\n".join(map(_block, section.blocks))
        + "\n</section>"
        for section in report.sections
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        f'<p class="subtitle">{html.escape(report.subtitle)}</p>\n{sections}\n'
        f"<footer>{html.escape(report.made)}</footer>\n</main>\n</body>\n</html>\n"
    ).encode("utf-8", "backslashreplace")


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Figure):
        return _figure(block)
    return f"<p>{html.escape(block)}</p>"


def _table(table: Table) -> str:
    def row(cells: list[str], tag: str) -> str:
        inside = "".join(
            f"<{tag}{' class=number' if at in table.numbers else ''}>{html.escape(cell)}</{tag}>"
            for at, cell in enumerate(cells)
        )
        return f"<tr>{inside}</tr>"

    body = "\n".join(row(list(cells), "td") for cells in table.rows)
    head = row(list(table.headings), "th")
    return f'<div class="wide"><table>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def _figure(figure: Figure) -> str:
    drawn = re.sub(rb"^.*?(?=<svg)", b"", draw(figure, "svg"), flags=re.DOTALL)
    # As an image: ids within several drawings of one page would be the same.
    source = "data:image/svg+xml;base64," + base64.b64encode(drawn).decode()
    words = html.escape(figure.caption)
    return f'<figure><img src="{source}" alt="{words}">\n<figcaption>{words}</figcaption></figure>'
