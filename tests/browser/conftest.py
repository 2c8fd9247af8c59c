"""A real browser on a real exporter."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from tests.conftest import ROOT
from tests.exporter.conftest import scenario, start
from tests.exporter.process import Serve

__all__ = ["scenario", "start"]

CHROMIUM = ROOT / ".cache/tools/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
PATIENCE_MS = 60_000
# The kernel log of the machine that runs the tests is not the stand-in driver's.
EXPORTER = ("--no-collector.filesystem", "--path.kmsg", "/nonexistent")

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser that ``make test`` has found or installed."""
    if CHROMIUM.exists():
        return CHROMIUM
    why = CHROMIUM.with_name("chromium.why")
    reason = why.read_text().strip() if why.exists() else "make test has not looked for it yet"
    pytest.skip(f"needs Chromium: {reason}")


# Of a module: while Playwright runs, no asyncio test can.
@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens live pages; whatever the browser complains of fails the test."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    def open_page(serve: Serve, port: int = 0, **context_options: Any) -> Page:
        context = browser.new_context(viewport={"width": 1440, "height": 900}, **context_options)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{'https' if serve.tls else 'http'}://127.0.0.1:{port or serve.port}/")
        page.locator("#state[data-state=live], #state[data-state=polling]").wait_for()
        return page

    yield open_page
    for context in browser.contexts:
        context.close()
    # That the exporter does not answer, or refuses to, is the subject of some tests.
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


def card(page: Page, index: int) -> dict[str, str]:
    """What a card shows, by its own words."""
    node = page.locator("#gpus > li").nth(index)
    rows = node.locator(".rows > div")
    shown = {
        rows.nth(i).locator("dt").inner_text(): rows.nth(i).locator(".value").inner_text()
        for i in range(rows.count())
    }
    shown["Utilisation"] = node.locator("[data-fact=utilisation]").inner_text()
    return {name: " ".join(text.split()) for name, text in shown.items()}
