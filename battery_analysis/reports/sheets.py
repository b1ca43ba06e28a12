"""A report as PDF on A4, in the font that the figures have."""

from __future__ import annotations

import html
import io
from pathlib import Path
from typing import Any

from battery_analysis.analysis.extras import needs
from battery_analysis.reports.blocks import Block, Figure, Report, Table
from battery_analysis.reports.drawing import HEIGHT_INCH, WIDTH_INCH, draw

_MARGIN_MM = 18
_FONT, _BOLD = "DejaVuSans", "DejaVuSans-Bold"
_ACCENT, _GREY, _RULE = "#0072B2", "#555555", "#DDDDDD"


def to_pdf(report: Report) -> bytes:
    """Write a report as PDF; characters that its font lacks are spelled as escapes.

    Raises:
        AnalysisError: reportlab or matplotlib is not installed (the extra is named).
    """
    with needs("report", "report"):
        from reportlab.lib.pagesizes import A4
        from reportlab.lib.units import mm
        from reportlab.platypus import SimpleDocTemplate
    writer = _Writer(A4[0] - 2 * _MARGIN_MM * mm)
    written = io.BytesIO()
    margins = dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), _MARGIN_MM * mm)
    document = SimpleDocTemplate(
        written, pagesize=A4, title=report.title, subject=report.subtitle, creator="battery-analysis", **margins
    )

    def footer(canvas: Any, _: Any) -> None:
        canvas.saveState()
        canvas.setFont(_FONT, 7)
        canvas.setFillColor(_GREY)
        canvas.drawString(_MARGIN_MM * mm, 10 * mm, writer.printable(f"{report.title} · {report.made}"))
        canvas.drawRightString(A4[0] - _MARGIN_MM * mm, 10 * mm, f"page {canvas.getPageNumber()}")
        canvas.restoreState()

    document.build(writer.story(report), onFirstPage=footer, onLaterPages=footer)
    return written.getvalue()


class _Writer:
    """Turns blocks into what reportlab lays out."""

    def __init__(self, width: float) -> None:
        with needs("report", "report"):
            import matplotlib as mpl
            from reportlab.lib.styles import ParagraphStyle
            from reportlab.pdfbase import pdfmetrics
            from reportlab.pdfbase.ttfonts import TTFont
        fonts = Path(mpl.get_data_path()) / "fonts" / "ttf"
        for name in (_FONT, _BOLD):
            if name not in pdfmetrics.getRegisteredFontNames():
                pdfmetrics.registerFont(TTFont(name, fonts / f"{name}.ttf"))
        self._known = pdfmetrics.getFont(_FONT).face.charToGlyph
        self._width = width
        plain = {"fontName": _FONT, "fontSize": 9, "leading": 12.5, "textColor": "#1D1D1F"}
        self._text = ParagraphStyle("text", **plain, spaceAfter=4)
        self._cell = ParagraphStyle("cell", **{**plain, "fontSize": 7.5, "leading": 9.5})
        self._right = ParagraphStyle("right", parent=self._cell, alignment=2)
        self._caption = ParagraphStyle("caption", **{**plain, "fontSize": 7.5, "leading": 10, "textColor": _GREY})
        bold = {**plain, "fontName": _BOLD}
        self._title = ParagraphStyle("title", **{**bold, "fontSize": 18, "leading": 23})
        self._heading = ParagraphStyle(
            "heading", **{**bold, "fontSize": 11.5, "leading": 15, "textColor": _ACCENT}, spaceBefore=12, spaceAfter=4
        )

    def story(self, report: Report) -> list[Any]:
        """Everything in order; a heading stays with what follows it."""
        from reportlab.platypus import CondPageBreak, HRFlowable, Paragraph, Spacer

        told: list[Any] = [Paragraph(self._markup(report.title), self._title)]
        told += [Paragraph(self._markup(report.subtitle), self._caption), Spacer(0, 4)]
        told.append(HRFlowable(width="100%", thickness=1.5, color=_ACCENT, spaceAfter=4))
        for section in report.sections:
            needed = self._width * HEIGHT_INCH / WIDTH_INCH + 60 if isinstance(section.blocks[0], Figure) else 80
            told.append(CondPageBreak(needed))
            told.append(Paragraph(self._markup(section.heading), self._heading))
            for block in section.blocks:
                told += self._block(block)
        return told

    def printable(self, text: str) -> str:
        """Spell characters that the font lacks as escapes."""
        return "".join(
            char if ord(char) in self._known else char.encode("unicode_escape").decode("ascii") for char in text
        )

    def _markup(self, text: str, *, bold: bool = False) -> str:
        escaped = html.escape(self.printable(text))
        return f'<font name="{_BOLD}">{escaped}</font>' if bold else escaped

    def _block(self, block: Block) -> list[Any]:
        from reportlab.platypus import Image, KeepTogether, Paragraph, Spacer

        if isinstance(block, Table):
            return [self._table(block), Spacer(0, 6)]
        if isinstance(block, Figure):
            height = self._width * HEIGHT_INCH / WIDTH_INCH
            drawn = Image(io.BytesIO(draw(block, "png")), self._width, height)
            return [KeepTogether([drawn, Paragraph(self._markup(block.caption), self._caption)]), Spacer(0, 6)]
        return [Paragraph(self._markup(block), self._text)]

    def _table(self, table: Table) -> Any:
        from reportlab.platypus import LongTable, Paragraph

        def row(cells: list[str], *, bold: bool = False) -> list[Any]:
            return [
                Paragraph(self._markup(cell, bold=bold), self._right if at in table.numbers else self._cell)
                for at, cell in enumerate(cells)
            ]

        return LongTable(
            [row(list(table.headings), bold=True), *(row(list(cells)) for cells in table.rows)],
            colWidths=self._widths(table),
            repeatRows=1,
            hAlign="LEFT",
            style=[
                ("LINEBELOW", (0, 0), (-1, 0), 0.8, _GREY),
                ("LINEBELOW", (0, 1), (-1, -1), 0.3, _RULE),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 2),
                ("RIGHTPADDING", (0, 0), (-1, -1), 6),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
            ],
        )

    def _widths(self, table: Table) -> list[float]:
        """As wide as the texts are, all together no wider than the page."""
        from reportlab.pdfbase.pdfmetrics import stringWidth

        rows = [table.headings, *table.rows]
        padding = 12.0
        wanted = [
            max(stringWidth(self.printable(row[at]), _BOLD, 7.5) for row in rows) + padding
            for at in range(len(table.headings))
        ]
        spare = self._width - sum(wanted)
        if spare >= 0:
            return wanted
        # Whoever needs less than an equal share gets all of it, the others share the rest.
        fitted, room = dict.fromkeys(range(len(wanted)), 0.0), self._width
        left = sorted(fitted, key=lambda at: wanted[at])
        while left:
            at = left.pop(0)
            fitted[at] = min(wanted[at], room / (len(left) + 1))
            room -= fitted[at]
        return list(fitted.values())
