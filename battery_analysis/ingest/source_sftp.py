"""Files of an SFTP server, over SSH: the server's key is checked, keys and names of hosts come from ``~/.ssh``."""

from __future__ import annotations

import logging
import re
import stat
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

from battery_analysis.errors import IngestError, ReadError
from battery_analysis.ingest.discover import Selection
from battery_analysis.ingest.origin import Listed, Source, Transfer
from battery_analysis.ingest.retrying import patiently

if TYPE_CHECKING:
    from paramiko import SFTPAttributes, SFTPClient, SFTPFile, SSHClient, SSHConfigDict

CONNECT_SECONDS = 20
SILENT_SECONDS = 60.0
"""A server that says nothing for this long is lost."""

_PORT = 22
_LAST_PORT = 65_535
_CHUNK_BYTES = 1 << 18
_REQUESTS_UNDER_WAY = 64
_LOG = "battery_analysis.ssh"
_ADDRESS = re.compile(
    r"sftp://(?:(?P<user>[^@/:]+)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^@/:\[\]]+)(?::(?P<port>\d{1,5}))?(?P<path>/.*)?"
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class SftpAddress:
    """``sftp://user@host:port/path``; what is left out comes from ``~/.ssh/config``. ``/~/`` is the home folder."""

    host: str
    path: str
    user: str | None = None
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> SftpAddress:
        """Take an address apart.

        Raises:
            IngestError: It is malformed.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None or int(found["port"] or _PORT) > _LAST_PORT:
            raise IngestError("--remote: an address like sftp://user@host:port/path wanted")
        port = int(found["port"]) if found["port"] else None
        path = "/" + unquote(found["path"] or "/").strip("/")
        return cls(found["host"].strip("[]"), path, found["user"], port)

    @property
    def server(self) -> str:
        """The address without the path."""
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"sftp://{user}{host}{f':{self.port}' if self.port else ''}"

    def __str__(self) -> str:
        return f"{self.server}{self.path}"


def open_sftp(text: str, retries: int) -> Source:
    """Connect to the server of an address.

    Raises:
        IngestError: It cannot be reached, is not known or refuses the user; or the path is not there.
    """
    server = _Server(SftpAddress.parse(text), retries)
    return _Folder(server)


class _Server:
    """A connection that is taken up again where it breaks; one thread at a time uses it."""

    def __init__(self, address: SftpAddress, retries: int) -> None:
        self.address = address
        self._retries = retries
        self._lock = Lock()
        self._session: SFTPClient | None = None
        self._close: Callable[[], object] = lambda: None
        self._was_there = False

    def do(self, work: Callable[[SFTPClient], Result]) -> Result:
        """Work with the server; a connection that breaks is taken up again.

        Raises:
            IngestError: The connection is lost.
            OSError: What the server says of a file.
        """
        try:
            done: Result = patiently(self._retries if self._was_there else 0)(self._once, work)
            return done
        except (ConnectionError, TimeoutError) as exc:
            raise IngestError(f"{self.address.server}: {exc}") from exc

    def _once(self, work: Callable[[SFTPClient], Result]) -> Result:
        from paramiko import SSHException

        with self._lock:
            session = self._connected()
            try:
                return work(session)
            except (SSHException, EOFError, OSError) as exc:
                channel = session.get_channel()
                broken = isinstance(exc, (SSHException, EOFError, ConnectionError, TimeoutError))
                if not broken and channel and not channel.closed and channel.get_transport().is_active():
                    raise
                self._close()
                self._session = None
                raise ConnectionError(f"the connection is lost: {str(exc) or type(exc).__name__}") from exc

    def _connected(self) -> SFTPClient:
        from paramiko import SSHException

        if self._session is None:
            client = _connect(self.address)
            self._close = weakref.finalize(self, client.close)
            try:
                self._session = client.open_sftp()
            except (SSHException, EOFError) as exc:
                raise IngestError(f"{self.address.server}: it lets the user in, but offers no SFTP: {exc}") from exc
            self._was_there = True
            if channel := self._session.get_channel():
                channel.settimeout(SILENT_SECONDS)
        return self._session


class _Folder:
    """A folder of a server, or one file."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        address = server.address
        # A path from the home folder on is a relative one for the server.
        self._path = address.path.removeprefix("/~/") if address.path.startswith("/~/") else address.path
        self._path = "." if self._path == "/~" else self._path
        try:
            status = server.do(lambda sftp: sftp.stat(self._path))
        except OSError as exc:
            raise IngestError(f"{address}: {exc.strerror or exc}") from exc
        self._is_folder = stat.S_ISDIR(status.st_mode or 0)
        self._file = Listed(address.path.rpartition("/")[2], *_size_and_time(status))
        folder = str(address) if self._is_folder else str(address).rpartition("/")[0]
        self.prefix = f"{folder.rstrip('/')}/"
        self.root = folder.rpartition("/")[2] or address.host
        self._base = self._path.rstrip("/") + "/" if self._is_folder else self._path[: self._path.rfind("/") + 1]

    def listing(self, selection: Selection) -> Iterator[Listed]:
        """Yield the files, folder by folder; links are not followed."""
        if not self._is_folder:
            yield self._file
            return
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                found = self._server.do(partial(_list, self._at(folder)))
            except UnicodeDecodeError:
                yield Listed(folder.rstrip("/"), damage="the folder holds a name that is not UTF-8")
                continue
            except OSError as exc:
                if not folder:
                    raise IngestError(f"{self._server.address}: {exc.strerror or exc}") from exc
                yield Listed(folder.rstrip("/"), problem=f"the folder cannot be read: {exc.strerror or exc}")
                continue
            for each in found:
                name = f"{folder}{each.filename}"
                if not stat.S_ISDIR(each.st_mode or 0):
                    yield Listed(name, *_size_and_time(each), problem=_problem(each))
                elif selection.enters(PurePosixPath(name)):
                    folders.append(f"{name}/")

    def fetch(self, name: str, target: Path) -> None:
        """Bring a file; a transfer that broke goes on where it stopped, unless the file was changed."""
        transfer = Transfer(target)

        def go_on(sftp: SFTPClient) -> None:
            with sftp.open(self._at(name), "rb") as file:
                status = file.stat()
                version = (status.st_size, status.st_mtime)
                size, start = status.st_size or 0, transfer.arrived(version)

                def chunks() -> Iterator[bytes]:
                    file.seek(start)
                    _silence(file)
                    file.prefetch(size, _REQUESTS_UNDER_WAY)
                    left = size - start
                    while left and (chunk := file.read(min(_CHUNK_BYTES, left))):
                        left -= len(chunk)
                        yield chunk
                    if left:
                        raise ReadError(f"{self.prefix}{name}", f"it became {left} bytes shorter while it was copied")

                transfer.go_on(version, chunks())

        try:
            self._server.do(go_on)
        except OSError as exc:
            raise ReadError(f"{self.prefix}{name}", exc.strerror or str(exc)) from exc

    def _at(self, name: str) -> str:
        return f"{self._base}{name}"


def _list(path: str, sftp: SFTPClient) -> list[SFTPAttributes]:
    return sftp.listdir_attr(path)


def _silence(file: SFTPFile) -> None:
    """Keep the thread that asks ahead from printing a traceback where the connection breaks: who reads hears of it."""
    from paramiko import SSHException

    ask_ahead: Callable[..., None] = getattr(file, "_prefetch_thread", lambda *args: None)

    def quietly(*args: object) -> None:
        with suppress(SSHException, EOFError, OSError):
            ask_ahead(*args)

    file._prefetch_thread = quietly  # type: ignore[attr-defined]


def _problem(each: SFTPAttributes) -> str | None:
    if stat.S_ISLNK(each.st_mode or 0):
        return "a link; links are not followed"
    return None if stat.S_ISREG(each.st_mode or 0) else "not a regular file"


def _size_and_time(status: SFTPAttributes) -> tuple[int, datetime | None]:
    moment = None if status.st_mtime is None else datetime.fromtimestamp(status.st_mtime, UTC)
    return status.st_size or 0, moment


def _connect(address: SftpAddress) -> SSHClient:
    """Log in.

    Raises:
        IngestError: The server cannot be reached, is not known or refuses the user.
    """
    import paramiko

    # Its threads log a traceback for whatever ends here as one line.
    logging.getLogger(_LOG).setLevel(logging.CRITICAL + 1)
    config = _config(address.host)
    host = config.get("hostname", address.host)
    port = address.port or int(config.get("port", _PORT))
    known = [Path(each).expanduser() for each in config.get("userknownhostsfile", "~/.ssh/known_hosts").split()]

    class Refusing(paramiko.MissingHostKeyPolicy):
        def missing_host_key(self, client: SSHClient, hostname: str, key: paramiko.PKey) -> None:
            scan = f"ssh-keyscan -p {port} {host} >> {known[0]}"
            raise IngestError(
                f"{address.server}: its host key is not in {known[0]} (it shows {key.get_name()} {key.fingerprint}); "
                f"if that is the server's, add it: {scan}"
            )

    client = paramiko.SSHClient()
    client.set_log_channel(_LOG)
    for path in (Path("/etc/ssh/ssh_known_hosts"), *known):
        with suppress(OSError):
            client.load_system_host_keys(str(path))
    client.set_missing_host_key_policy(Refusing())
    try:
        client.connect(
            host,
            port,
            username=address.user or config.get("user"),
            key_filename=[str(Path(each).expanduser()) for each in config.get("identityfile", [])],  # type: ignore[arg-type]
            timeout=CONNECT_SECONDS,
            banner_timeout=CONNECT_SECONDS,
            auth_timeout=CONNECT_SECONDS,
            channel_timeout=CONNECT_SECONDS,
            sock=paramiko.ProxyCommand(config["proxycommand"]) if "proxycommand" in config else None,
        )
        return client
    except paramiko.BadHostKeyException as exc:
        name = host if port == _PORT else f"[{host}]:{port}"
        why = f"its host key is not the one in {known[0]}; if the server was set up anew: ssh-keygen -R '{name}'"
        client.close()
        raise IngestError(f"{address.server}: {why}") from exc
    except paramiko.AuthenticationException as exc:
        what_to_do = "put a key into ssh-agent or ~/.ssh, or name it as IdentityFile in ~/.ssh/config"
        client.close()
        raise IngestError(f"{address.server}: the server refuses the user; {what_to_do}") from exc
    except (paramiko.SSHException, EOFError, OSError) as exc:
        client.close()
        raise ConnectionError(f"it cannot be reached: {getattr(exc, 'strerror', None) or exc}") from exc
    except IngestError:
        client.close()
        raise


def _config(host: str) -> SSHConfigDict:
    import paramiko

    path = Path("~/.ssh/config").expanduser()
    try:
        return paramiko.SSHConfig.from_path(str(path)).lookup(host)
    except FileNotFoundError:
        return paramiko.SSHConfig().lookup(host)
    except (OSError, paramiko.SSHException) as exc:
        raise IngestError(f"{path}: {exc}") from exc
