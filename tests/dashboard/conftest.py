"""The dashboard as its readers have it: a server of its own on the example lab, and a real Chromium."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen
from weakref import WeakKeyDictionary

import pytest

from dashboard.pages import PAGES, Page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Request
    from playwright.sync_api import Page as Tab

ROOT = Path(__file__).resolve().parents[2]
# The shell draws the same without a browser's own windows, in half the time.
CHROMIUM = next(
    (each for each in map(Path, ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")) if each.exists()),
    Path("/usr/bin/chromium"),
)
WAIT_MILLISECONDS = 30_000  # a busy machine is no failure
SCREEN = {"width": 1440, "height": 900}

FLAGS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)

SELECTIONS: dict[str, str] = {
    "/cell": "cell=LG012",
    "/sample": "sample=LG012",
    "/compare": "cell=LG012&cell=LG013&cell=FE021&cell=NC051",
    "/series": "test={test_id}",
}
"""What a page is opened with that shows nothing without a selection: its query, by its path."""


class Contents:
    """What a database holds, kept in memory to return to."""

    def __init__(self, uri: str, name: str) -> None:
        from bson.raw_bson import RawBSONDocument
        from pymongo import MongoClient

        self._client: MongoClient[RawBSONDocument] = MongoClient(uri, document_class=RawBSONDocument)
        self._database = self._client.get_database(name)
        self._digests = self._present()
        self._documents = {each: list(self._database[each].find()) for each in self._digests}

    def _present(self) -> dict[str, str]:
        """Return what differs between two states of a collection, for each of them."""
        return dict(self._database.command("dbHash")["collections"])

    def restore(self) -> None:
        """Make every collection hold again what it held."""
        for name, digest in self._present().items():
            if digest != self._digests.get(name):
                self._database[name].delete_many({})
                if documents := self._documents.get(name):
                    self._database[name].insert_many(documents)

    def close(self) -> None:
        """Let go of the server."""
        self._client.close()


@dataclass(frozen=True)
class Lab:
    """The example lab in a store of its own, and the dashboard on it."""

    url: str
    """Without a slash at its end."""
    db_uri: str
    db_name: str
    data_dir: Path
    named: dict[str, str]
    """What stands in addresses such as ``/test/<test_id>``."""
    imported: Contents
    """What its database held when nobody had changed anything yet."""

    @property
    def options(self) -> tuple[str, ...]:
        """What commands take to work on the same store."""
        return "--db-uri", self.db_uri, "--db-name", self.db_name

    def address(self, page: Page) -> str:
        """Return where a page of ``PAGES`` shows something."""
        path = re.sub(r"<(\w+)>", lambda found: self.named[found[1]], page.PATH)
        query = SELECTIONS.get(page.PATH)
        return f"{path}?{query.format(**self.named)}" if query else path


@pytest.fixture(autouse=True, scope="session")
def plotly_checks() -> Iterator[None]:
    """Plotly checks every figure that tests draw, which the dashboard spares its readers."""
    import plotly.graph_objects as go

    drawn = go.Figure.__init__

    def checked(*given: Any, **options: Any) -> None:
        drawn(*given, **{**options, "_validate": True})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(go.Figure, "__init__", checked)
        yield


@pytest.fixture(scope="session")
def lab(server_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The example lab, imported once, and ``python -m dashboard`` on it."""
    with lab_in(server_uri, tmp_path_factory.mktemp("dashboard-data")) as made:
        yield made


@contextmanager
def lab_in(uri: str, data_dir: Path) -> Iterator[Lab]:
    """Import the example lab into a database of its own and open the dashboard on it, for a ``with`` block."""
    name = f"dashboard_{uuid.uuid4().hex[:8]}"
    where = ("--db-uri", uri, "--db-name", name)
    environment = {**os.environ, "BATTERY_DATA_DIR": str(data_dir), "BATTERY_WORKERS": "2", "PYTHONPATH": str(ROOT)}
    demo = [sys.executable, "-m", "cli.main", "demo", "--no-dashboard", *where]
    subprocess.run(demo, cwd=ROOT, env=environment, check=True, capture_output=True)
    with serving(environment, *where) as url, closing(Contents(uri, name)) as imported:
        yield Lab(url, uri, name, data_dir, {"test_id": _a_test(uri, name)}, imported)


@pytest.fixture(autouse=True)
def lab_as_imported(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test changes in the lab, the next one finds it as it was imported."""
    yield
    if "lab" in request.fixturenames:
        request.getfixturevalue("lab").imported.restore()


def _a_test(uri: str, name: str) -> str:
    """Return the id of the test with the most cycles."""
    import pymongo

    with pymongo.MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=2000) as client:
        found = client[name]["test_results"].find_one({}, {"_id": 1}, sort=[("cycle_count", -1)])
    assert found is not None
    return str(found["_id"])


class serving:  # noqa: N801 - reads as what it does
    """``python -m dashboard`` as a process, for a ``with`` block; gives its URL once it answers."""

    def __init__(self, environment: dict[str, str], *options: str) -> None:
        self.port = free_port()
        words = [sys.executable, "-m", "dashboard", "--no-browser", "--port", str(self.port), *options]
        self._command = {"args": words, "cwd": ROOT, "env": environment, "text": True}

    def __enter__(self) -> str:
        """Start it."""
        self.process = subprocess.Popen(stdout=subprocess.PIPE, **self._command)
        assert self.process.stdout is not None
        said = [self.process.stdout.readline() for _ in range(2)]
        assert f":{self.port}/" in said[1], said
        url = f"http://localhost:{self.port}"
        with urlopen(f"{url}/tests", timeout=20) as answer:
            # The very first request may be for a deep link, and must get a whole page.
            assert b"/assets/dashboard.js" in answer.read()
        return url

    def __exit__(self, *_: object) -> None:
        """Stop it as a person would."""
        self.process.terminate()
        try:
            assert self.process.wait(WAIT_MILLISECONDS / 1000) == 0
        finally:
            self.process.kill()
            self.process.stdout.close()


def command(lab: Lab, *words: str) -> Any:
    """Return what a command says on the same store."""
    return json.loads(run_command(lab, *words, "--json"))


def run_command(lab: Lab, *words: str) -> str:
    """Give a command on the same store, as in a terminal but in this process; return what it prints."""
    from cli.main import main

    said = io.StringIO()
    with redirect_stdout(said):
        status = main([*words, *lab.options])
    assert status == 0, (words, said.getvalue())
    return said.getvalue()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *as_root])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def window(browser: Browser) -> Iterator[Tab]:
    """One tab for all tests: a new one would read and compile every script again, which is most of a visit."""
    context = browser.new_context(viewport=SCREEN, color_scheme="light")
    context.set_default_timeout(WAIT_MILLISECONDS)
    yield context.new_page()
    context.close()


@pytest.fixture
def faults() -> list[str]:
    """What went wrong in the browser; a test that expects something clears it."""
    return []


@pytest.fixture
def page(window: Tab, lab: Lab, faults: list[str]) -> Iterator[Tab]:
    """The tab of a new reader; errors in its console and requests to other hosts fail the test."""

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            faults.append(f"{message.type}: {message.text}")

    def asked(request: Request) -> None:
        if not request.url.startswith((lab.url, "data:", "blob:")):
            faults.append(f"request to {request.url}")

    with listeners_taken_back(window):
        window.on("console", heard)
        window.on("pageerror", lambda error: faults.append(f"exception: {error}"))
        window.on("request", asked)
        watch(window)
        yield window
    leave(window, lab.url)
    assert faults == []


@contextmanager
def listeners_taken_back(tab: Tab) -> Iterator[None]:
    """Whatever begins to listen to a tab within a ``with`` block ends with it."""
    added: list[tuple[Any, Any]] = []
    listen = tab.on

    def on(event: Any, listener: Any) -> None:
        added.append((event, listener))
        listen(event, listener)

    tab.on = on  # type: ignore[method-assign]
    try:
        yield
    finally:
        del tab.on
        for event, listener in added:
            tab.remove_listener(event, listener)


def leave(tab: Tab, url: str) -> None:
    """Leave the tab as a reader finds it who was never there."""
    tab.goto(f"{url}/assets/icon.svg")  # without scripts, and of the same origin
    tab.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
    tab.context.clear_cookies()
    tab.emulate_media(color_scheme="light")
    tab.set_viewport_size(SCREEN)
    tab.mouse.move(0, 0)


@pytest.fixture
def visit(page: Tab, lab: Lab) -> Callable[[str], Tab]:
    """Open an address of the dashboard, such as ``/tests?text=rate``, and wait until the page is drawn."""

    def go(path: str) -> Tab:
        page.goto(lab.url + path)
        settled(page)
        return page

    return go


@dataclass
class Traffic:
    """The requests of a tab."""

    under_way: set[Request] = field(default_factory=set)
    begun: int = 0

    def begin(self, request: Request) -> None:
        """Note a request; what is no question to a server, such as ``data:``, has no end that is told."""
        if request.url.startswith("http"):
            self.begun += 1
            self.under_way.add(request)

    def end(self, request: Request) -> None:
        """Note that a request was answered, or will never be."""
        self.under_way.discard(request)


_traffic: WeakKeyDictionary[Tab, Traffic] = WeakKeyDictionary()


def watch(tab: Tab) -> None:
    """Count the requests of a tab from now on, so that ``settled`` knows of them."""
    traffic = _traffic[tab] = Traffic()
    tab.on("request", traffic.begin)
    tab.on("requestfinished", traffic.end)
    tab.on("requestfailed", traffic.end)


AT_REST = """() => window.dash_stores?.length && window.dash_stores.every(store => !store.getState().isLoading)
    && !document.querySelector("[data-dash-is-loading], ._dash-loading, .dash-graph--pending")"""

# What came last is drawn, and what follows from it has begun.
A_MOMENT = """async () => {
    for (let turn = 0; turn < 3; turn++) {
        await new Promise(requestAnimationFrame);
        await new Promise(done => requestIdleCallback(done, { timeout: 1000 }));
        await new Promise(done => setTimeout(done, 20));
    }
}"""


def settled(tab: Tab) -> None:
    """Wait until the page has its heading and nothing is under way: no request, no callback, nothing to be drawn.

    Playwright's ``networkidle`` would be late by half a second, and yet too early for a page at work without requests.
    """
    tab.locator("main h1").wait_for()
    traffic, deadline = _traffic[tab], time.monotonic() + 2 * WAIT_MILLISECONDS / 1000
    begun = -1
    while traffic.under_way or traffic.begun != begun:
        begun = traffic.begun
        assert time.monotonic() < deadline, f"under way: {[request.url for request in traffic.under_way]}"
        tab.wait_for_function(AT_REST)
        tab.evaluate(A_MOMENT)


def run_beside(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a thread of its own: Playwright's event loop stays on the main one for the whole session."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, coroutine).result()


@pytest.fixture(params=PAGES, ids=lambda each: each.__name__.rpartition(".")[2])
def each_page(request: pytest.FixtureRequest) -> Page:
    """Every page there is, one after the other."""
    found: Page = request.param
    return found
