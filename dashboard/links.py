"""Deep links: the address holds what is selected, so that it can be sent to a colleague.

A control whose value belongs into the address has the id ``control(page, name)``. One callback for the whole product
writes such values into the query as they change, without reloading; opening the address hands them to the page's
``layout(**query)`` as texts, which the readers below turn into values. What cannot be read counts as not given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from urllib.parse import parse_qs, quote, urlencode

from dash import ALL, ClientsideFunction, Dash, Input, Output

Given = str | list[str] | None
"""What a query holds under a name: nothing, one text, or several."""


def control(page: str, name: str) -> dict[str, str]:
    """Return the id of a control whose value the address holds as ``?name=value``.

    Args:
        page: The page's own word, which keeps controls of the same name on different pages apart.
        name: The name in the query, which ``layout`` takes as its argument.
    """
    return {"page": page, "query": name}


def href(path: str, **query: object) -> str:
    """Return a link to a page with a selection; what is None or empty is left out.

    Example:
        >>> href("/tests", text="rate test", tester=["Arbin", "Neware"], sample=None)
        '/tests?text=rate+test&tester=Arbin&tester=Neware'
    """
    given = {name: value for name, value in query.items() if value not in (None, "", [], ())}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def test(test_id: object) -> str:
    """Return the address of a test's page."""
    return f"/test/{quote(str(test_id), safe='')}"


def cell(code: str) -> str:
    """Return the address of a cell's page."""
    return href("/cell", cell=code)


def sample(name: str) -> str:
    """Return the address of a sample's page; names may hold what no path can, such as ``..``."""
    return href("/sample", sample=name)


def raw_file(raw_id: object) -> str:
    """Return the address of a raw file in the list of raw files."""
    return href("/raw-files", id=raw_id)


def job(job_id: object) -> str:
    """Return the address of an import job."""
    return href("/import", job=job_id)


def read(search: str | None) -> Mapping[str, Given]:
    """Return what a query holds.

    Example:
        >>> read("?text=rate&tester=Arbin&tester=Neware")
        {'text': 'rate', 'tester': ['Arbin', 'Neware']}
    """
    found = parse_qs((search or "").removeprefix("?"))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def text(given: Given) -> str | None:
    """Return one text, the first where there are several."""
    return next(iter(texts(given)), None)


def texts(given: Given) -> list[str]:
    """Return all texts."""
    return [given] if isinstance(given, str) else list(given or ())


def whole(given: Given) -> int | None:
    """Return a whole number; one that no browser or database holds exactly counts as not given."""
    try:
        value = int(text(given) or "")
    except ValueError:
        return None
    return value if abs(value) < 2**53 else None


def number(given: Given) -> float | None:
    """Return a number; one that is infinite or none at all counts as not given."""
    try:
        value = float(text(given) or "")
    except ValueError:
        return None
    return value if value - value == 0 else None


def day(given: Given) -> date | None:
    """Return a day written YYYY-MM-DD."""
    try:
        return date.fromisoformat(text(given) or "")
    except ValueError:
        return None


def choice(given: Given, allowed: Sequence[str]) -> str:
    """Return one of several words, the first of them where the query has none of them."""
    wanted = text(given)
    return wanted if wanted is not None and wanted in allowed else allowed[0]


def register_callbacks(app: Dash) -> None:
    """Write the values of the controls into the address as they change."""
    app.clientside_callback(
        ClientsideFunction("dashboard", "writeQuery"),
        Output("url", "search", allow_duplicate=True),
        Output("url", "href", allow_duplicate=True),
        Input({"page": ALL, "query": ALL}, "value"),
        prevent_initial_call=True,
    )
