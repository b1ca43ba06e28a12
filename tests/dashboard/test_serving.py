"""Starting, stopping and refusing to start."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
from pathlib import Path

import pytest
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from battery_analysis import settings
from battery_analysis.errors import StoreUnavailableError
from battery_analysis.store import open_store, server
from dashboard import data
from dashboard.__main__ import announce, main
from dashboard.app import threaded
from dashboard.compression import CALLBACK, Compressed
from dashboard.data import samples
from tests.dashboard.conftest import free_port, run_beside
from tests.test_house import HEAVY, IMPORT_ALL, PLOTTING, ROOT, python


def test_a_port_that_is_taken_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--no-browser", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"port {port} on 127.0.0.1" in said


def test_without_a_server_of_the_database_it_does_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    nobody = f"mongodb://127.0.0.1:{free_port()}/"
    assert main(["--no-browser", "--port", str(free_port()), "--db-uri", nobody]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "no answer from 127.0.0.1" in said


def test_an_unknown_setting_does_not_start_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "wrong.toml"
    config.write_text("portt = 1\n")
    assert main(["--config", str(config)]) == 2
    assert "unknown key 'portt'" in capsys.readouterr().err


@pytest.mark.parametrize(("host", "warns"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)])
def test_who_listens_to_others_says_what_that_means(host: str, warns: bool, capsys: pytest.CaptureFixture[str]) -> None:
    announce(host, 8050, "a store", open_browser=False)
    assert ("can see and change all data" in capsys.readouterr().out) is warns


def test_answers_come_back_whole_however_they_are_compressed() -> None:
    content = b"".join(b'{"row": %d}' % number for number in range(2000))

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        await Response(content, media_type="application/json")(scope, _, send)

    def answered(path: str, accepted: str) -> tuple[bytes, Headers]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"accept-encoding", accepted.encode())]
        scope: Scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
        run_beside(Compressed(app)(scope, receive, send))
        return sent[1]["body"], Headers(raw=sent[0]["headers"])

    sizes = []
    for path in (CALLBACK, "/assets/style.css"):
        body, headers = answered(path, "gzip, br")
        assert gzip.decompress(body) == content
        assert (headers["content-encoding"], int(headers["content-length"])) == ("gzip", len(body))
        sizes.append(len(body))
    assert sizes[0] > sizes[1]  # quickly, and well
    assert answered(CALLBACK, "br")[0] == content


def test_callbacks_do_not_wait_for_one_another() -> None:
    both = threading.Barrier(2)  # passed only by two that are there at the same time

    async def two() -> None:
        await asyncio.gather(*(threaded(both.wait)(timeout=5) for _ in range(2)))

    run_beside(two())


def test_importing_the_dashboard_does_nothing(tmp_path: Path) -> None:
    files = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "dashboard").rglob("*.py")]
    names = sorted(".".join(path.parts).removesuffix(".__init__") for path in files)
    seen = python(IMPORT_ALL, *names, home=tmp_path)
    assert seen["touched"] == []
    assert seen["handlers"] == []
    assert seen["threads"] == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["dashboard", "dashboard.__main__", "dashboard.data"])
def test_what_a_command_imports_loads_no_heavy_library(module: str, tmp_path: Path) -> None:
    seen = python(IMPORT_ALL, module, home=tmp_path)
    assert not (HEAVY | PLOTTING) & set(seen["modules"])


def test_what_the_database_is_asked_after_it_was_stopped_says_how_to_start_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = settings.Settings.load(environ={"BATTERY_DATA_DIR": str(tmp_path / "data")})
    with open_store(folder) as store:
        monkeypatch.setattr(data, "_used", None)
        data.use(store, folder)
        assert samples.is_empty()
        server.stop(folder.data_dir)
        with pytest.raises(StoreUnavailableError, match="has stopped; start it with: battery-analysis db start"):
            samples.is_empty()
