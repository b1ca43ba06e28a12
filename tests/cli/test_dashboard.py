"""The command that opens the dashboard."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.cli.conftest import Cli


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> Iterator[Path]:
    """A data folder with no dashboard in the background, before and after."""
    monkeypatch.setenv("BATTERY_DATA_DIR", str(tmp_path / "data"))
    yield tmp_path / "data"
    cli("dashboard", "--stop")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as tried:
        return int(tried.getsockname()[1])


def started(cli: Cli, port: int) -> str:
    """Start it by a command that ends, and return its URL."""
    out, err = cli.process("dashboard", "--background", "--no-browser", "--port", port).communicate(timeout=60)
    assert err == b""
    return str(out.decode().removeprefix("dashboard: ").strip())


def test_in_the_background_it_goes_on_until_it_is_stopped_and_a_second_takes_its_place(
    cli: Cli, own_folder: Path
) -> None:
    ports = [free_port() for _ in range(2)]
    urls = [started(cli, port) for port in ports]
    assert [url.rsplit(":", 1)[1] for url in urls] == [f"{port}/" for port in ports]
    with pytest.raises(OSError, match="refused"):
        urlopen(urls[0], timeout=5)
    with urlopen(urls[1], timeout=20) as answer:
        assert answer.status == 200
    assert cli.ok("dashboard", "--stop").out == "stopped\n"
    assert cli.ok("dashboard", "--stop").out == "no dashboard was running in the background\n"


def test_a_port_that_is_taken_is_named_on_one_line(cli: Cli, own_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = cli("dashboard", "--background", "--no-browser", "--port", port)
    said = f"error: the dashboard did not start: port {port} on 127.0.0.1 cannot be used: "
    assert (done.status, done.err.startswith(said), done.err.count("\n")) == (2, True, 1)
