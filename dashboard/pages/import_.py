"""Files into the store: uploaded here, or from folders of the server; and how imports go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update, set_props
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError
from dashboard import grid, links, live, parts, uploads
from dashboard.data import folders, incoming, jobs, previews
from dashboard.data.requests import Asked
from dashboard.grid import Rows, Wanted
from dashboard.links import Given
from dashboard.pages import import_form as form
from dashboard.pages import import_jobs as shown

PATH = "/import"
TITLE = "Import"
GROUP = "Watch"

_SEVERAL = 6
_PICKS_FILES: dict[str, Any] = {"data-pick": "files"}
_PICKS_FOLDER: dict[str, Any] = {"data-pick": "folder"}


def layout(
    upload: Given = None,
    folder: Given = None,
    job: Given = None,
    outcome: Given = None,
    text: Given = None,
    **query: Given,
) -> Component:
    """Return the page; an address may name a job, an upload that waits to be imported, or a folder of the server."""
    if (chosen := links.text(job)) is not None:
        return _job_page(chosen, links.text(outcome), links.text(text), query)
    if (batch := links.text(upload)) is not None:
        return parts.page(TITLE, _looked_at(batch))
    place = links.text(folder)
    return parts.page(
        TITLE,
        parts.grid(_upload_card() if place is None else None, _folder_card(place)),
        parts.card("Imports", html.Div(job_list(), id="import-jobs"), *live.ticking("import-jobs"), wide=True),
    )


# Uploads


def _upload_card() -> Component:
    zone = html.Div(
        [
            html.P("Drop files or folders here"),
            html.Div(
                [
                    parts.button("Choose files", "pick-files", kind="primary", **_PICKS_FILES),
                    parts.button("Choose a folder", "pick-folder", **_PICKS_FOLDER),
                ],
                className="actions",
            ),
            html.P(
                "Any size, also zip and tar archives. Nothing is stored before you have seen what the files are.",
                className="hint",
            ),
        ],
        className="drop",
        **{"data-import-drop": ""},
    )
    waiting = html.Div(_waiting(), id="uploads-waiting")
    return parts.card("Upload", zone, html.Div(id="upload-progress", role="status"), waiting)


def _waiting() -> Component | None:
    incoming.tidy()
    batches = incoming.under_way()
    if not batches:
        return None
    columns = {"files": "Uploaded, not imported yet", "here": "Here →", "do": ""}
    rows = [
        {
            "files": html.Span(_names(batch), className="path"),
            "here": parts.size(batch.total_bytes)
            if batch.is_complete
            else f"{parts.size(batch.received_bytes)} of {parts.size(batch.total_bytes)}",
            "do": html.Div(
                [
                    dcc.Link("Look and import", href=links.href(PATH, upload=batch.id), className="button small")
                    if batch.is_complete
                    else html.Span("drop the same files again to go on", className="hint"),
                    _remove(batch.id),
                ],
                className="actions",
            ),
        }
        for batch in batches
    ]
    return html.Div(
        [
            parts.table("Uploads that are not imported yet", columns, rows),
            parts.note(f"What is not imported goes {incoming.KEPT_HOURS} hours after its last byte came."),
        ],
        className="stack",
    )


def _remove(batch_id: str) -> Component:
    return parts.button("Remove", {"type": "batch-remove", "batch": batch_id}, kind="danger")


def _names(batch: incoming.Batch) -> str:
    names = [each.path for each in batch.files]
    return ", ".join(names[:_SEVERAL]) + (f" and {len(names) - _SEVERAL} more" if len(names) > _SEVERAL else "")


def _looked_at(batch_id: str) -> Component:
    """Return what an upload holds, and the button that imports it."""
    batch = incoming.spool().batch(batch_id)
    if not batch.is_complete:
        here = f"{parts.size(batch.received_bytes)} of {parts.size(batch.total_bytes)} are here"
        return parts.card(
            "Upload", parts.empty(f"This upload is not complete: {here}.", dcc.Link("Go on with it", href=PATH))
        )
    look = previews.of_batch(batch_id)
    actions = html.Div(
        [
            parts.button("Import", "upload-confirm", kind="primary"),
            _remove(batch_id),
            dcc.Link("Later", href=PATH, className="button plain"),
        ],
        className="actions",
    )
    return parts.card(
        f"{parts.count(len(batch.files), 'uploaded file')}, {parts.size(batch.total_bytes)}",
        html.Div(
            [
                parts.note(
                    "Nothing is stored yet. Look at what the files are, correct their samples, then import; "
                    f"what is not imported within {incoming.KEPT_HOURS} hours goes."
                ),
                html.Div(form.preview(look, editable=look.is_done), id="upload-preview", className="stack"),
                form.fields("upload"),
                html.Div(id="upload-said", role="alert"),
                actions,
            ],
            className="stack",
        ),
        dcc.Store(id="upload-batch", data=batch_id),
        dcc.Interval(id="upload-tick", interval=2_000, disabled=look.is_done),
    )


def look_again(_: int, batch_id: str) -> tuple[Any, bool]:
    """Draw what was found so far; once all is, for the last time, since its fields are then for people."""
    look = previews.of_batch(batch_id)
    return form.preview(look, editable=look.is_done), look.is_done


def confirm(clicks: int | None, batch_id: str, values: Sequence[Any], samples: Sequence[str | None]) -> tuple[Any, Any]:
    """Import an upload, with the samples as they stand in the fields."""
    if not clicks:
        return no_update, no_update
    how = Asked.of(_form(values, 1))
    paths = [each["id"]["path"] for each in ctx.states_list[2]]
    typed = {path: (sample or "").strip() for path, sample in zip(paths, samples, strict=True)}
    try:
        look = previews.of_batch(batch_id)
        if (reason := form.not_ready(look, typed, how)) is not None:
            return parts.problem(reason), no_update
        found = {each.relative: each for each in look.found}
        changed = {
            path: name
            for path, name in typed.items()
            if name and (form.is_nameless(found[path]) or _decided(found[path]) != name)
        }
        incoming.confirm(batch_id, how, changed)
        previews.forget_batch(batch_id)
    except BatteryAnalysisError as exc:
        return parts.problem(exc), no_update
    return None, PATH


def _decided(found: previews.Found) -> str | None:
    return found.decision.sample if found.decision else None


def remove(clicks: Sequence[int | None]) -> Any:
    """Remove an upload that nobody wants to import."""
    if not any(clicks):
        return no_update
    batch_id = ctx.triggered_id["batch"]
    incoming.spool().discard(batch_id)
    previews.forget_batch(batch_id)
    return links.href(PATH)


# Folders of the server


def _folder_card(place: str | None) -> Component:
    title = "From a folder of the server"
    if not folders.roots():
        step = [
            "Whoever runs this dashboard names the folders in ",
            html.Code("~/.battery_analysis.toml"),
            ": ",
            html.Code('import_roots = ["/data/cyclers"]'),
        ]
        return parts.card(title, parts.empty("No folder of the server is open for import.", step))
    if place is None:
        roots = [html.Li(dcc.Link(str(root), href=_address(str(root)), className="path")) for root in folders.roots()]
        return parts.card(title, html.Ul(roots, className="stack"))
    listing = folders.listing(place)
    inside = [dcc.Link(f"{name}/", href=_address(f"{listing.path}/{name}")) for name in listing.folders]
    inside += [dcc.Link(name, href=_address(f"{listing.path}/{name}")) for name in listing.archives]
    files = parts.count(listing.files, "other file") if inside else parts.count(listing.files, "file")
    cut = f"; only the first {folders.SHOWN} folders and archives are listed" if listing.is_cut else ""
    what = "Import this folder" if listing.path.is_dir() else "Import this archive"
    return parts.card(
        title,
        html.Div(
            [
                _crumbs(listing),
                html.Div(inside, className="names") if inside else None,
                html.P(f"{files} here{cut}", className="hint") if listing.path.is_dir() else None,
                form.fields("folder"),
                html.Div(
                    [
                        parts.button(what, "folder-import", kind="primary"),
                        parts.button("Look at the first files", "folder-look"),
                        dcc.Link("Back", href=PATH, className="button plain"),
                    ],
                    className="actions",
                ),
                html.Div(id="folder-said", role="alert"),
                html.Div(id="folder-preview", className="stack"),
            ],
            className="stack",
        ),
        dcc.Store(id="folder-chosen", data=str(listing.path)),
        dcc.Store(id="folder-asked"),
        dcc.Interval(id="folder-tick", interval=2_000, disabled=True),
    )


def _address(path: str) -> str:
    return links.href(PATH, folder=path)


def _crumbs(listing: folders.Listing) -> Component:
    """Return the way from the root to a folder, each step a link."""
    root = listing.root.resolve()
    steps: list[Any] = [dcc.Link(str(listing.root), href=_address(str(root)))]
    below = listing.path.relative_to(root).parts
    for depth, name in enumerate(below, start=1):
        steps += [" / ", dcc.Link(name, href=_address(str(root.joinpath(*below[:depth]))))]
    return html.P(steps, className="path")


def look_into_folder(clicks: int | None, folder: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """Begin to read the first files of a folder, as the form says."""
    if not clicks:
        return no_update, no_update, no_update, no_update
    asked = _form(values, 1)
    try:
        look = previews.of_folder(folders.checked(folder), Asked.of(asked), anew=True)
    except BatteryAnalysisError as exc:
        return parts.problem(exc), None, no_update, True
    return None, form.preview(look, editable=False), asked, False


def look_into_folder_again(_: int, folder: str, asked: Mapping[str, Any] | None) -> tuple[Any, bool]:
    """Draw what was found so far."""
    look = previews.of_folder(folders.checked(folder), Asked.of(asked or {}))
    return form.preview(look, editable=False), look.is_done


def import_folder(clicks: int | None, folder: str, values: Sequence[Any]) -> tuple[Any, Any]:
    """Import a folder, as the form says."""
    if not clicks:
        return no_update, no_update
    try:
        how = Asked.of(_form(values, 1))
        folders.begin(folder, how)
    except BatteryAnalysisError as exc:
        return parts.problem(exc), no_update
    return None, PATH


def _form(values: Sequence[Any], place: int) -> dict[str, Any]:
    """Return the values of a form by the names of its fields; ``place`` is that of the form among the states."""
    return {each["id"]["field"]: value for each, value in zip(ctx.states_list[place], values, strict=True)}


# Jobs


def job_list() -> list[Component]:
    """Return the newest jobs."""
    return shown.table(jobs.recent(), jobs.beginning())


def _job_page(job_id: str, outcome: str | None, text: str | None, query: Mapping[str, Given]) -> Component:
    progress = jobs.one(job_id)
    chosen = dcc.Input(id=links.control("import", "job"), type="hidden", value=job_id)
    files = shown.card(progress, outcome, text, query)
    return parts.page(TITLE, files, chosen, *live.ticking("job"), *live.ticking("job-do"))


def ask(clicks: Sequence[int | None], sure: Sequence[int | None], job_id: str) -> Any:
    """Ask something of a job; a rollback only from those who are sure."""
    if not any((*clicks, *sure)) or not ctx.triggered_id:
        return no_update
    wish = ctx.triggered_id["wish"]
    if wish == "rollback" and ctx.triggered_id["type"] == "job-wish":
        return _are_you_sure(job_id)
    if wish == "keep":
        return None
    try:
        jobs.ask(job_id, wish)
    except BatteryAnalysisError as exc:
        return parts.problem(exc)
    now = jobs.one(job_id)
    set_props("job-facts", {"children": shown.facts(now)})
    set_props("job-actions", {"children": shown.actions(now)})
    return None


def _are_you_sure(job_id: str) -> Component:
    made = parts.count(jobs.stored_tests(job_id), "test")
    buttons = [
        parts.button("Roll back", {"type": "job-sure", "wish": "rollback"}, kind="danger"),
        parts.button("Keep it", {"type": "job-sure", "wish": "keep"}),
    ]
    what = f"{made} that this import made will be removed, and what it updated will be as before."
    return parts.card("Roll back this import?", html.P(what), html.Div(buttons, className="actions"))


def fetch_files(wanted: Wanted) -> Rows:
    """Return what became of the files of a job."""
    found, total = jobs.files(wanted.chosen["job"], wanted.chosen, wanted.sort, wanted.first, wanted.last)
    return Rows(shown.rows(jobs.one(wanted.chosen["job"]), found), total)


def register_callbacks(app: Dash) -> None:
    """Wire the page, and add the routes by which files arrive."""
    uploads.register_routes(app.server)
    to = Output("url", "href", allow_duplicate=True)
    batch = State("upload-batch", "data")
    app.callback(
        Output("upload-preview", "children"),
        Output("upload-tick", "disabled"),
        Input("upload-tick", "n_intervals"),
        batch,
        prevent_initial_call=True,
    )(look_again)
    app.callback(
        Output("upload-said", "children"),
        to,
        Input("upload-confirm", "n_clicks"),
        batch,
        State(form.control("upload", ALL), "value"),
        State({"type": "upload-sample", "path": ALL}, "value"),
        prevent_initial_call=True,
    )(confirm)
    app.callback(to, Input({"type": "batch-remove", "batch": ALL}, "n_clicks"), prevent_initial_call=True)(remove)
    folder, asked = State("folder-chosen", "data"), State(form.control("folder", ALL), "value")
    app.callback(
        Output("folder-said", "children", allow_duplicate=True),
        Output("folder-preview", "children", allow_duplicate=True),
        Output("folder-asked", "data"),
        Output("folder-tick", "disabled", allow_duplicate=True),
        Input("folder-look", "n_clicks"),
        folder,
        asked,
        prevent_initial_call=True,
    )(look_into_folder)
    app.callback(
        Output("folder-preview", "children"),
        Output("folder-tick", "disabled"),
        Input("folder-tick", "n_intervals"),
        folder,
        State("folder-asked", "data"),
        prevent_initial_call=True,
    )(look_into_folder_again)
    app.callback(
        Output("folder-said", "children"),
        to,
        Input("folder-import", "n_clicks"),
        folder,
        asked,
        prevent_initial_call=True,
    )(import_folder)
    live.register(app, "import-jobs", "import-jobs", job_list)
    _register_job(app)


def _register_job(app: Dash) -> None:
    job = links.control("import", "job")
    app.callback(
        Output("job-said", "children"),
        Input({"type": "job-wish", "wish": ALL, "job": ALL}, "n_clicks"),
        Input({"type": "job-sure", "wish": ALL}, "n_clicks"),
        State(job, "value"),
        prevent_initial_call=True,
    )(ask)
    live.register(app, "job", "job-facts", lambda job_id: shown.facts(jobs.one(job_id)), State(job, "value"))
    live.register(app, "job-do", "job-actions", lambda job_id: shown.actions(jobs.one(job_id)), State(job, "value"))
    controls = {name: links.control("import", name) for name in ("outcome", "text", "job")}
    live.refresh_grid(app, "job", shown.FILES)
    grid.register_server_grid(app, shown.FILES, shown.COLUMNS, fetch_files, controls, word="file")
