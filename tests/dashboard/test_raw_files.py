"""Raw files: found by what is known of them, and downloaded byte for byte."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.dashboard.conftest import Lab

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab


def test_a_file_is_found_by_its_name_and_downloads_as_it_was(lab: Lab, visit: Callable[[str], Tab]) -> None:
    tab = visit("/raw-files")
    tab.get_by_role("textbox", name="Name").fill("ZN032")
    tab.get_by_text("1 raw file", exact=True).wait_for()
    assert "name=ZN032" in tab.url
    assert tab.get_by_role("link", name="ZN032", exact=True).get_attribute("href") == "/sample?sample=ZN032"
    tab.get_by_role("link", name="ZN032_rate").first.click()
    digest = tab.locator(".facts code.digest").inner_text()
    with tab.expect_download() as saving:
        tab.get_by_role("link", name="Download").click()
    saved = Path(saving.value.path()).read_bytes()
    original = next(lab.data_dir.rglob(saving.value.suggested_filename)).read_bytes()
    assert saved == original
    assert hashlib.sha256(saved).hexdigest() == digest


def test_digests_find_files_and_what_is_no_digest_is_said(
    visit: Callable[[str], Tab], faults: list[str], lab: Lab
) -> None:
    name = "LG014_ageing_21_1_3.ndax"
    digest = hashlib.sha256(next(lab.data_dir.rglob(name)).read_bytes()).hexdigest()
    tab = visit(f"/raw-files?sha256={digest[:12]}")
    tab.get_by_text("1 raw file", exact=True).wait_for()
    assert tab.get_by_role("link", name=name).count() == 2  # the file, and its test
    tab.get_by_role("textbox", name="SHA-256").fill("no digest")
    tab.get_by_text("hexadecimal digits wanted, got 'no digest'").wait_for()
    faults.clear()


@pytest.mark.parametrize("address", ["/raw-files/nonsense/download", f"/raw-files/{'0' * 24}/download"])
def test_a_download_of_nothing_is_not_found(lab: Lab, address: str) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(lab.url + address)
    assert refused.value.code == 404
    refused.value.close()
