"""The original files: found, and downloaded byte for byte."""

from __future__ import annotations

from dash import Dash, dcc, html
from dash.development.base_component import Component

from dashboard import downloads, grid, links, parts
from dashboard.data import raw_files
from dashboard.grid import Column, Rows, Wanted
from dashboard.links import Given

PATH = "/raw-files"
TITLE = "Raw files"
GROUP = "Find"

COLUMNS = (
    Column("filename", "File", sort="name", link="/raw-files?id=", width=280),
    Column("size", "Size", "B", kind="whole", sort="size", width=120),
    Column("test", "Test", link="/test/", link_field="test_id", width=220),
    Column("sample", "Sample", link="/sample?sample=", link_field="sample", width=140),
    Column("operator", "Operator", sort="operator", width=110),
    Column("device", "Device", sort="device", width=120, hidden=True),
    Column("file_type", "Type", sort="type", width=90),
    Column("versions", "Versions", kind="whole"),
    Column("sha256", "SHA-256", width=220),
    Column("created_at", "Kept since (UTC)", kind="moment", sort="kept"),
    Column("updated_at", "Last version (UTC)", kind="moment", sort="changed", hidden=True),
    Column("tags", "Tags", kind="tags"),
    Column("cell_code", "Cell", link="/cell?cell=", link_field="cell_code", width=110, hidden=True),
    Column("paths", "Seen at", width=360, hidden=True),
    Column("job", "Import job", link="/import?job=", link_field="job", width=200, hidden=True),
)


def layout(id: Given = None, **query: Given) -> Component:
    """Return the page with the filters, and the one file, that the address holds."""
    values = raw_files.choices()
    if not values["file_type"] and not values["operator"]:
        return parts.page(TITLE, parts.empty("No raw file is kept yet.", parts.to_import()))
    text, here = links.text, _id
    filters = parts.toolbar(
        parts.text_input(here("name"), "Name", text(query.get("name")), placeholder="any part of it"),
        parts.text_input(here("sha256"), "SHA-256", text(query.get("sha256")), placeholder="its first digits"),
        parts.text_input(here("test"), "Test", text(query.get("test")), placeholder="name or id"),
        parts.text_input(here("sample"), "Sample", text(query.get("sample")), placeholder="its name"),
        parts.select(
            here("operator"), "Operator", values["operator"], text(query.get("operator")), every="All operators"
        ),
        parts.select(here("file_type"), "Type", values["file_type"], text(query.get("file_type")), every="All types"),
        parts.text_input(here("job"), "Import job", text(query.get("job")), placeholder="id"),
    )
    chosen = text(id)
    detail = html.Div(show(chosen) if chosen else None, id="raw-file")
    height = "calc(100vh - 260px)" if not chosen else "50vh"
    return parts.page(TITLE, detail, filters, grid.server_grid("raw-files", COLUMNS, query, height=height))


def _id(name: str) -> dict[str, str]:
    return links.control("raw-files", name)


def show(raw_id: str) -> Component:
    """Return what is known of one file, and the links to its bytes."""
    raw = raw_files.one(raw_id)
    test = raw_files.test_of(raw)
    known: dict[str, parts.Children] = {
        "SHA-256": html.Code(raw.sha256, className="digest"),
        "Size": f"{parts.size(raw.size)} ({raw.size:,} B)",
        "Test": parts.test_link(test.id, test.name) if test else "none: its import failed",
        "Sample": parts.sample_link(test.sample_name) if test else None,
        "Operator": raw.operator,
        "Device": raw.acquisition_device,
        "Import": parts.job_link(raw.import_job),
        "Kept since": parts.moment(raw.created_at),
        "Tags": parts.badges(raw.tags) if raw.tags else None,
        "Seen at": html.Ul([html.Li(place.path) for place in raw.sources]),
    }
    newest = next(each for each in raw.versions if each.sha256 == raw.sha256)
    save = _download("Download", raw.id, None, "primary") if newest.extent else None
    back = dcc.Link("All raw files", href=PATH, className="button plain")
    return parts.card(
        raw.filename,
        parts.facts(known, {str(key): str(value) for key, value in raw.metadata.items()}),
        _versions(raw),
        parts.note("This file was imported without keeping its bytes.", tone="warning") if not newest.extent else None,
        actions=[each for each in (save, back) if each is not None],
        wide=True,
    )


def _versions(raw: raw_files.RawFile) -> Component | None:
    if len(raw.versions) < 2:
        return None
    columns = {"seen": "Seen (UTC)", "size": "Size →", "sha256": "SHA-256", "bytes": ""}
    rows = [
        {
            "seen": parts.moment(each.seen_at),
            "size": parts.size(each.size),
            "sha256": html.Code(each.sha256, className="digest"),
            "bytes": _download("Download", raw.id, each.sha256, "plain") if each.extent else "bytes no longer kept",
        }
        for each in reversed(raw.versions)
    ]
    return html.Div([html.H3(f"{len(rows)} versions, newest first"), parts.table("Versions", columns, rows)])


def _download(label: str, raw_id: object, sha256: str | None, kind: str) -> Component:
    # Not a dcc.Link: the browser itself follows it, and saves what comes.
    return html.A(label, href=downloads.raw_address(raw_id, sha256), download="", className=f"button {kind}")


def fetch(wanted: Wanted) -> Rows:
    """Return the rows that the table asks for."""
    found, total = raw_files.listed(raw_files.query(wanted.chosen, wanted.sort), wanted.first, wanted.last)
    return Rows(found, total)


def register_callbacks(app: Dash) -> None:
    """Wire the table to its filters, and add the route of the bytes."""
    downloads.register_routes(app.server)
    controls = {name: _id(name) for name in raw_files.FILTERS}
    grid.register_server_grid(app, "raw-files", COLUMNS, fetch, controls, word="raw file")
