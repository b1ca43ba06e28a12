"""Ad hoc scripts: files that whoever runs the server puts into a folder, each a page of its own in one tab.

A script is a Python file with a function ``layout()``; one named ``register_callbacks(app)``, if there is one, is
called when the dashboard starts. They stand in ``dashboard/adhoc_scripts`` and in the folder that the setting
``adhoc_scripts`` names; nothing is ever taken from a browser but the name of a script that stands there. Whatever a
script raises becomes a ``ScriptError``, which is shown in its own place.
"""

from __future__ import annotations

import ast
import contextvars
import functools
import importlib.util
import inspect
import math
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from dash import Dash, html
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from battery_analysis.errors import BatteryAnalysisError, NotFoundError
from dashboard import data, parts

OWN_SCRIPTS = Path(__file__).parent / "adhoc_scripts"

PATIENCE_SECONDS = 10.0
"""How long anybody waits for a script: to be loaded, to draw its layout, to answer a callback."""

OWED_SECONDS = 300.0
"""How long a layout that came too late is kept for those who look again."""


class ScriptError(BatteryAnalysisError):
    """A script failed; the message names its line and what it raised."""


class ScriptHangsError(ScriptError):
    """A script is still at work; the message says at what, and names the line it has come to."""


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


@dataclass
class _Call:
    """Something of a script under way in a thread of its own: it cannot be stopped, but be left alone."""

    path: Path
    doing: str
    """What it is at, as people read it."""
    result: Future[Any] = field(default_factory=Future)
    """Or what it raised."""
    began: float = field(default_factory=time.monotonic)
    ended: float = math.inf
    is_owed: bool = False
    """Whether somebody waited for its result in vain."""
    thread: threading.Thread | None = None

    def begin(self, work: Callable[[], Any]) -> _Call:
        """Begin work whose errors are contained, with what is known of the request that asks for it."""
        context = contextvars.copy_context()

        def run() -> None:
            try:
                done = context.run(work)
            except (BatteryAnalysisError, PreventUpdate) as exc:  # ``work`` lets nothing else out
                self.ended = time.monotonic()
                self.result.set_exception(exc)
            else:
                self.ended = time.monotonic()
                self.result.set_result(done)

        # A daemon, so that the server can end all the same.
        self.thread = threading.Thread(target=run, name=f"{self.path.name}: {self.doing}", daemon=True)
        self.thread.start()
        return self

    @property
    def is_recent(self) -> bool:
        """Whether it is still under way, or those who waited in vain can have its result."""
        return not self.result.done() or (self.is_owed and time.monotonic() - self.ended < OWED_SECONDS)

    def wait(self) -> None:
        """Wait until it is done, or until it has taken as long as anybody waits for it.

        Raises:
            ScriptHangsError: It takes longer.
        """
        wait([self.result], max(self.began + PATIENCE_SECONDS - time.monotonic(), 0))
        if not self.result.done():
            self.is_owed = True
            ident = self.thread.ident if self.thread else None
            stack = traceback.extract_stack(sys._current_frames().get(ident or 0))
            line = next((each.lineno for each in reversed(stack) if Path(each.filename) == self.path), None)
            seconds = time.monotonic() - self.began
            said = f"still {self.doing} after {seconds:.0f} s; all other scripts go on"
            raise ScriptHangsError(f"{_place(self.path, line)}: {said}")

    def outcome(self) -> Any:
        """Wait as ``wait`` does, and return the result."""
        self.wait()
        self.is_owed = False
        return self.result.result()


@dataclass(frozen=True)
class _Load:
    """A script that is being loaded, or was."""

    changed: int
    """Time of change of the file, in ns."""
    call: _Call

    @property
    def is_of_use(self) -> bool:
        return not self.call.result.done() or self.call.result.exception() is None


class _Loaded:
    """Modules of scripts, loaded anew when their files have changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loads: dict[Path, _Load] = {}

    def begin(self, script: Script) -> _Call:
        """Begin to load a script unless it is, as it stands, or is being."""
        with _contained(script):
            changed = script.path.stat().st_mtime_ns
        with self._lock:
            load = self._loads.get(script.path)
            if load is None or load.changed != changed or not load.is_of_use:
                call = _Call(script.path, "being loaded").begin(lambda: _load(script))
                self._loads[script.path] = load = _Load(changed, call)
            return load.call

    def module(self, script: Script) -> ModuleType:
        """Return the module of a script.

        Raises:
            ScriptError: It cannot be loaded.
            ScriptHangsError: Not within ``PATIENCE_SECONDS``.
        """
        module: ModuleType = self.begin(script).outcome()
        return module


_loaded = _Loaded()


class _Turns:
    """What scripts are at, one call of a script at a time, so that clicks on one that hangs are turned away at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: WeakKeyDictionary[ModuleType, _Call] = WeakKeyDictionary()

    def take(self, script: Script, module: ModuleType, doing: str, work: Callable[[], Any], *, shared: bool) -> Any:
        """Call something of a script once what it is at is done.

        Args:
            script: Whose it is.
            module: What takes turns: the script as it was loaded, so that a corrected one does not wait.
            doing: What it is at then, as people read it.
            work: What is called.
            shared: Whether one call answers all who ask for the same, also those who waited too shortly for it before.

        Raises:
            ScriptHangsError: That, or what it is at, is not done within ``PATIENCE_SECONDS``.
        """
        while True:
            with self._lock:
                call = self._calls.get(module)
                if call is not None and shared and call.doing == doing and call.is_recent:
                    break
                if call is None or call.result.done():
                    call = self._calls[module] = _Call(script.path, doing).begin(work)
                    break
            call.wait()
        return call.outcome()


_turns = _Turns()


def _load(script: Script) -> ModuleType:
    with _contained(script):
        return _executed(script.path)


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
def _contained(script: Script, passing: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """Make whatever a script raises, but for ``passing``, a ``ScriptError``; ``sys.exit()`` would stop the server."""
    try:
        yield
    except passing:
        raise
    except BaseException as exc:  # a panic of polars is no Exception, either
        own = [each.lineno for each in traceback.extract_tb(exc.__traceback__) if Path(each.filename) == script.path]
        line = exc.lineno if isinstance(exc, SyntaxError) else next(reversed(own), None)
        said = exc.msg if isinstance(exc, SyntaxError) else str(exc)
        raise ScriptError(f"{_place(script.path, line)}: {type(exc).__name__}: {said}".rstrip(": ")) from exc


def _place(path: Path, line: int | None) -> str:
    return f"{path.name}, line {line}" if line else path.name


def drawn(name: str) -> Component:
    """Return what a script shows.

    Raises:
        NotFoundError: There is no such script.
        ScriptError: It failed, or hangs.
    """
    script = find(name)
    if script.path in _unwired:
        raise _unwired[script.path].with_traceback(None)  # which grows each time it is raised
    module = _loaded.module(script)
    shown = _turns.take(script, module, "drawing its layout", lambda: _layout(script, module), shared=True)
    late = script.is_wired and script.path not in _wired
    since = "was not there, or not loaded, when the dashboard was started"
    note = parts.note(f"This script {since}; its callbacks work once it was started again.", tone="warning")
    return html.Div([note, shown] if late else [shown], className="page")


def _layout(script: Script, module: ModuleType) -> Component:
    from plotly.io.json import to_json_plotly

    with _contained(script):
        shown: Component = module.layout()
        to_json_plotly(shown)  # what cannot be sent is the script's fault, too
    return shown


class _App:
    """The application as a script sees it: its callbacks take turns, and are no longer waited for than its layout."""

    def __init__(self, app: Dash, script: Script, module: ModuleType) -> None:
        self._app, self._script, self._module = app, script, module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)

    def callback(self, *wanted: Any, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """As that of the application; what runs elsewhere is left as it is."""
        wire = self._app.callback(*wanted, **options)

        def wired(function: Callable[..., Any]) -> Callable[..., Any]:
            elsewhere = options.get("background") or inspect.iscoroutinefunction(function)
            wire(function if elsewhere else self._limited(function))
            return function

        return wired

    def _limited(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def limited(*values: Any, **named: Any) -> Any:
            def work() -> Any:
                with _contained(self._script, passing=(PreventUpdate, BatteryAnalysisError)):
                    return function(*values, **named)

            doing = f"at its callback {getattr(function, '__name__', '')}".rstrip()
            return _turns.take(self._script, self._module, doing, work, shared=False)

        return limited


_wired: set[Path] = set()
_unwired: dict[Path, ScriptError] = {}


def _register(app: Dash, script: Script, module: ModuleType) -> None:
    def work() -> None:
        with _contained(script):
            module.register_callbacks(_App(app, script, module))

    _Call(script.path, "registering its callbacks").begin(work).outcome()


def register_callbacks(app: Dash) -> None:
    """Wire every script that has callbacks; one that fails or hangs is said in its place, and the others go on."""
    _wired.clear()
    _unwired.clear()
    with_callbacks = [each for each in scripts() if each.is_wired]
    for script in with_callbacks:  # all at once, so that several that hang keep the start waiting no longer than one
        with suppress(ScriptError):
            _loaded.begin(script)
    for script in with_callbacks:
        try:
            _register(app, script, _loaded.module(script))
            _wired.add(script.path)
        except ScriptHangsError as exc:  # it may be there later, without its callbacks
            parts.log(exc, "an ad hoc script has callbacks that could not be wired")
        except ScriptError as exc:
            parts.log(exc, "an ad hoc script has callbacks that could not be wired")
            _unwired[script.path] = exc
