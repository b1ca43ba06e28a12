"""``python -m tests.dashboard.screenshots [FOLDER]``: every page on the example lab, as small PNG files.

Light and dark, on a desk (1440 × 900) and on a phone (390 × 844), into ``docs/screenshots``: look at each of them.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from battery_analysis.store import server
from dashboard.pages import PAGES
from tests.dashboard.conftest import CHROMIUM, FLAGS, ROOT, Lab, lab_in, settled, watch

SIZES = {"desk": (1440, 900), "phone": (390, 844)}
COLOURS = 128
"""Enough for pages of text and lines, and a quarter of the bytes."""


def main() -> int:
    """Write the pictures and return status 0."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="ba-"))
    os.environ.update({"HOME": str(home), "XDG_DATA_HOME": str(home / "data")})
    uri = server.ensure_running(home / "server")
    try:
        with lab_in(uri, home / "lab") as lab, sync_playwright() as playwright:
            as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *as_root])
            for theme in ("light", "dark"):
                for size in SIZES:
                    _photograph(browser, lab, folder, theme, size)
            browser.close()
    finally:
        server.stop(home / "server")
    return 0


def _photograph(browser: Browser, lab: Lab, folder: Path, theme: str, size: str) -> None:
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
    tab = context.new_page()
    watch(tab)
    for page in PAGES:
        tab.goto(lab.url + lab.address(page))
        settled(tab)
        name = page.__name__.rpartition(".")[2]
        picture = Image.open(io.BytesIO(tab.screenshot())).convert("RGB").quantize(COLOURS)
        picture.save(folder / f"{name}_{theme}_{size}.png", optimize=True)
    context.close()


if __name__ == "__main__":
    sys.exit(main())
