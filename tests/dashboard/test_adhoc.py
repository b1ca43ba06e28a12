"""Ad hoc scripts: found, shown, contained."""

from __future__ import annotations

import inspect
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dash import html
from dash.exceptions import PreventUpdate

from battery_analysis.errors import NotFoundError
from battery_analysis.settings import Settings
from dashboard import adhoc, data
from tests.dashboard.conftest import Lab, serving, settled

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

GOOD = "from dash import html\n\nTITLE = 'Good one'\n\ndef layout():\n    return html.P('all is well')\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of scripts that the settings name."""
    monkeypatch.setattr(data, "settings", lambda: Settings(adhoc_scripts=tmp_path))
    yield tmp_path


def test_files_with_a_layout_are_scripts_and_nothing_is_run_to_know(folder: Path) -> None:
    (folder / "good.py").write_text(GOOD)
    (folder / "helpers.py").write_text("raise SystemExit\n")
    (folder / "_hidden.py").write_text(GOOD)
    (folder / "fastest_fade.py").write_text("raise SystemExit\ndef layout(): ...\n")
    named = {each.name: each.title for each in adhoc.scripts() if each.path.parent == folder}
    assert named == {"good": "Good one", f"{folder.name}/fastest_fade": "Fastest fade"}
    assert "fastest_fade" in {each.name for each in adhoc.scripts()}


def test_a_changed_script_is_loaded_anew(folder: Path) -> None:
    path = folder / "good.py"
    path.write_text(GOOD)
    assert "all is well" in str(adhoc.drawn("good"))
    path.write_text(GOOD.replace("all is well", "better"))
    os.utime(path, ns=(1, 1))
    assert "better" in str(adhoc.drawn("good"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def layout():\n    return 1 / 0\n", "bad.py, line 2: ZeroDivisionError: division by zero"),
        ("import sys\ndef layout():\n    sys.exit('stop')\n", "bad.py, line 3: SystemExit: stop"),
        ("class Panic(BaseException): ...\ndef layout():\n    raise Panic('bins')\n", "bad.py, line 3: Panic: bins"),
        ("def layout(:\n", "bad.py, line 1: SyntaxError: "),
        ("import no_such_package\ndef layout(): ...\n", "bad.py, line 1: ModuleNotFoundError: No module named"),
        ("def layout():\n    return object()\n", "bad.py: TypeError: "),
        ("def layout():\n    raise KeyboardInterrupt('now')\n", "bad.py, line 2: KeyboardInterrupt: now"),
    ],
)
def test_whatever_a_script_does_is_an_error_that_names_its_line(folder: Path, text: str, message: str) -> None:
    (folder / "bad.py").write_text(text)
    with pytest.raises(adhoc.ScriptError) as raised:
        adhoc.drawn("bad")
    assert str(raised.value).startswith(message)


def test_callbacks_that_cannot_be_wired_do_not_keep_others_from_it(folder: Path) -> None:
    (folder / "a_bad.py").write_text(GOOD + "\ndef register_callbacks(app):\n    app.nothing()\n")
    (folder / "b_good.py").write_text(GOOD + "\ndef register_callbacks(app):\n    app.append('wired')\n")
    seen: list[str] = []
    adhoc.register_callbacks(seen)  # type: ignore[arg-type]
    assert seen == ["wired"]
    depths = set()
    for _ in range(3):
        with pytest.raises(adhoc.ScriptError, match="AttributeError") as caught:
            adhoc.drawn("a_bad")
        depths.add(len(caught.traceback))
    assert len(depths) == 1
    assert isinstance(adhoc.drawn("b_good"), html.Div)


def test_a_script_that_hangs_while_it_is_loaded_is_named_and_keeps_no_other_waiting(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adhoc, "PATIENCE_SECONDS", 1.0)
    asked_for, let_go = threading.Event(), threading.Event()
    monkeypatch.setattr(adhoc, "held", (asked_for, let_go), raising=False)
    hang = "from dashboard import adhoc\nadhoc.held[0].set()\nadhoc.held[1].wait()\n"
    (folder / "a_hangs.py").write_text(hang + GOOD + "\ndef register_callbacks(app):\n    app.append('late')\n")
    (folder / "b_good.py").write_text(GOOD + "\ndef register_callbacks(app):\n    app.append('wired')\n")
    seen: list[str] = []
    adhoc.register_callbacks(seen)  # type: ignore[arg-type]
    assert asked_for.is_set()
    assert seen == ["wired"]
    for _ in range(2):  # nor does it begin once more
        with pytest.raises(adhoc.ScriptHangsError, match=r"a_hangs\.py, line 3: still being loaded after \d+ s"):
            adhoc.drawn("a_hangs")
    assert "all is well" in str(adhoc.drawn("b_good"))
    assert sum(each.name == "a_hangs.py: being loaded" for each in threading.enumerate()) == 1
    let_go.set()
    monkeypatch.setattr(adhoc, "PATIENCE_SECONDS", 60.0)
    assert "its callbacks work once it was started again" in str(adhoc.drawn("a_hangs"))


def test_callbacks_that_hang_while_they_are_registered_do_not_hold_up_the_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adhoc, "PATIENCE_SECONDS", 1.0)
    let_go = threading.Event()
    monkeypatch.setattr(adhoc, "held", let_go, raising=False)
    hang = "\ndef register_callbacks(app):\n    from dashboard import adhoc\n    adhoc.held.wait()\n"
    (folder / "a_hangs.py").write_text(GOOD + hang)
    (folder / "b_good.py").write_text(GOOD + "\ndef register_callbacks(app):\n    app.append('wired')\n")
    seen: list[str] = []
    adhoc.register_callbacks(seen)  # type: ignore[arg-type]
    assert seen == ["wired"]
    assert "its callbacks work once it was started again" in str(adhoc.drawn("a_hangs"))
    let_go.set()


HELD = "from dash import html\nfrom dashboard import adhoc\n\n"
HOLD = "    adhoc.held[0].set()\n    adhoc.held[1].wait()\n"


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What a script that is written with ``HOLD`` waits for; anybody else waits a second for it."""
    monkeypatch.setattr(adhoc, "PATIENCE_SECONDS", 1.0)
    let_go = threading.Event()
    monkeypatch.setattr(adhoc, "held", (threading.Event(), let_go), raising=False)
    yield let_go
    let_go.set()


def threads_of(name: str) -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith(f"{name}: ")]


def test_a_layout_that_hangs_is_named_holds_one_thread_and_is_shown_once_it_is_there(
    folder: Path, held: threading.Event
) -> None:
    (folder / "slow.py").write_text(HELD + "def layout():\n" + HOLD + "    return html.P('here at last')\n")
    (folder / "good.py").write_text(GOOD)
    with pytest.raises(
        adhoc.ScriptHangsError, match=r"slow\.py, line 6: still drawing its layout after 1 s; all other"
    ):
        adhoc.drawn("slow")
    began = time.monotonic()
    for _ in range(5):
        with pytest.raises(adhoc.ScriptHangsError, match="still drawing its layout"):
            adhoc.drawn("slow")
    assert time.monotonic() - began < 0.5  # turned away at once
    (only,) = threads_of("slow.py")
    assert "all is well" in str(adhoc.drawn("good"))
    held.set()
    only.join()
    adhoc.held[0].clear()  # type: ignore[attr-defined]
    assert "here at last" in str(adhoc.drawn("slow"))
    assert not adhoc.held[0].is_set()  # type: ignore[attr-defined]  # it was not drawn once more


def test_a_corrected_script_does_not_wait_for_what_hangs(folder: Path, held: threading.Event) -> None:
    path = folder / "slow.py"
    path.write_text(HELD + "def layout():\n" + HOLD)
    with pytest.raises(adhoc.ScriptHangsError):
        adhoc.drawn("slow")
    path.write_text(GOOD)
    os.utime(path, ns=(1, 1))
    assert "all is well" in str(adhoc.drawn("slow"))


class App:
    """Keeps what is registered."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[..., Any]] = []

    def callback(self, *_: Any, **__: Any) -> Callable[..., Any]:
        return self.callbacks.append


def test_a_callback_of_a_script_that_hangs_is_named_and_further_clicks_hold_no_thread(
    folder: Path, held: threading.Event
) -> None:
    hangs = "    @app.callback()\n    def hang(value):\n" + "".join(f"    {line}\n" for line in HOLD.splitlines())
    answers = (
        "    @app.callback()\n    def quick(value):\n        if value is None:\n            raise PreventUpdate\n"
        "        if value < 0:\n            raise SystemExit\n        return asked.get() + value\n"
    )
    head = "import contextvars\nfrom dash.exceptions import PreventUpdate\nasked = contextvars.ContextVar('asked')\n"
    wired = "def register_callbacks(app):\n" + answers + hangs
    (folder / "clicks.py").write_text(head + HELD + GOOD + wired)
    app = App()
    adhoc.register_callbacks(app)  # type: ignore[arg-type]
    named = {each.__name__: each for each in app.callbacks}
    quick, hanging = named["quick"], named["hang"]
    inspect.unwrap(quick).__globals__["asked"].set(40)  # as Dash keeps what a request is about
    assert quick(2) == 42
    with pytest.raises(PreventUpdate):
        quick(None)
    with pytest.raises(adhoc.ScriptError, match=r"clicks\.py, line 19: SystemExit"):
        quick(-1)
    with pytest.raises(adhoc.ScriptHangsError, match=r"clicks\.py, line 24: still at its callback hang after 1 s"):
        hanging(1)
    began = time.monotonic()
    for click in (hanging, quick, hanging):
        with pytest.raises(adhoc.ScriptHangsError, match="still at its callback hang"):
            click(1)
    assert time.monotonic() - began < 0.5
    (only,) = threads_of("clicks.py")
    held.set()
    only.join()


def test_only_scripts_of_the_folders_are_found_by_name(folder: Path) -> None:
    (folder.parent / "outside.py").write_text(GOOD)
    with pytest.raises(NotFoundError, match="there is no script"):
        adhoc.drawn("../outside")


def test_the_example_reacts_and_a_broken_script_shows_its_error_beside_it(
    lab: Lab, page: Tab, faults: list[str], tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("def layout():\n    return 1 / 0\n")
    config = tmp_path / "settings.toml"
    config.write_text(f'adhoc_scripts = "{tmp_path}"\n')
    environment = {**os.environ, "BATTERY_DATA_DIR": str(lab.data_dir)}
    with serving(environment, *lab.options, "--config", str(config)) as url:
        page.goto(f"{url}/adhoc?script=broken")
        page.get_by_text("broken.py, line 2: ZeroDivisionError: division by zero").wait_for()
        page.locator(".segmented").get_by_text("Fastest fade").click()
        bars = "document.querySelector('[aria-label=\"Capacity that is left\"] .js-plotly-plot')?.data?.[0]?.y?.length"
        page.wait_for_function(f"() => {bars} > 3")
        before = page.evaluate(bars)
        page.get_by_label("Tests with cycles from").fill("150")
        page.wait_for_function(f"() => {bars} < {before}")
        page.wait_for_url("**/adhoc?script=fastest_fade")
        page.set_viewport_size({"width": 390, "height": 844})
        settled(page)
        figure = page.locator(".js-plotly-plot").bounding_box()
        names = [each.bounding_box() for each in page.locator(".js-plotly-plot .annotation-text").all()]
        assert figure
        assert len(names) > 1
        assert all(figure["x"] <= each["x"] for each in names if each)
        assert all(each["x"] + each["width"] <= figure["x"] + figure["width"] for each in names if each)
        settled(page)
        page.goto("about:blank")
    faults[:] = [each for each in faults if not each.startswith(f"request to {url}")]  # another server than the lab's
