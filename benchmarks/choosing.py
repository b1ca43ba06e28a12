"""A person who opens a page and chooses a cell: how long until its plot is drawn, by the browser's own clock."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")
# Aurora's page asks another host for icons: that fails at once, so that nobody waits for the network.
_FLAGS = ("--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1")
_WAIT_MILLISECONDS = 60_000
_CALLBACK = "_dash-update-component"

# Plotly says when it has drawn; until then there may be no plot, or an empty one.
_WATCH = """
performance.setResourceTimingBufferSize(5000);
window.watchPlot = (selector) => {
  window.chosenAt = performance.now();
  window.drawn = new Promise((tell) => {
    let told = false;
    const look = () => {
      const plot = document.querySelector(selector);
      if (plot && plot.on && !plot.watched) {
        plot.watched = true;
        const drawn = () => { if (plot.data?.[0]?.x) { told = true; tell(performance.now()); } };
        plot.on("plotly_afterplot", drawn);
        drawn();
      }
      if (!told) requestAnimationFrame(look);
    };
    look();
  });
};
window.asked = () => performance.getEntriesByType("resource")
  .filter((each) => each.startTime >= window.chosenAt && each.name.includes("%s"))
  .map((each) => [each.startTime, each.encodedBodySize]);
""".replace("%s", _CALLBACK)


@dataclass(frozen=True)
class Visit:
    """One person's visit."""

    ready: float
    """From the address to a choice that can be opened, in s."""
    drawn: float
    """From the first request of the choice to its plot, in s."""
    size: int
    """Bytes that all requests of the choice brought, as they were sent."""


def visits(own: str, other: str, cells: Sequence[str]) -> Iterator[tuple[Visit, Visit]]:
    """Visit this project's dashboard and aurora's app, in turn, once for each cell.

    Args:
        own: URL of the dashboard.
        other: URL of aurora's app.
        cells: What is chosen.

    Raises:
        ModuleNotFoundError: There is no Playwright, or no browser.
    """
    from playwright.sync_api import sync_playwright

    path = next((each for each in CHROMIUM if Path(each).exists()), None)
    if path is None:
        raise ModuleNotFoundError("no Chromium")
    with sync_playwright() as playwright:
        as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=[*_FLAGS, *as_root])
        for cell in cells:
            yield _own(browser, own, cell), _aurora(browser, other, cell)
        browser.close()


@contextmanager
def _opened(browser: Browser, address: str) -> Iterator[Page]:
    """Open a page in a browser that has nothing kept."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(_WAIT_MILLISECONDS)
    context.add_init_script(_WATCH)
    page = context.new_page()
    page.goto(address, wait_until="commit")
    yield page
    context.close()


def _own(browser: Browser, url: str, cell: str) -> Visit:
    with _opened(browser, f"{url}/series") as page:
        return _chosen(page, page.locator("label", has_text="Tests").locator(".dash-dropdown"), cell, "#page")


def _aurora(browser: Browser, url: str, cell: str) -> Visit:
    with _opened(browser, url) as page:
        return _chosen(page, page.locator("#samples-dropdown"), cell, "#time-graph")


def _chosen(page: Page, field: Any, cell: str, around: str) -> Visit:
    field.wait_for()
    option = page.locator(".dash-dropdown-option:visible", has_text=cell)
    field.click()
    option.wait_for()
    ready = page.evaluate("() => performance.now()")
    page.wait_for_load_state("networkidle")
    page.evaluate("(selector) => watchPlot(selector)", f"{around} .js-plotly-plot")
    option.click()
    page.keyboard.press("Escape")
    drawn = page.evaluate("() => window.drawn")
    page.wait_for_load_state("networkidle")
    asked = page.evaluate("() => window.asked()")
    return Visit(ready / 1e3, (drawn - min(each[0] for each in asked)) / 1e3, sum(each[1] for each in asked))
