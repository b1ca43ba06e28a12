"""Files of a real SSH server become tests; whatever breaks on the way is taken up again or said in one line."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from battery_analysis.errors import IngestError
from battery_analysis.ingest import retrying, sources
from battery_analysis.ingest import run as runs
from battery_analysis.ingest.discover import Selection
from battery_analysis.ingest.sources import search, stored_root
from battery_analysis.models import Attachment, ImportJob, RawDataFile, TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store
from tests.builders import arbin_csv
from tests.ingest.places import LONG_AGO, Cutting, Taking, said, taking
from tests.readers.biologic_bytes import log_file, whole

SSHD = Path("/usr/sbin/sshd")
USER = getpass.getuser()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys of the server, of a user, and of a stranger."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("server", "user", "stranger"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(words, check=True)
    return folder


@pytest.fixture(scope="module")
def server(keys: Path) -> Iterator[int]:
    """The port of an OpenSSH server on this computer."""
    if not SSHD.exists():
        pytest.skip(f"no OpenSSH server at {SSHD} (Debian: apt-get install openssh-server)")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # a server started by root wants it
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    lines = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": keys / "server",
        "AuthorizedKeysFile": keys / "user.pub",
        "PidFile": "none",
        "UsePAM": "no",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
        "Subsystem": "sftp internal-sftp",
    }
    config = keys / "sshd_config"
    config.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
    process = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "the SSH server ended"
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def cutting(server: int) -> Iterator[Cutting]:
    """A connection to the server that can be broken."""
    between = Cutting(server)
    yield between
    between.close()


@pytest.fixture
def ssh(tmp_path: Path, keys: Path, server: int, cutting: Cutting, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ``.ssh`` of a user whom the server lets in, and who knows it."""
    folder = tmp_path / "home" / ".ssh"
    folder.mkdir(parents=True)
    shutil.copy(keys / "user", folder / "id_ed25519")
    shutil.copy(keys / "user.pub", folder / "id_ed25519.pub")
    know(folder, keys / "server.pub", server, cutting.port)
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(retrying, "FIRST_WAIT_SECONDS", 0.01)
    return folder


def know(ssh: Path, public_key: Path, *ports: int) -> None:
    kind, key, *_ = public_key.read_text().split()
    (ssh / "known_hosts").write_text("".join(f"[127.0.0.1]:{port} {kind} {key}\n" for port in ports))


@pytest.fixture
def take(store: Store, settings: Settings) -> Taking:
    return taking(store, settings)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A folder of the server's: two files, one of them in a folder, with times long ago."""
    folder = tmp_path / "lab"
    (folder / "rates").mkdir(parents=True)
    put(folder / "AB12.csv", arbin_csv(2))
    put(folder / "rates" / "CD34.csv", arbin_csv(3))
    return folder


def put(path: Path, text: str, seconds: float = 0.0) -> None:
    path.write_text(text)
    moment = LONG_AGO.timestamp() + seconds
    os.utime(path, (moment, moment))


def address(lab: Path, port: int) -> str:
    return f"sftp://{USER}@127.0.0.1:{port}{lab}"


def found(lab: Path, port: int, **selection: object) -> dict[str, str | None]:
    candidates = search(address(lab, port), Selection(**selection), data_dir=lab.parent)  # type: ignore[arg-type]
    return {str(each.relative): each.problem for each in candidates}


def test_files_of_a_server_become_tests_and_are_known_when_they_come_again(
    take: Taking, lab: Path, ssh: Path, server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = take(address(lab, server))
    assert said(first) == {"AB12.csv": "created", "rates/CD34.csv": "created"}
    assert first["rates/CD34.csv"].path == f"{address(lab, server)}/rates/CD34.csv"
    assert [each.path for each in RawDataFile.objects.get(filename="AB12.csv").sources] == [first["AB12.csv"].path]
    put(lab / "rates" / "CD34.csv", arbin_csv(5), seconds=60)
    assert said(take(address(lab, server))) == {"AB12.csv": "unchanged", "rates/CD34.csv": "updated"}
    monkeypatch.setattr("battery_analysis.ingest.origin.Origin.bring", None)  # nothing is brought here again
    assert set(said(take(address(lab, server))).values()) == {"unchanged"}


def test_links_are_not_followed_and_excluded_folders_not_entered(lab: Path, ssh: Path, server: int) -> None:
    (lab / "loop").symlink_to(lab)
    (lab / "link.csv").symlink_to(lab / "AB12.csv")
    os.mkfifo(lab / "pipe")
    link = "a link; links are not followed"
    assert found(lab, server, exclude=["rates"]) == {
        "AB12.csv": None,
        "link.csv": link,
        "loop": link,
        "pipe": "not a regular file",
    }
    assert found(lab, server, depth=0, include=["AB*"]) == {"AB12.csv": None}


def test_a_folder_with_a_name_that_is_no_text_fails_and_the_others_are_taken(
    take: Taking, lab: Path, ssh: Path, server: int
) -> None:
    Path(os.fsdecode(os.fsencode(lab / "rates") + b"/\xff.csv")).write_text(arbin_csv(4))
    outcomes = take(address(lab, server))
    assert said(outcomes) == {"AB12.csv": "created", "rates": "failed"}
    assert outcomes["rates"].reason == "the folder holds a name that is not UTF-8"


def test_a_file_is_a_place_too_and_paths_may_begin_at_home(lab: Path, ssh: Path, server: int) -> None:
    assert found(lab / "AB12.csv", server) == {"AB12.csv": None}
    with pytest.raises(IngestError, match="No such file"):
        found(lab / "nothing", server)
    assert stored_root("sftp://ada@lab/~/my%20cells/") == "sftp://ada@lab/~/my cells"


def test_hosts_users_and_keys_come_from_the_configuration(
    take: Taking, lab: Path, ssh: Path, keys: Path, server: int
) -> None:
    (ssh / "id_ed25519").rename(ssh / "lab_key")
    (ssh / "id_ed25519.pub").unlink()
    lines = f"Host cycler\n HostName 127.0.0.1\n Port {server}\n User {USER}\n IdentityFile ~/.ssh/lab_key\n"
    (ssh / "config").write_text(lines)
    outcomes = take(f"sftp://cycler{lab}/AB12.csv")
    assert [(each.path, each.outcome) for each in outcomes.values()] == [(f"sftp://cycler{lab}/AB12.csv", "created")]


def test_a_server_that_nobody_vouched_for_is_refused_with_what_to_do(lab: Path, ssh: Path, server: int) -> None:
    (ssh / "known_hosts").unlink()
    with pytest.raises(IngestError, match=f"its host key is not in .*; if .*: ssh-keyscan -p {server} 127.0.0.1 >>"):
        found(lab, server)


def test_a_server_with_another_key_is_refused(lab: Path, ssh: Path, keys: Path, server: int) -> None:
    know(ssh, keys / "stranger.pub", server)
    with pytest.raises(IngestError, match=r"its host key is not the one in .*ssh-keygen -R '\[127.0.0.1\]:"):
        found(lab, server)


def test_a_user_who_is_not_let_in_is_told_where_keys_belong(lab: Path, ssh: Path, keys: Path, server: int) -> None:
    shutil.copy(keys / "stranger", ssh / "id_ed25519")
    (ssh / "id_ed25519.pub").unlink()
    with pytest.raises(IngestError, match=r"the server refuses the user; put a key into ssh-agent or ~/\.ssh"):
        found(lab, server)


def test_a_server_that_does_not_answer_is_one_line(lab: Path, ssh: Path) -> None:
    with pytest.raises(IngestError, match=r"sftp://\w+@127.0.0.1:1: it cannot be reached: Unable to connect"):
        found(lab, 1)


@pytest.mark.parametrize(
    "text", ["sftp://ada:secret@lab/cells", "sftp://ada:@lab/cells", "s3://KEY:secret@bucket/cells"]
)
def test_a_password_in_an_address_is_refused_and_never_repeated(store: Store, settings: Settings, text: str) -> None:
    with pytest.raises(IngestError, match="may hold no password; put") as caught:
        runs.begin(store, settings, runs.ImportRequest(text))
    assert "secret" not in str(caught.value)
    assert ImportJob.objects.count() == 0


@pytest.mark.parametrize("text", ["sftp://", "sftp://lab:99999/cells", "sftp://a b@c@d/cells", "ftp://lab/cells"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(IngestError, match="--remote: an address"):
        stored_root(text)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sources._EXTRAS, "sftp", "no_such_package")
    with pytest.raises(IngestError, match=r"needs the package no_such_package; install battery-analysis\[sftp\]"):
        stored_root("sftp://lab/cells")


def test_a_transfer_that_breaks_goes_on_where_it_stopped(tmp_path: Path, ssh: Path, cutting: Cutting) -> None:
    big = tmp_path / "big.bin"
    big.write_bytes(os.urandom(12 << 20))
    cutting.cut_after = [9 << 20, 1 << 20]
    (candidate,) = search(address(big, cutting.port), Selection(), data_dir=tmp_path, retries=3)
    assert candidate.origin is not None
    candidate.origin.bring(tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == big.read_bytes()
    assert cutting.brought < 18 << 20  # not the whole again


def test_a_file_that_changes_while_its_transfer_breaks_is_brought_anew(
    tmp_path: Path, ssh: Path, cutting: Cutting, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = tmp_path / "big.bin"
    put(big, "a" * (6 << 20))
    cutting.cut_after = [4 << 20]
    (candidate,) = search(address(big, cutting.port), Selection(), data_dir=tmp_path, retries=3)
    monkeypatch.setattr(retrying, "_log", lambda state: put(big, "b" * (6 << 20), seconds=60))
    assert candidate.origin is not None
    candidate.origin.bring(tmp_path / "here")
    assert (tmp_path / "here").read_text() == "b" * (6 << 20)


def test_a_server_that_goes_ends_the_import_and_resume_goes_on(
    store: Store, settings: Settings, lab: Path, ssh: Path, server: int, cutting: Cutting
) -> None:
    put(lab / "AB12.csv", arbin_csv(2))
    put(lab / "EF56.csv", arbin_csv(4000))
    cutting.cut_after = [200_000]
    job_run = runs.begin(store, settings, runs.ImportRequest(address(lab, cutting.port), workers=1, retries=1))
    cutting.close()
    with pytest.raises(IngestError, match="it cannot be reached"):
        list(job_run)
    job = ImportJob.objects.get()
    assert job.state == "failed"
    (ssh / "config").write_text(f"Host 127.0.0.1\n Port {server}\n")
    ImportJob.objects.update(options={**job.options, "root": address(lab, server)})
    outcomes = list(runs.resume(store, settings, str(job.id)))
    assert {each.outcome for each in outcomes} <= {"created", "duplicate"}
    assert TestResult.objects.count() == 3
    assert ImportJob.objects.get().state == "completed"


def test_a_log_comes_along_with_the_data_that_need_it(take: Taking, lab: Path, ssh: Path, server: int) -> None:
    (lab / "AB12_C03.mpr").write_bytes(whole(LOG=b""))
    put(lab / "AB12_C03.mpl", log_file())
    outcomes = take(address(lab, server), include=["*.mpr"])
    assert said(outcomes) == {"AB12_C03.mpr": "created"}
    assert "its start, device and channel are those in AB12_C03.mpl" in " ".join(outcomes["AB12_C03.mpr"].warnings)
    (kept,) = Attachment.objects
    assert [place.path for place in kept.sources] == [f"{address(lab, server)}/AB12_C03.mpl"]
    assert kept.test_results == [outcomes["AB12_C03.mpr"].test_id]


def test_settings_find_the_data_of_their_run_on_a_server(take: Taking, lab: Path, ssh: Path, server: int) -> None:
    (lab / "AB12_C03.mpr").write_bytes(whole())
    put(lab / "AB12.mps", "EC-LAB SETTING FILE\r\n")
    outcomes = take(address(lab, server), include=["*.mp?"])
    assert outcomes["AB12.mps"].reason in (
        "EC-Lab settings, attached to 1 test",
        "EC-Lab settings, kept until its data come",
    )
    assert [each.test_results for each in Attachment.objects] == [[outcomes["AB12_C03.mpr"].test_id]]


def test_what_no_reader_expects_is_brought_once(
    take: Taking, lab: Path, ssh: Path, server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(lab / "photo.jpg", "\xff\xd8\xff\xe0")
    assert said(take(address(lab, server)))["photo.jpg"] == "skipped"
    monkeypatch.setattr("battery_analysis.ingest.origin.Origin.bring", None)
    again = take(address(lab, server))["photo.jpg"]
    assert (again.outcome, again.reason) == ("skipped", "no reader for .jpg; as it was before")
