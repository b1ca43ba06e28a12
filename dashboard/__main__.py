"""``python -m dashboard``: open the dashboard on the store that the settings name.

Exit status: 0 stopped by Ctrl-C or SIGTERM, 2 could not start.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from battery_analysis.errors import BatteryAnalysisError, SettingsError, one_line

if TYPE_CHECKING:
    from battery_analysis.settings import Settings

COULD_NOT_START = 2
GOODBYE_SECONDS = 3
"""How long requests in hand may take when the dashboard is stopped."""


def main(words: Sequence[str] | None = None) -> int:
    """Serve until stopped and return the exit status."""
    options = _options(words)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for package in ("battery_analysis", "dashboard"):
        logging.getLogger(package).setLevel(options.log_level.upper())
    try:
        _serve(_settings(options), options.config, open_browser=options.browser)
    except BatteryAnalysisError as exc:
        print(f"error: {one_line(str(exc))}", file=sys.stderr)
        return COULD_NOT_START
    return 0


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dashboard", description="Open the dashboard on the lab's store.")
    parser.add_argument("--host", metavar="H", help="address to listen on (default: 127.0.0.1, this computer only)")
    parser.add_argument("--port", metavar="P", type=int, help="port (default: 8050)")
    parser.add_argument("--no-browser", dest="browser", action="store_false", help="do not open the web browser")
    parser.add_argument("--db-uri", metavar="URI", help="MongoDB connection string")
    parser.add_argument("--db-name", metavar="NAME", help="database")
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings file (.toml or .ini)")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    return parser.parse_args(words)


def _settings(options: argparse.Namespace) -> Settings:
    from battery_analysis.settings import Settings

    given = {name: getattr(options, name) for name in ("host", "port", "db_uri", "db_name")}
    return Settings.load(config=options.config, **given)


def _serve(settings: Settings, config: Path | None, *, open_browser: bool) -> None:
    with _listening(settings.host, settings.port) as listener:  # before the store is opened: a busy port costs nothing
        import uvicorn

        from dashboard import data
        from dashboard.app import create_app
        from dashboard.data import logs

        logs.keep(settings.data_dir)
        with data.opened(settings) as store:
            server = uvicorn.Server(
                uvicorn.Config(
                    create_app(store, settings, config),
                    log_level="warning",
                    access_log=False,
                    server_header=False,
                    timeout_graceful_shutdown=GOODBYE_SECONDS,
                )
            )
            announce(settings.host, listener.getsockname()[1], store.where, open_browser=open_browser)
            # The server hands signals on once it has stopped; the store is still to be closed then.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: None)
            server.run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        SettingsError: The port is taken, or the address is none of this computer's.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as exc:
        raise SettingsError(f"port {port} on {host} cannot be used: {exc.strerror}; --port names another") from exc


def announce(host: str, port: int, where: str, *, open_browser: bool) -> None:
    """Say where the dashboard is, and what it means if others can reach it."""
    from dashboard.security import is_loopback

    shown = "localhost" if is_loopback(host) else socket.gethostname()
    url = f"http://{shown}:{port}/"
    print(f"database:  {where}\ndashboard: {url}  (Ctrl-C stops it)", flush=True)
    if not is_loopback(host):
        print(f"warning: listening on {host}: whoever reaches this computer can see and change all data", flush=True)
    if open_browser and (sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        import webbrowser

        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
