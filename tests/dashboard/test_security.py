"""Who may ask the dashboard for what, before there are accounts."""

from __future__ import annotations

import http.client
from collections.abc import Sequence
from typing import Any

import pytest

from dashboard.security import CALLBACK_BYTES, Guard, headers
from tests.dashboard.conftest import Lab, run_beside

HERE = {"host": "localhost:8050"}


def asked(
    method: str,
    path: str,
    sent: dict[str, str],
    *,
    host: str = "127.0.0.1",
    kind: str = "http",
    body: Sequence[bytes] = (b"",),
) -> tuple[int, dict[str, str]]:
    """Return status and headers of the answer that a guarded application of "200" gives."""
    heard: list[dict[str, Any]] = []
    pieces = [{"type": "http.request", "body": piece, "more_body": True} for piece in body]

    async def application(_: Any, receive: Any, send: Any) -> None:
        for _piece in pieces:
            if (await receive())["type"] == "http.disconnect":
                return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        heard.append(message)

    waiting = list(pieces)
    pairs = [(name.encode(), value.encode()) for name, value in sent.items()]
    scope = {"type": kind, "method": method, "path": path, "headers": pairs, "query_string": b""}
    guard = Guard(application, host=host, answer_headers=headers(()))
    run_beside(guard(scope, receive, send))
    if not heard or heard[0]["type"] == "websocket.close":
        return 0, {}
    return heard[0]["status"], {name.decode(): value.decode() for name, value in heard[0]["headers"]}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (HERE, 200),  # a program
        ({**HERE, "origin": "http://localhost:8050", "sec-fetch-site": "same-origin"}, 200),
        ({**HERE, "origin": "http://evil.example"}, 403),
        ({**HERE, "origin": "null"}, 403),
        ({**HERE, "origin": "http://localhost:9999"}, 403),
        ({**HERE, "sec-fetch-site": "cross-site"}, 403),
        ({**HERE, "sec-fetch-site": "same-site"}, 403),
        ({"host": "evil.example"}, 400),
        ({"host": "evil.example:8050", "origin": "http://evil.example:8050"}, 400),
        ({"host": ""}, 400),
        ({**HERE, "content-length": str(CALLBACK_BYTES + 1)}, 413),
        ({**HERE, "content-length": "-1"}, 413),
    ],
)
def test_only_its_own_pages_and_programs_may_change_something(sent: dict[str, str], status: int) -> None:
    assert asked("POST", "/_dash-update-component", sent)[0] == status


def test_a_link_from_elsewhere_may_open_a_page() -> None:
    assert asked("GET", "/tests", {**HERE, "sec-fetch-site": "cross-site"})[0] == 200


@pytest.mark.parametrize(
    ("name", "status"), [("10.1.2.3:8050", 200), ("[fe80::1]:8050", 200), ("localhost", 200), ("evil.example", 400)]
)
def test_open_to_the_network_it_answers_to_addresses_and_its_own_name(name: str, status: int) -> None:
    assert asked("GET", "/", {"host": name}, host="0.0.0.0")[0] == status


def test_a_request_looks_up_no_names_on_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object) -> str:
        raise AssertionError("a name server was asked while a request waits")

    guard = Guard(Unreached(), host="lab.example", answer_headers={})
    monkeypatch.setattr("socket.getfqdn", slow)
    assert guard._is_own("LAB.example:8050")
    assert guard._is_own("10.1.2.3")
    assert not guard._is_own("evil.example")


class Unreached:
    """An application that nobody asks."""

    async def __call__(self, *_: Any) -> None:
        """Fail."""
        raise AssertionError


def test_a_body_of_no_announced_length_is_cut_off() -> None:
    piece = b"x" * (CALLBACK_BYTES // 2)
    assert asked("POST", "/_dash-update-component", HERE, body=[piece, piece])[0] == 200
    assert asked("POST", "/_dash-update-component", HERE, body=[piece, piece, b"x"])[0] == 0


def test_there_are_no_websockets() -> None:
    assert asked("GET", "/_dash-ws-callback", HERE, kind="websocket")[0] == 0


def test_every_answer_tells_the_browser_to_run_nothing_foreign(lab: Lab) -> None:
    port = int(lab.url.rpartition(":")[2])
    for path in ("/", "/tests", "/assets/style.css", "/_dash-layout"):
        _, sent, _ = fetched(port, path)
        policy = sent["content-security-policy"]
        assert "script-src 'self' 'sha256-" in policy
        assert "unsafe-eval" not in policy
        assert "script-src 'self' 'unsafe-inline'" not in policy
        assert sent["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../app.py",
        "/assets/..%2fapp.py",
        "/assets/%2e%2e/%2e%2e/setup.py",
        "/_dash-component-suites/dash/../../../setup.py",
        "/_dash-component-suites/os/../../etc/passwd",
    ],
)
def test_no_path_leads_out_of_the_assets(path: str, lab: Lab) -> None:
    _, _, body = fetched(int(lab.url.rpartition(":")[2]), path)
    assert b"import" not in body
    assert b"root:" not in body


def fetched(port: int, path: str) -> tuple[int, dict[str, str], bytes]:
    """Ask for a path exactly as it is written."""
    connection = http.client.HTTPConnection("localhost", port, timeout=10)
    try:
        connection.putrequest("GET", path)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()
