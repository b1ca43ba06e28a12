"""Ad hoc scripts: files that whoever runs the server puts into a folder, each a page of its own in one tab.

A script is a Python file with a function ``layout()``; one named ``register_callbacks(app)``, if there is one, is
called when the dashboard starts. They stand in ``dashboard/adhoc_scripts`` and in the folder that the setting
``adhoc_scripts`` names; nothing is ever taken from a browser but the name of a script that stands there. Whatever a
script raises becomes a ``ScriptError``, which is shown in its own place.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from dash import Dash, html
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError, NotFoundError
from dashboard import data, parts

OWN_SCRIPTS = Path(__file__).parent / "adhoc_scripts"


class ScriptError(BatteryAnalysisError):
    """A script failed; the message names its line and what it raised."""


@dataclass(frozen=True)
class Script:
    """A script that stands in one of the folders."""

    name: str
    """As the address writes it."""
    title: str
    path: Path
    is_wired: bool
    """Whether it has callbacks, which are registered when the dashboard starts."""


def scripts() -> list[Script]:
    """Return all scripts by title, without running any; those that cannot be parsed are among them."""
    found: dict[str, Script] = {}
    folder = data.settings().adhoc_scripts
    for path in [*sorted(OWN_SCRIPTS.glob("*.py")), *(sorted(folder.glob("*.py")) if folder else [])]:
        script = None if path.name.startswith("_") else _script(path, taken=path.stem in found)
        if script is not None:
            found[script.name] = script
    return sorted(found.values(), key=lambda each: each.title.casefold())


def _script(path: Path, *, taken: bool) -> Script | None:
    name = f"{path.parent.name}/{path.stem}" if taken else path.stem
    title = path.stem.replace("_", " ").capitalize()
    try:
        body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError, OSError):  # shown in its place, where it is loaded
        return Script(name, title, path, is_wired=False)
    bound = _bound(body)
    if "layout" not in bound:
        return None
    given = bound.get("TITLE")
    if isinstance(given, ast.Constant) and isinstance(given.value, str) and given.value.strip():
        title = given.value
    return Script(name, title, path, is_wired="register_callbacks" in bound)


def _bound(body: list[ast.stmt]) -> dict[str, ast.expr | None]:
    """Return the names that a module binds at its top, with what is assigned to them."""
    bound: dict[str, ast.expr | None] = {}
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name):
                bound[name] = None
            case ast.Assign(targets=targets, value=value):
                bound |= {target.id: value for target in targets if isinstance(target, ast.Name)}
            case ast.ImportFrom(names=names):
                bound |= {each.asname or each.name: None for each in names}
    return bound


def find(name: str) -> Script:
    """Return the script of this name.

    Raises:
        NotFoundError: There is none.
    """
    script = next((each for each in scripts() if each.name == name), None)
    if script is None:
        raise NotFoundError(f"there is no script {name!r}")
    return script


class _Loaded:
    """Modules of scripts, loaded anew when their files have changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._modules: dict[Path, tuple[int, ModuleType]] = {}

    def module(self, script: Script) -> ModuleType:
        """Return the module of a script.

        Raises:
            ScriptError: It cannot be loaded.
        """
        with self._lock, _contained(script):
            changed = script.path.stat().st_mtime_ns
            known = self._modules.get(script.path)
            if known is None or known[0] != changed:
                self._modules[script.path] = known = (changed, _executed(script.path))
            return known[1]


_loaded = _Loaded()


def _executed(path: Path) -> ModuleType:
    name = f"adhoc_{abs(hash(path))}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    spec.loader.exec_module(module)
    return module


@contextmanager
def _contained(script: Script) -> Iterator[None]:
    """Make whatever a script raises a ``ScriptError``; ``sys.exit()`` would stop the server."""
    try:
        yield
    except (Exception, SystemExit) as exc:
        own = [each.lineno for each in traceback.extract_tb(exc.__traceback__) if Path(each.filename) == script.path]
        line = exc.lineno if isinstance(exc, SyntaxError) else next(reversed(own), None)
        where = f"{script.path.name}, line {line}" if line else script.path.name
        said = exc.msg if isinstance(exc, SyntaxError) else str(exc)
        raise ScriptError(f"{where}: {type(exc).__name__}: {said}".rstrip(": ")) from exc


def drawn(name: str) -> Component:
    """Return what a script shows.

    Raises:
        NotFoundError: There is no such script.
        ScriptError: It failed.
    """
    from plotly.io.json import to_json_plotly

    script = find(name)
    if script.path in _unwired:
        raise _unwired[script.path]
    module = _loaded.module(script)
    with _contained(script):
        shown = module.layout()
        to_json_plotly(shown)  # what cannot be sent is the script's fault, too
    late = script.is_wired and script.path not in _wired
    note = parts.note("This script is new; its callbacks work once the dashboard was started again.", tone="warning")
    return html.Div([note, shown] if late else [shown], className="page")


_wired: set[Path] = set()
_unwired: dict[Path, ScriptError] = {}


def register_callbacks(app: Dash) -> None:
    """Wire every script that has callbacks; one that fails is said in its place, and the others go on."""
    _wired.clear()
    _unwired.clear()
    for script in scripts():
        if not script.is_wired:
            continue
        try:
            wire: Any = _loaded.module(script).register_callbacks
            with _contained(script):
                wire(app)
            _wired.add(script.path)
        except ScriptError as exc:
            parts.log(exc, "an ad hoc script has callbacks that could not be wired")
            _unwired[script.path] = exc
