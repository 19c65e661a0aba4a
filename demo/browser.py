"""Screenshots of the real dashboard, by the system's Chromium without a window."""

import asyncio
import json
import shutil
import time
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.async_api import Error, async_playwright

from demo.home_assistant import HomeAssistant
from demo.processes import DemoError

PROGRAM_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Only this machine is ever reached.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
SIZE = {"width": 1280, "height": 900}
SHOWN_WITHIN_MS = 30_000
# Cards draw their first values a moment after the page is there.
SETTLES_MS = 1500
TURN = "address => { history.pushState(null, '', address); window.dispatchEvent(new CustomEvent('location-changed')); }"


def find_browser() -> str | None:
    """The system's Chromium; None: there is none, and no screenshots."""
    return next((found for name in PROGRAM_NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page that shows the dashboard all the time, so that a screenshot is of the moment."""

    def __init__(self, home: HomeAssistant, program: str) -> None:
        self._home, self._program = home, program
        self._stack = AsyncExitStack()
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Log in and open the dashboard. Raises ``DemoError``."""
        try:
            await self._open()
        except Error as error:
            await self._stack.aclose()
            raise DemoError(f"{self._program} did not show the dashboard: {error.message}") from error
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _open(self) -> None:
        playwright = await self._stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=self._program, args=list(FLAGS))
        self._stack.push_async_callback(browser.close)
        context = await browser.new_context(viewport={"width": SIZE["width"], "height": SIZE["height"]})
        await context.add_init_script(f"localStorage.hassTokens = {json.dumps(json.dumps(tokens(self._home)))};")
        self._page = await context.new_page()
        await self._page.goto(self._home.dashboard_url, timeout=SHOWN_WITHIN_MS)
        await self._page.wait_for_selector("home-assistant-main", timeout=SHOWN_WITHIN_MS)
        await self._page.wait_for_selector("#ha-launch-screen", state="detached", timeout=SHOWN_WITHIN_MS)
        await self._page.wait_for_timeout(SETTLES_MS)

    async def picture(self, path: Path, view: str) -> Path:
        """One view of the dashboard as it is now. Raises ``DemoError``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            async with self._one_at_a_time:
                await self._turn_to(view)
                await self._page.screenshot(path=path)
        except Error as error:
            raise DemoError(f"no screenshot {path.name}: {error.message}") from error
        return path

    async def _turn_to(self, view: str) -> None:
        """Without loading the page again, as its own tabs do it."""
        address = f"{urlsplit(self._home.dashboard_url).path}/{view}"
        if urlsplit(self._page.url).path != address:
            await self._page.evaluate(TURN, address)
            await self._page.wait_for_timeout(SETTLES_MS)


def tokens(home: HomeAssistant) -> dict[str, Any]:
    """What the frontend keeps of a login."""
    tokens = home.browser_tokens
    return tokens | {"expires": round(time.time() * 1000) + tokens["expires_in"] * 1000}
