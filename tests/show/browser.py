"""A browser for tests: the chromium of the machine, which no test downloads; skipped where absent.

with opened(tmp_path / "page.html", width=360, theme="dark") as seen:
    seen.page.click("text=Units")
    seen.calm()                       # fails where the page complained, or asked the network
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
needed = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
TASKS = """
  window.longest = 0;
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) window.longest = Math.max(window.longest, one.duration);
  }).observe({ type: "longtask", buffered: false });
"""


@dataclass
class Seen:
    """A page, and what it complained of while it was looked at."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def calm(self, network: bool = False) -> None:
        """Fail where an error was met, or with no `network`, where anything was asked for."""
        assert not self.complaints, self.complaints
        assert network or not self.asked, self.asked

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()

    def text(self, selector: str) -> str:
        return self.page.locator(selector).first.inner_text()

    def until(self, true: str, given: Any = None, seconds: float = 8) -> None:
        """Wait until an expression is true; our policy forbids what Playwright would do itself."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(true, given):
            assert time.monotonic() < end, f"never true: {true}"
            self.page.wait_for_timeout(20)

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )

    def watch_tasks(self) -> None:
        """From here on, `longest_task` says how long the page was busy at a stretch."""
        self.page.evaluate(TASKS)

    def longest_task(self) -> float:
        """Milliseconds of the longest task over 50 ms since `watch_tasks`; else 0."""
        self.page.wait_for_timeout(120)
        return self.page.evaluate("window.longest")


@contextmanager
def opened(
    place: Path | str,
    *,
    width: int = 1280,
    height: int = 900,
    theme: Literal["light", "dark"] = "light",
    scripts: bool = True,
    ready: str = "html[data-ready=yes]",
) -> Iterator[Seen]:
    """A file or an address in a browser, ready to be used."""
    address = place.resolve().as_uri() if isinstance(place, Path) else place
    with _shared.held() as browser:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme,
            java_script_enabled=scripts, reduced_motion="reduce",
        )  # fmt: skip
        try:
            yield _looked_at(context, address, ready if scripts else "body")
        finally:
            context.close()


class _Shared:
    """One browser for all that are open at a time: Playwright allows no second in a thread."""

    def __init__(self):
        self.users, self.play, self.browser = 0, None, None

    @contextmanager
    def held(self) -> Iterator[Any]:
        if not self.users:
            from playwright.sync_api import sync_playwright

            self.play = sync_playwright().start()
            self.browser = self.play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        self.users += 1
        try:
            yield self.browser
        finally:
            self.users -= 1
            if not self.users:  # its event loop would be in the way of other tests
                self.browser.close()
                self.play.stop()


_shared = _Shared()


def _looked_at(context: Any, address: str, ready: str) -> Seen:
    seen = Seen(context.new_page())
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.on(
        "console",
        lambda said: seen.complaints.append(said.text) if said.type in ("error", "warning") else 0,
    )
    seen.page.on(
        "request",
        lambda one: 0 if one.url.startswith(("data:", "file:")) else seen.asked.append(one.url),
    )
    seen.page.goto(address)
    seen.page.wait_for_selector(ready, state="attached", timeout=20_000)
    return seen
