"""Photographs and documents on the pages of samples, cells and tests: shown, added, removed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from dashboard import parts
from dashboard.data import attached
from dashboard.data.attached import Attachment, Kind

AT_ONCE = 48
"""Files of tests that are in sight at once; the names of the others open below them."""


def card(kind: Kind, key: str, tests: Mapping[str, str] | None = None) -> Component:
    """Return photographs and documents, and where to add some.

    Args:
        kind: Whether of a sample or of a test.
        key: Name of the sample, or id of the test.
        tests: Names by id of tests whose files are shown below, each with its test; of a sample all of its tests where
            none are named.
    """
    drop = html.Div(
        [
            html.Button("Choose files", type="button", className="button plain", **{"data-action": "choose-files"}),
            html.Span("or drop them here", className="hint"),
            html.Span(role="status"),
        ],
        className="file-drop",
        **{"data-upload": "/attachments", "data-kind": kind, "data-key": key, "data-done": "attached-stale"},
    )
    of: dict[str, Any] = {"kind": kind, "key": key, "tests": None if tests is None else dict(tests)}
    shown = html.Div(files(**of), id="attached-files")
    said = html.Div(id="attached-said", role="status")
    unseen = html.Div([dcc.Store(id="attached-of", data=of), dcc.Store(id="attached-stale")], hidden=True)
    return parts.card("Photographs and documents", html.Div([shown, said, drop, unseen], className="stack"))


def files(kind: Kind, key: str, tests: Mapping[str, str] | None) -> Component:
    """Return photographs, then documents; those of tests after those of their sample."""
    own, (theirs, named) = attached.of(kind, key), _of_tests(kind, key, tests)
    if not own and not theirs:
        return html.P("Nothing is attached yet.", className="hint")
    listed = [*_listed(own, {})]
    if theirs:
        listed += [html.H3("Of its tests"), *_listed(theirs[:AT_ONCE], named)]
    if more := theirs[AT_ONCE:]:
        inside = html.Div([_line(each, named) for each in more], className="files")
        summary = html.Summary(f"{parts.count(len(more), 'more file')} of its tests", className="button plain")
        listed.append(html.Details([summary, inside], className="disclosure"))
    return html.Div(listed, className="stack")


def _of_tests(kind: Kind, key: str, tests: Mapping[str, str] | None) -> tuple[list[Attachment], Mapping[str, str]]:
    if tests is None and kind == "sample":
        return attached.of_tests_of(key)
    return (attached.of_tests(tests), tests) if tests else ([], {})


def _listed(found: Sequence[Attachment], tests: Mapping[str, str]) -> list[Component]:
    photographs = [_photograph(each, tests) for each in found if each.kind == "photograph"]
    documents = [_line(each, tests) for each in found if each.kind != "photograph"]
    return [
        *([html.Div(photographs, className="photographs")] if photographs else []),
        *([html.Div(documents, className="files")] if documents else []),
    ]


def _photograph(each: Attachment, tests: Mapping[str, str]) -> Component:
    address = f"/attachments/{each.id}"
    picture = html.A(html.Img(src=address, alt=each.name), href=address, target="_blank")
    return html.Div([picture, _line(each, tests)], className="photograph")


def _line(each: Attachment, tests: Mapping[str, str]) -> Component:
    link = html.A(each.name, href=f"/attachments/{each.id}", target="_blank")
    said = " · ".join(filter(None, (parts.size(each.size), f"{each.created_at:%Y-%m-%d}", each.created_by)))
    about: list[Any] = [link, html.Span(f" {said}", className="hint")]
    if (test_id := str(each.owner)) in tests:
        about += [" ", parts.test_link(test_id, tests[test_id])]
    remove = html.Button("×", type="button", className="icon-button", **{"aria-label": f"Remove {each.name}"})
    asked = dcc.ConfirmDialogProvider(
        remove, id={"type": "remove-attachment", "id": str(each.id)}, message=f"Remove {each.name} for good?"
    )
    return html.Div([html.Span(about), asked], className="file-line")


def brought(test_ids: Iterable[object]) -> Component | None:
    """Return the settings and logs that imports found beside tests."""
    found = attached.brought(test_ids)
    if not found:
        return None
    columns = {"name": "File", "title": "What it is", "size": "Size →"}
    rows = [
        {
            "name": html.A(each.name, href=f"/attachments/{each.id}", download=each.name) if each.extent else each.name,
            "title": each.title or each.kind,
            "size": parts.size(each.size),
        }
        for each in found
    ]
    return parts.card("Settings and logs", parts.table("Settings and logs", columns, rows))


def refresh(_: int | None, __: Sequence[int | None], of: Mapping[str, Any]) -> tuple[Any, Any]:
    """Draw the files anew after one arrived, or remove the one that the reader wants gone."""
    said = None
    pressed = ctx.triggered_id
    if isinstance(pressed, Mapping):
        if not any(each["value"] for each in ctx.triggered):
            return no_update, no_update
        gone = attached.remove(pressed["id"])
        said = parts.note(f"{gone.name} was removed.")
    return files(**of), said


def register_callbacks(app: Dash) -> None:
    """Wire the card, on whichever page it is."""
    app.callback(
        Output("attached-files", "children"),
        Output("attached-said", "children"),
        Input("attached-stale", "data"),
        Input({"type": "remove-attachment", "id": ALL}, "submit_n_clicks"),
        State("attached-of", "data"),
        prevent_initial_call=True,
    )(refresh)
