"""All records of a window as a file, streamed from the store without ever holding them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from dash import Dash, html
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError
from dashboard import links
from dashboard.data import series
from dashboard.pages.series_window import Wanted

PATH = "/series/records"
FORMS = {"csv": ("CSV", "text/csv"), "parquet": ("Parquet", "application/vnd.apache.parquet")}


def menu_lines(
    chosen: Sequence[str], names: Sequence[str], axis: str, first: str | None, last: str | None
) -> list[Component]:
    """Return links to the files of a window."""
    query = {"test": list(chosen), "signal": list(names), "axis": axis, "from": first, "to": last}
    return [
        html.P("All records in this window, not thinned", className="hint"),
        *(
            html.A(label, href=links.href(PATH, form=form, **query), className="button", download="")
            for form, (label, _) in FORMS.items()
        ),
    ]


def register(app: Dash) -> None:
    """Serve the files."""
    from fastapi import Query
    from fastapi.responses import PlainTextResponse, StreamingResponse

    def records(
        test: Annotated[list[str], Query()],
        signal: Annotated[list[str], Query()],
        form: str = "csv",
        axis: str = "h",
        first: Annotated[str, Query(alias="from")] = "",
        last: Annotated[str, Query(alias="to")] = "",
    ) -> Any:
        if form not in FORMS:
            return PlainTextResponse(f"form: one of {', '.join(FORMS)} wanted, got {form[:40]!r}", 400)
        try:
            wanted = Wanted(series.some(test), signal, axis, first, last)
            names = series.exported_columns(wanted.tests, wanted.names)
        except BatteryAnalysisError as exc:
            return PlainTextResponse(str(exc), 400)
        parts = series.records(wanted.tests, names, [wanted.span(each) for each in wanted.tests])
        written = series.as_csv(parts) if form == "csv" else series.as_parquet(parts)
        name = f"records.{form}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(written, media_type=FORMS[form][1], headers=headers)

    app.server.add_api_route(PATH, records, methods=["GET"], include_in_schema=False)
