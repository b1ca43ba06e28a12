"""One door to the database: a server that answered, or ``StoreUnavailableError``."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import mongoengine
import pymongo.errors
from pymongo.database import Database

from battery_analysis.errors import InvalidDocumentError, StoreError, StoreUnavailableError
from battery_analysis.models import DOCUMENTS
from battery_analysis.settings import Settings
from battery_analysis.store.raw_archive import RawArchive

ANSWER_MILLISECONDS = 2_000

ELECTION_MILLISECONDS = 30_000
"""How long members of a replica set may take to agree on another primary; the set is not lost before."""

DURABLE: Mapping[str, Any] = {"w": "majority", "journal": True}
"""A write counts once it survives the death of the server: an importer that goes on must not name what was lost."""


class Store:
    """An open database: the documents through mongoengine, bulk data through ``database``."""

    def __init__(self, database: Database[dict[str, Any]], where: str) -> None:
        self.database = database
        self.where = where
        self.archive = RawArchive(database)


@contextmanager
def open_store(settings: Settings, *, as_it_is: bool = False) -> Iterator[Store]:
    """Connect, check that the server answers, and disconnect at the end.

    Indexes that are missing are made, unless the database is to be opened ``as_it_is``: an older one may hold what
    they do not allow. With nothing configured the embedded MongoDB is started if it does not run. Errors of the
    driver inside the block leave it as ``StoreError``, on one line and without a password.

    Raises:
        StoreUnavailableError: No server answers within about two seconds, or it refuses the user.
    """
    with one_line_errors(settings.where):
        database = _connect(settings)
        try:
            # mongomock refuses to make an index again once there are documents.
            if not as_it_is and (settings.mode != "mock" or not database.list_collection_names()):
                _ensure_indexes()
            yield Store(database, settings.where)
        finally:
            mongoengine.disconnect()


def _ensure_indexes() -> None:
    try:
        for document in DOCUMENTS:
            document.ensure_indexes()
    except pymongo.errors.OperationFailure as exc:
        if exc.code != _UNAUTHORIZED:  # who may only read finds the indexes of those who may write
            raise


def _connect(settings: Settings) -> Database[dict[str, Any]]:
    common: dict[str, Any] = {"tz_aware": True, "uuidRepresentation": "standard"}
    if settings.mode == "mock":
        return _mock_database(settings.database, common)
    uri = _embedded_uri(settings) if settings.mode == "embedded" else settings.uri()
    said = {key.lower() for key in re.findall(r"[?&](\w+)=", uri or "")}
    common |= {name: value for name, value in DURABLE.items() if name.lower() not in said}
    common |= {"host": uri, "connectTimeoutMS": ANSWER_MILLISECONDS, "appname": "battery-analysis"}
    try:
        mongoengine.connect(settings.database, serverSelectionTimeoutMS=ANSWER_MILLISECONDS, **common)
    except ValueError as exc:  # how the driver reports a port or an option that cannot be
        raise StoreUnavailableError(f"the address of the database is not usable ({settings.where}): {exc}") from exc
    database = _answering()
    if database.client.topology_description.replica_set_name:
        mongoengine.disconnect()
        mongoengine.connect(settings.database, serverSelectionTimeoutMS=ELECTION_MILLISECONDS, **common)
        database = _answering()
    return database


def _answering() -> Database[dict[str, Any]]:
    """Return the database that is connected to, once it has answered."""
    database: Database[dict[str, Any]] = mongoengine.get_db()
    try:
        database.command("ping")
        # A server answers a ping of a stranger; only a real question shows whether it lets us in.
        database.command("dbStats")
    except pymongo.errors.PyMongoError:
        mongoengine.disconnect()
        raise
    return database


def _embedded_uri(settings: Settings) -> str:
    from battery_analysis.store.server import ensure_running

    return ensure_running(settings.data_dir)


def _mock_database(name: str, options: dict[str, Any]) -> Database[dict[str, Any]]:
    import mongomock
    from mongomock.gridfs import enable_gridfs_integration

    enable_gridfs_integration()
    mongoengine.connect(name, mongo_client_class=mongomock.MongoClient, _store=_mock_server(), **options)
    database: Database[dict[str, Any]] = mongoengine.get_db()
    return database


@functools.cache
def _mock_server() -> Any:
    """Return the one in-memory server of this process; it dies with the process."""
    from mongomock.store import ServerStore

    return ServerStore()


@contextmanager
def one_line_errors(where: str) -> Iterator[None]:
    """Turn errors of the driver into ``StoreError``, on one line and without a password."""
    try:
        yield
    except mongoengine.ValidationError as exc:
        raise InvalidDocumentError(str(exc)) from exc
    except pymongo.errors.PyMongoError as exc:
        raise _explained(where, exc) from exc
    except mongoengine.errors.MongoEngineException as exc:
        driver = exc.__context__  # mongoengine wraps what the driver says of a refused write
        raise _explained(where, driver if isinstance(driver, pymongo.errors.PyMongoError) else exc) from exc


def _explained(where: str, error: Exception) -> StoreError:
    match error:
        case pymongo.errors.ServerSelectionTimeoutError() | pymongo.errors.AutoReconnect():
            return StoreUnavailableError(f"no answer from {where}: {first_reason(error)}")
        case pymongo.errors.ConfigurationError():
            return StoreUnavailableError(f"the address of the database is not usable ({where}): {error}")
        case pymongo.errors.OperationFailure() if error.code in _REFUSALS:
            return StoreUnavailableError(f"{where} refuses this user: {first_reason(error)}")
        case _:
            return StoreError(f"{where}: {first_reason(error)}")


_UNAUTHORIZED, _AUTHENTICATION_FAILED, _ATLAS_REFUSED = 13, 18, 8000
_REFUSALS = frozenset({_UNAUTHORIZED, _AUTHENTICATION_FAILED, _ATLAS_REFUSED})


def first_reason(error: BaseException) -> str:
    """Return what an error says, without the topology, the raw reply and the raw command that are added to it."""
    reason = str(error).split(", Timeout:")[0].split(", full error:")[0].split(" (configured timeouts:")[0]
    return re.sub(r"(to execute command) \{ (\w+).*", r"\1 \2", reason)
