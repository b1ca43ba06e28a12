"""Imports through the browser: files are looked at before they are stored, and jobs obey."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from battery_analysis.errors import IngestError
from battery_analysis.ingest import job as import_job
from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.preview import Preview
from battery_analysis.ingest.run import ImportRequest
from battery_analysis.ingest.sample_rules import Decision
from battery_analysis.ingest.uploads import Announced
from battery_analysis.settings import Settings
from battery_analysis.store import Store, open_store
from dashboard import data
from dashboard.data import incoming, jobs, previews, processes
from dashboard.data.requests import Asked
from dashboard.pages import import_form, import_jobs
from tests.dashboard.conftest import Lab, settled

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab


def a_recording(lab: Lab, change: str) -> bytes:
    """Return the bytes of a test of the example lab that was never imported: one line of it is left out."""
    path = next(path for path in lab.data_dir.rglob("LG012_rate_Channel*.CSV") if "uploads" not in path.parts)
    lines = path.read_bytes().splitlines(keepends=True)
    return b"".join(lines[: -int(change)])


def uploaded(tab: Tab, *files: Path) -> None:
    """Choose files on the page of imports, and wait until all of them were looked at."""
    with tab.expect_file_chooser() as chooser:
        tab.get_by_role("button", name="Choose files").click()
    chooser.value.set_files(list(files))
    tab.wait_for_url("**/import?upload=*")
    tab.locator("#upload-preview input").first.wait_for(timeout=60_000)


def ask(lab: Lab, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
    """Ask the dashboard as a program does."""
    connection = HTTPConnection(urlsplit(lab.url).netloc, timeout=20)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def announced(lab: Lab, *files: dict[str, Any]) -> tuple[int, str]:
    """Announce files for upload."""
    return ask(lab, "POST", "/uploads", json.dumps({"files": files}).encode())


def test_an_uploaded_file_is_looked_at_named_and_imported_and_downloads_identical(
    lab: Lab, visit: Callable[[str], Tab], tmp_path: Path
) -> None:
    content = a_recording(lab, "3")
    name = "from <b>the tester.csv"
    (tmp_path / name).write_bytes(content)
    tab = visit("/import")
    uploaded(tab, tmp_path / name)
    row = tab.get_by_role("row", name=re.compile("from <b>the tester"))
    assert "arbin_csv" in row.inner_text()
    row.get_by_text("first 3 cycles").click()
    assert row.get_by_role("row").count() == 4  # the heading, and three cycles
    tab.get_by_role("button", name="Import", exact=True).click()
    tab.get_by_text("Nothing says of which sample these files are").wait_for()
    tab.get_by_label(f"Sample of {name}").fill("Uploaded cell")
    tab.get_by_role("button", name="Import", exact=True).click()
    tab.get_by_role("row", name=f"uploaded: {name}").get_by_text("1 created").wait_for(timeout=60_000)
    tab.goto(f"{lab.url}/raw-files?name=from+%3Cb%3E")
    settled(tab)
    tab.get_by_role("link", name=name).first.click()
    with tab.expect_download() as saving:
        tab.get_by_role("link", name="Download").click()
    assert Path(saving.value.path()).read_bytes() == content
    deadline = time.monotonic() + 20
    while any((lab.data_dir / "uploads" / "uploaded").rglob("*.csv")):  # the copy to import from has served
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_rolled_back_import_leaves_nothing_and_its_files_are_listed_with_their_outcomes(
    lab: Lab, visit: Callable[[str], Tab], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "lab.zip", "w") as archive:
        archive.writestr("ZZ099/run.csv", a_recording(lab, "5"))
        archive.writestr("../../outside.csv", a_recording(lab, "7"))
    tab = visit("/import")
    uploaded(tab, tmp_path / "lab.zip")
    assert "ZZ099" in tab.get_by_label("Sample of lab.zip!/ZZ099/run.csv").input_value()
    tab.get_by_role("button", name="Import", exact=True).click()
    tab.get_by_role("link", name="uploaded: lab.zip").click(timeout=60_000)
    tab.get_by_role("button", name="Roll back").click(timeout=60_000)
    tab.get_by_text("1 test that this import made will be removed").wait_for()
    tab.get_by_role("gridcell", name="created").wait_for()
    tab.get_by_role("gridcell", name="failed").wait_for()
    assert tab.get_by_role("link", name="open").count() == 1
    tab.get_by_role("button", name="Roll back").last.click()
    tab.locator("#job-facts").get_by_text("rolled back", exact=True).wait_for(timeout=60_000)
    assert "being rolled back" not in tab.locator("main").inner_text()
    tab.reload()
    tab.get_by_role("gridcell", name="created").wait_for()
    assert tab.get_by_role("link", name="open").count() == 0  # its test is gone


def test_files_are_dropped_and_an_upload_that_nobody_wants_is_removed(lab: Lab, visit: Callable[[str], Tab]) -> None:
    tab = visit("/import")
    tab.locator("[data-import-drop]").evaluate(
        """zone => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File(["no table"], "dropped.csv"));
            for (const kind of ["dragover", "drop"])
                zone.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
        }"""
    )
    tab.wait_for_url("**/import?upload=*")
    tab.get_by_text("cannot be read").wait_for(timeout=30_000)
    tab.get_by_text("what is not imported within 24 hours goes").wait_for()
    tab.get_by_role("link", name="Later").click()
    tab.get_by_text("What is not imported goes 24 hours after its last byte came.").wait_for()
    tab.get_by_role("button", name="Remove").click()
    tab.get_by_text("Drop files or folders here").wait_for()
    assert not list((lab.data_dir / "uploads" / "incoming").rglob("dropped.csv"))


def test_an_upload_goes_on_where_it_stopped_and_takes_no_more_than_was_announced(lab: Lab) -> None:
    content = b"0123456789" * 1000
    file = {"path": "part/of it.bin", "size": len(content), "modified": 1}
    batch = json.loads(announced(lab, file)[1])
    place = f"/uploads/{batch['id']}/0"
    assert ask(lab, "PATCH", f"{place}?offset=0", content[:4000]) == (200, '{"received":4000}')
    assert ask(lab, "PATCH", f"{place}?offset=0", content[:4000]) == (409, '{"received":4000}')
    again = json.loads(announced(lab, file)[1])
    assert again["id"] == batch["id"]
    assert again["files"][0]["received"] == 4000
    status, said = ask(lab, "PATCH", f"{place}?offset=4000", content[4000:] + b"more")
    assert status == 413
    assert "10000 bytes were announced, more arrive" in said
    assert ask(lab, "PATCH", f"{place}?offset=4000", content[4000:])[0] == 200
    here = lab.data_dir / "uploads" / "incoming" / batch["id"] / "uploaded" / file["path"]
    assert hashlib.sha256(here.read_bytes()).digest() == hashlib.sha256(content).digest()
    assert ask(lab, "DELETE", f"/uploads/{batch['id']}")[0] == 204
    assert not here.exists()


@pytest.mark.parametrize(
    ("path", "size", "reason"),
    [
        ("../../.ssh/authorized_keys", 1, "leads out of its folder"),
        ("/etc/passwd", 1, "leads out of its folder"),
        ("a\\..\\b.csv", 1, "signs that no file name should have"),
        ("x" * 300, 1, "too long"),
        ("huge.csv", 1 << 60, "the most for one file"),
    ],
)
def test_unsafe_and_oversized_files_are_refused_with_the_reason(lab: Lab, path: str, size: int, reason: str) -> None:
    status, said = announced(lab, {"path": path, "size": size})
    assert status == 400
    assert reason in said


def test_what_cannot_be_stored_is_said_before_the_upload_leaves_its_place(store: Store, settings: Settings) -> None:
    data.use(store, settings)
    incoming.spool.cache_clear()
    try:
        batch = incoming.spool().begin([Announced("empty.csv", 0)])
        with pytest.raises(IngestError, match="tags: "):
            incoming.confirm(batch.id, Asked(tags=("x" * 101,)), {})
        assert incoming.under_way() == [batch]
    finally:
        incoming.spool.cache_clear()


def test_an_upload_whose_import_cannot_start_waits_on_with_its_reason(tmp_path: Path) -> None:
    settings = Settings.load(environ={"USE_MONGO_MOCK": "1"}, data_dir=tmp_path)
    incoming.spool.cache_clear()
    try:
        with open_store(settings) as store:
            data.use(store, settings)
            batch = incoming.spool().begin([Announced("a.csv", 1), Announced("b/c.csv", 1)])
            for number in range(2):
                with incoming.spool().writing(batch.id, number, 0) as piece:
                    piece.write(b"1")
            with pytest.raises(IngestError, match="the database is in memory"):
                incoming.confirm(batch.id, Asked(), {"a.csv": "AB12"})
            assert incoming.under_way() == [batch]
            assert batch.is_complete
    finally:
        incoming.spool.cache_clear()


def test_of_several_imports_of_an_upload_that_which_cannot_start_waits_on(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def start(_: str, words: list[str], **about: Any) -> None:
        if words[-1].endswith(".zip"):
            raise IngestError("too many processes")
        begun.append(about["about"])

    monkeypatch.setattr(processes, "start", start)
    data.use(store, settings)
    incoming.spool.cache_clear()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("one.csv", "1")
    try:
        batch = incoming.spool().begin([Announced("a.csv", 1), Announced("lab.zip", len(content.getvalue()))])
        for number, said in enumerate((b"1", content.getvalue())):
            with incoming.spool().writing(batch.id, number, 0) as piece:
                piece.write(said)
        with pytest.raises(IngestError, match="too many processes"):
            incoming.confirm(batch.id, Asked(), {})
        (left,) = incoming.under_way()
        assert (begun, [each.path for each in left.files], left.is_complete) == (["a.csv"], ["lab.zip"], True)
    finally:
        incoming.spool.cache_clear()


def test_the_sample_of_a_single_file_goes_before_the_one_of_all_files(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[list[str]] = []
    monkeypatch.setattr(processes, "start", lambda _, words, **__: said.append(words))
    data.use(store, settings)
    incoming.spool.cache_clear()
    try:
        batch = incoming.spool().begin([Announced("a.csv", 1), Announced("b.csv", 1)])
        for number in range(2):
            with incoming.spool().writing(batch.id, number, 0) as piece:
                piece.write(b"1")
        incoming.confirm(batch.id, Asked(sample="AB12"), {"b.csv": "CD34"})
    finally:
        incoming.spool.cache_clear()
    ((_, *options, _, root),) = said
    given = dict(each.removeprefix("--").split("=") for each in options if not each.startswith("--include"))
    request = ImportRequest(root=root, sample=given["sample"], sample_map=given["sample-map"])
    decide = request.options(settings).rules.decide
    files = [Candidate(Path(root) / each, PurePosixPath(each)) for each in ("a.csv", "b.csv")]
    assert [decide(each, None).sample for each in files] == ["AB12", "CD34"]


def test_an_upload_waits_for_the_look_at_its_files_and_for_their_samples() -> None:
    fallen_back, named = Decision("uploaded", "uploaded", "folder"), Decision("AB12", "AB12", "name")
    look = previews.Look()
    look.found = [
        Preview("/a.csv", "a.csv", fallen_back, "arbin_csv"),
        Preview("/AB12.csv", "AB12.csv", named, "arbin_csv"),
        Preview("/notes.csv", "notes.csv", fallen_back, None, problem="no reader"),
    ]
    assert "still being looked at" in (import_form.not_ready(look, {}, Asked(sample="AB12")) or "")
    look.is_done = True
    assert str(import_form.not_ready(look, {"a.csv": ""}, Asked())).endswith("fill it in: a.csv")
    assert import_form.not_ready(look, {"a.csv": "CD34"}, Asked()) is None
    assert import_form.not_ready(look, {}, Asked(sample="AB12")) is None


def test_what_an_import_is_asked_is_said_until_it_has_happened(
    store: Store, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.use(store, settings)
    job = import_job.start(str(tmp_path), {})
    job_id = str(job.id)

    def said() -> str:
        return str(import_jobs.facts(jobs.one(job_id)))

    jobs.ask(job_id, "pause")
    assert "The import is asked to pause; it finishes the files in hand." in said()
    job.modify(state="paused")
    assert "asked to pause" not in said()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        kind: processes.Kind = "import"
        started = processes.Started(kind, "x", job_id, tmp_path / "x.log", process)
        monkeypatch.setattr(processes, "recent", lambda: [started])
        assert "is being started again" in said()
        job.modify(state="running", asked=None)
        assert "is being started" not in said()
        job.modify(state="completed", finished_at=datetime.now(UTC))
        assert "is being started" not in said()  # its process ends a moment later
        monkeypatch.setattr(processes, "recent", lambda: [replace(started, kind="rollback")])
        assert "The import is being rolled back." in said()
        process.communicate(b"end")
    assert "being rolled back" not in said()


def test_other_sites_cannot_upload(lab: Lab) -> None:
    assert ask(lab, "POST", "/uploads", b"{}", Origin="http://elsewhere.example")[0] == 403
    status, said = ask(lab, "PATCH", "/uploads/0/0", b"x", **{"Sec-Fetch-Site": "cross-site"})
    assert status == 403
    assert "own pages" in said


def test_folders_of_the_server_are_only_those_of_the_settings(visit: Callable[[str], Tab], faults: list[str]) -> None:
    tab = visit("/import")
    tab.get_by_text("No folder of the server is open for import.").wait_for()
    assert "import_roots" in tab.locator("main").inner_text()
    tab = visit("/import?job=nonsense")
    tab.get_by_text("24 hexadecimal digits wanted").wait_for()
    faults.clear()
