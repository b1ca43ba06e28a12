"""A reader of the dashboard without a browser: asks for pages and callbacks as Dash's scripts do."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_FORMS = {"f4": "f", "f8": "d"}


@dataclass(frozen=True)
class Answer:
    """What came back, and what it took."""

    seconds: float
    size: int
    """Bytes as they were sent."""
    body: bytes

    def extremes(self) -> Iterator[tuple[float, float]]:
        """Yield smallest and largest value of each line of the figure that came."""
        for outputs in json.loads(self.body)["response"].values():
            for trace in outputs.get("figure", {}).get("data", ()):
                packed, form = base64.b64decode(trace["y"]["bdata"]), _FORMS[trace["y"]["dtype"]]
                values = struct.unpack(f"<{len(packed) // struct.calcsize(form)}{form}", packed)
                yield min(values), max(values)


class Reader:
    """One person with one connection."""

    def __init__(self, url: str) -> None:
        """Learn which callbacks there are."""
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        self._callbacks = json.loads(self.get("/_dash-dependencies").body)

    def has(self, page: str) -> bool:
        """Say whether there are callbacks with controls of a page."""
        return any(f'"page":"{page}"' in given["id"] for each in self._callbacks for given in each["inputs"])

    def get(self, address: str) -> Answer:
        """Ask for what lies at an address."""
        return self._ask("GET", address)

    def open(self, address: str) -> Answer:
        """Open a page by its address: its document and, drawn by the server, its content."""
        path, _, query = address.partition("?")
        began = time.perf_counter()
        document = self.get(address)
        route = {"path": path, "search": f"?{query}" if query else ""}
        callback = next(each for each in self._callbacks if "page.children" in each["output"])
        content = self._call(callback, {"data": route})
        return Answer(time.perf_counter() - began, document.size + content.size, content.body)

    def call(self, page: str, wanted: str, values: Mapping[str, Any]) -> Answer:
        """Ask for what a callback gives.

        Args:
            page: Word of the page, in the ids of its controls or figure.
            wanted: Property that the callback gives.
            values: Of its inputs and states, by the name in the query, by the id, or by the property; others are empty.
        """
        for callback in self._callbacks:
            first = callback["output"].strip(".").split("...")[0]
            if first.endswith(f".{wanted}") and page in first.replace('"', " ").replace(".", " ").split():
                return self._call(callback, values)
        raise AssertionError(f"no callback of {page} gives {wanted}")

    def _call(self, callback: Mapping[str, Any], values: Mapping[str, Any]) -> Answer:
        outputs = [_target(each) for each in callback["output"].strip(".").split("...")]
        inputs, states = ([_filled(each, values) for each in callback[name]] for name in ("inputs", "state"))
        question = {
            "output": callback["output"],
            "outputs": outputs if callback["output"].startswith("..") else outputs[0],
            "inputs": inputs,
            "state": states,
            "changedPropIds": [f"{callback['inputs'][0]['id']}.{callback['inputs'][0]['property']}"],
        }
        return self._ask("POST", "/_dash-update-component", json.dumps(question))

    def _ask(self, method: str, address: str, body: str | None = None) -> Answer:
        headers = {"Accept-Encoding": "gzip", "Content-Type": "application/json"}
        began = time.perf_counter()
        self._connection.request(method, address, body, headers)
        answer = self._connection.getresponse()
        sent = answer.read()
        took = time.perf_counter() - began
        assert answer.status == 200, f"{address}: {answer.status} {sent[:200]!r}"
        plain = gzip.decompress(sent) if answer.headers["Content-Encoding"] == "gzip" else sent
        return Answer(took, len(sent), plain)


def _target(output: str) -> dict[str, Any]:
    identity, _, name = output.partition("@")[0].rpartition(".")
    return {"id": _identity(identity), "property": name}


def _filled(given: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    identity = _identity(given["id"])
    name = identity.get("query") if isinstance(identity, dict) else None
    value = values.get(name) if name else values.get(given["id"], values.get(given["property"]))
    return {"id": identity, "property": given["property"], "value": value}


def _identity(text: str) -> Any:
    return json.loads(text.replace("\\.", ".")) if text.startswith("{") else text
