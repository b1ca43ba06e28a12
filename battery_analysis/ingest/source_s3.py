"""Objects of an S3 bucket, or of any service that speaks its protocol; credentials come from where boto3 looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from battery_analysis.errors import IngestError, ReadError
from battery_analysis.ingest.discover import Selection
from battery_analysis.ingest.origin import Listed, Source, Transfer
from battery_analysis.ingest.retrying import patiently

_CHUNK_BYTES = 1 << 20
_ADDRESS = re.compile(r"s3://(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]+)(?:/(?P<key>.*))?", re.DOTALL)
_BUSY = frozenset({"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "500", "502", "503", "504"})
_OTHER_VERSION = frozenset({"PreconditionFailed", "InvalidRange", "412", "416"})


@dataclass(frozen=True)
class S3Address:
    """``s3://bucket/prefix``: a prefix is a folder, or one object."""

    bucket: str
    key: str = ""

    @classmethod
    def parse(cls, text: str) -> S3Address:
        """Take an address apart.

        Raises:
            IngestError: It is malformed.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise IngestError("--remote: an address like s3://bucket/prefix wanted")
        return cls(found["bucket"], (found["key"] or "").rstrip("/"))

    def __str__(self) -> str:
        return f"s3://{self.bucket}{f'/{self.key}' if self.key else ''}"


def open_s3(text: str, retries: int) -> Source:
    """Look into the bucket of an address.

    Raises:
        IngestError: It cannot be reached, is not there or refuses; or nothing lies at the address.
    """
    return _Bucket(S3Address.parse(text), retries)


class _Bucket:
    def __init__(self, address: S3Address, retries: int) -> None:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        self._address = address
        self._retries = retries
        config = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 3})
        try:
            self._client = boto3.Session().client("s3", config=config)
        except (BotoCoreError, ValueError) as exc:  # a profile that is not there, an endpoint that is none
            raise IngestError(f"{address}: {exc}") from exc
        folder = f"{address.key}/" if address.key else ""
        found = self._objects(address.key)
        first = next((each for each in found if each["Key"] == address.key or each["Key"].startswith(folder)), None)
        if first is None and address.key:
            raise IngestError(f"{address}: nothing is there")
        self._is_object = first is not None and first["Key"] == address.key
        self._folder = address.key.rpartition("/")[0] if self._is_object else address.key
        self._folder += "/" if self._folder else ""
        self._found = iter(()) if first is None else chain([first], found)
        self.prefix = f"s3://{address.bucket}/{self._folder}"
        self.root = self.prefix.rstrip("/").rpartition("/")[2]

    def listing(self, selection: Selection) -> Iterator[Listed]:
        """Yield the objects below the prefix; those that only stand for a folder are none."""
        for each in self._found:
            key = each["Key"]
            wanted = key == self._address.key if self._is_object else key.startswith(self._folder)
            if wanted and not key.endswith("/"):
                yield Listed(key[len(self._folder) :], each["Size"], each["LastModified"])

    def fetch(self, name: str, target: Path) -> None:
        """Bring an object; a transfer that broke goes on where it stopped, unless the object was replaced."""
        transfer = Transfer(target)
        try:
            patiently(self._retries)(self._go_on, name, transfer)
        except ConnectionError as exc:
            raise IngestError(f"{self._address}: the connection is lost: {exc}") from exc

    def _go_on(self, name: str, transfer: Transfer) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        asked: dict[str, Any] = {"Bucket": self._address.bucket, "Key": f"{self._folder}{name}"}
        if start := transfer.arrived(transfer.version):
            asked |= {"Range": f"bytes={start}-", "IfMatch": transfer.version}
        try:
            reply = self._client.get_object(**asked)
            with closing(reply["Body"]) as body:
                transfer.go_on(reply["ETag"], body.iter_chunks(_CHUNK_BYTES))
        except ClientError as exc:
            code = exc.response.get("Error", {}).get("Code", "")
            if start and code in _OTHER_VERSION:
                transfer.version = None
                raise ConnectionError(f"{name} was replaced while it was copied") from exc
            if code in _BUSY:
                raise ConnectionError(str(exc)) from exc
            raise ReadError(f"{self.prefix}{name}", _said(exc)) from exc
        except BotoCoreError as exc:
            raise ConnectionError(str(exc)) from exc

    def _objects(self, prefix: str) -> Iterator[dict[str, Any]]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._address.bucket, Prefix=prefix)
            for page in pages:
                yield from page.get("Contents", [])
        except ClientError as exc:
            raise IngestError(f"{self._address}: {_said(exc)}") from exc
        except BotoCoreError as exc:
            raise IngestError(f"{self._address}: {exc}") from exc


def _said(error: Any) -> str:
    """Return what the service says, in its own words."""
    said = error.response.get("Error", {})
    return f"{said.get('Message') or 'refused'} ({said.get('Code') or 'no code'})"
