"""The archived bytes, as users get them back."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from battery_analysis.models import RawDataFile
from tests.builders import cycling_frame, read_result, save
from tests.cli.conftest import Cli

BYTES = bytes(range(256)) * 5_000 + b"\r\n\xff"


@pytest.fixture
def kept(cli: Cli, tmp_path: Path) -> tuple[str, str]:
    """Ids of a test and its raw file, whose bytes are no text."""
    with cli.store() as store:
        test = save(store, tmp_path, read_result(cycling_frame()), content=BYTES)
        return str(test.id), str(test.raw_files[0].raw_file)


def test_bytes_come_back_as_they_were_by_file_and_by_test(cli: Cli, kept: tuple[str, str], tmp_path: Path) -> None:
    test_id, file_id = kept
    for number, words in enumerate((("download", file_id), ("by-test", test_id), ("by-test", test_id, "--part", "1"))):
        out = tmp_path / f"{number}.bin"
        done = cli("raw", *words, "--out", out)
        assert (done.status, done.out, done.err) == (0, "", f"wrote {len(BYTES)} bytes to {out}\n")
        assert out.read_bytes() == BYTES


def test_without_out_the_bytes_go_to_standard_output(cli: Cli, kept: tuple[str, str]) -> None:
    child = cli.process("download", kept[1], module="battery_analysis.utils.raw_file_cli")
    out, err = child.communicate()
    assert (child.returncode, out, err) == (0, BYTES, b"")


def test_a_closed_pipe_ends_a_download_quietly(cli: Cli, kept: tuple[str, str]) -> None:
    child = cli.process("raw", "download", kept[1])
    head = subprocess.run(["head", "-c", "10"], stdin=child.stdout, capture_output=True, check=True)
    child.stdout.close()
    assert head.stdout == BYTES[:10]
    assert (child.stderr.read(), child.wait()) == (b"", 141)
    child.stderr.close()


def test_a_file_is_replaced_whole_or_not_at_all(cli: Cli, kept: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out" / "original.bin"
    out.parent.mkdir()
    out.write_text("older")
    with cli.store() as store:
        store.database["raw.chunks"].update_one({"n": 1}, {"$set": {"data": b"damaged"}})
    assert "AB12.csv: archived bytes" in cli.refused("raw", "download", kept[1], "--out", out)
    assert out.read_text() == "older"
    assert list(out.parent.iterdir()) == [out]


def test_what_is_no_file_is_written_to_and_stays(cli: Cli, kept: tuple[str, str], tmp_path: Path) -> None:
    link = tmp_path / "link.bin"
    link.symlink_to(tmp_path / "place.bin")
    assert cli("raw", "download", kept[1], "--out", link).status == 0
    assert link.is_symlink()
    assert (tmp_path / "place.bin").read_bytes() == BYTES
    assert cli("raw", "download", kept[1], "--out", "/dev/null").err == "wrote to /dev/null\n"
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_files_are_listed_with_where_they_belong(cli: Cli, kept: tuple[str, str]) -> None:
    [row] = cli.json("raw", "list")
    assert (row["id"], row["test_id"], row["filename"], row["size"]) == (kept[1], kept[0], "AB12.csv", len(BYTES))
    assert cli.json("raw", "list", "--name", "AB12.csv", "--sha256", row["sha256"]) == [row]
    assert cli.json("raw", "list", "--operator", "nobody") == []
    assert cli.ok("raw", "list", "--name", "other").out == "no raw file fits\n"
    assert row["sha256"] in cli.ok("raw", "list").out


def test_what_is_attached_to_a_test_is_shown_and_comes_back(cli: Cli, tmp_path: Path) -> None:
    settings = b"EC-LAB SETTING FILE\r\n\r\nNumber of linked techniques : 1\r\n"
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "AB12.mps").write_bytes(settings)
    with cli.store() as store:
        facts = {"tester": "BioLogic"}
        test_id = save(store, lab, read_result(cycling_frame(), **facts), name="AB12_C01.mpr").id
    assert cli.json("test", "show", test_id)["attachments"] == []
    assert "attached to 1 test" in cli("import", lab, "--include", "*.mps").out
    [attached] = cli.json("test", "show", test_id)["attachments"]
    digest = hashlib.sha256(settings).hexdigest()
    assert (attached["name"], attached["kind"], attached["size"]) == ("AB12.mps", "settings", len(settings))
    assert attached["sha256"] == digest
    line = next(line for line in cli.ok("test", "show", test_id).lines if "AB12.mps" in line)
    assert line.split() == [attached["id"], "AB12.mps", "settings", str(len(settings)), digest]
    out = tmp_path / "back.mps"
    done = cli("raw", "attachment", attached["id"], "--out", out)
    assert (done.status, done.err, out.read_bytes()) == (0, f"wrote {len(settings)} bytes to {out}\n", settings)
    assert "no attachment has the id" in cli.refused("raw", "attachment", "0" * 24)
    with cli.store() as store:
        store.database["attached.chunks"].update_one({}, {"$set": {"data": b"damaged"}})
    assert "AB12.mps: archived bytes" in cli.refused("raw", "attachment", attached["id"], "--out", out)
    assert out.read_bytes() == settings


def test_verify_names_what_is_damaged_and_ends_with_1(cli: Cli, kept: tuple[str, str], tmp_path: Path) -> None:
    assert cli.ok("raw", "verify").out == "1 of 1 raw files are as they were\n"
    with cli.store() as store:
        save(store, tmp_path, read_result(cycling_frame()), name="CD34.csv")
        store.database["raw.chunks"].delete_many(
            {"files_id": RawDataFile.objects.get(id=kept[1]).versions[0].extent.file_id}
        )
    done = cli("raw", "verify", "--json")
    assert done.status == 1
    assert done.json["checked"] == 2
    assert [row["id"] for row in done.json["damaged"]] == [kept[1]]
    assert cli("raw", "verify", kept[1]).status == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("download", "seven"), "no raw data file has the id 'seven': 24 hexadecimal digits wanted"),
        (("download", "0" * 24), f"no raw data file has the id {'0' * 24}"),
        (("by-test", "0" * 24), f"no test result has the id {'0' * 24}"),
        (("download", "FILE", "--version", "f" * 64), "AB12.csv: no version with SHA-256 ffff"),
        (("download", "FILE", "--out", "/nowhere/x.bin"), "/nowhere/x.bin: cannot be written: No such file"),
        (("by-test", "TEST", "--part", "2"), "has 1 files, no part 2"),
        (("verify", "seven"), "no raw data file has the id 'seven'"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_what_is_not_there_is_one_line(cli: Cli, kept: tuple[str, str], words: tuple[str, ...], message: str) -> None:
    named = {"TEST": kept[0], "FILE": kept[1]}
    assert message in cli.refused("raw", *(named.get(word, word) for word in words))


@pytest.mark.parametrize("words", [("download", 1), ("by-test", 0)])
def test_bytes_are_not_poured_onto_a_terminal(
    cli: Cli, kept: tuple[str, str], words: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert "name a file with --out" in cli.refused("raw", words[0], kept[words[1]])
