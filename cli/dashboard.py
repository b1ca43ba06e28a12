"""``battery-analysis dashboard``: the web application, here or as a process of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from battery_analysis.errors import BatteryAnalysisError
from cli.common import Context, command, new_app, run

if TYPE_CHECKING:
    import psutil

    from battery_analysis.settings import Settings

START_SECONDS = 60.0
STOP_SECONDS = 15.0
_PAUSE_SECONDS = 0.05

app = new_app()


@command(app, "dashboard")
def dashboard(
    context: Context,
    host: Annotated[str | None, typer.Option(metavar="H", help="Address to listen on. [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(metavar="P", min=1, max=65535, help="[8050]")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the web browser.")] = False,
    background: Annotated[
        bool, typer.Option("--background", help="Start it as a process of its own, in place of one started so before.")
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the one that was started with --background.")] = False,
) -> None:
    """Open the dashboard; Ctrl-C stops it.

    Exit status: 0 stopped, or started with --background; 2 could not start.
    """
    settings = context.load_settings(host=host, port=port)
    if stop:
        print("stopped" if stop_background(settings) else "no dashboard was running in the background")
        return
    words = _words(context, settings, browser=not no_browser)
    if background:
        print(f"dashboard: {start_background(settings, words)}")
    elif sys.platform == "win32":
        raise typer.Exit(subprocess.call(words))
    else:
        sys.stdout.flush()
        os.execv(words[0], words)  # signals reach it as if it had been typed


def open_in_background(context: Context) -> str:
    """Start the dashboard on the same database, on another port where the usual one is taken, and return its URL.

    Raises:
        BatteryAnalysisError: It did not start.
    """
    settings = context.settings
    stop_background(settings)
    chosen = context.load_settings(port=_free_port(settings.host, settings.port))
    return start_background(chosen, _words(context, chosen, browser=True))


def start_background(settings: Settings, words: list[str]) -> str:
    """Start a dashboard that goes on when this command has ended, and return its URL.

    Raises:
        BatteryAnalysisError: It did not start.
    """
    stop_background(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    said = settings.data_dir / "dashboard.out"
    with said.open("wb") as out:
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd=Path.cwd()
        )
    _record(settings).write_text(json.dumps({"pid": child.pid}))

    def url() -> str | None:
        lines = said.read_text(errors="replace").splitlines()
        shown = [line.split()[1] for line in lines if line.startswith("dashboard: ")]
        return shown[0] if shown else None

    if not _until(lambda: url() is not None or child.poll() is not None, START_SECONDS) or child.poll() is not None:
        child.terminate()
        last = said.read_text(errors="replace").strip().splitlines()[-1:] or [f"no answer in {START_SECONDS:g} s"]
        raise BatteryAnalysisError(f"the dashboard did not start: {last[0].removeprefix('error: ')}")
    return str(url())


def stop_background(settings: Settings) -> bool:
    """Stop the dashboard that was started in the background and wait for its end; False if there is none.

    Raises:
        BatteryAnalysisError: It does not end.
    """
    process = _running(settings)
    if process is not None:
        process.terminate()
        if not _until(lambda: not process.is_running() or process.status() == "zombie", STOP_SECONDS):
            raise BatteryAnalysisError(f"the dashboard, process {process.pid}, does not end")
    _record(settings).unlink(missing_ok=True)
    return process is not None


def _words(context: Context, settings: Settings, *, browser: bool) -> list[str]:
    given = {"--db-uri": context.db_uri, "--db-name": context.db_name, "--config": context.config}
    options = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    where = ["--host", settings.host, "--port", str(settings.port)]
    return [sys.executable, "-m", "dashboard", *where, *([] if browser else ["--no-browser"]), *options]


def _record(settings: Settings) -> Path:
    return settings.data_dir / "dashboard.json"


def _running(settings: Settings) -> psutil.Process | None:
    """Return the process in the record, unless its number belongs to another program by now."""
    import psutil

    try:
        process = psutil.Process(json.loads(_record(settings).read_text())["pid"])
        return process if process.cmdline()[1:3] == ["-m", "dashboard"] else None
    except (OSError, ValueError, KeyError, psutil.Error):
        return None


def _free_port(host: str, wanted: int) -> int:
    """Return the port that is wanted, or any if it is taken."""
    family, *_, address = socket.getaddrinfo(host, wanted, type=socket.SOCK_STREAM)[0]
    try:
        socket.create_server(address[:2], family=family).close()
    except OSError:
        with socket.create_server((address[0], 0), family=family) as free:
            return int(free.getsockname()[1])
    return wanted


def _until(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(_PAUSE_SECONDS)
    return held


def main() -> int:
    """Run this command alone and return its exit status."""
    return run(app, name="dashboard")


if __name__ == "__main__":
    sys.exit(main())
