"""A person in front of a real browser: reads, clicks, types, and takes pictures of every screen."""

import json
import re
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from playwright.async_api import ConsoleMessage, Error, Locator, async_playwright

from demo.browser import FLAGS, SHOWN_WITHIN_MS, TURN, tokens
from demo.home_assistant import HomeAssistant
from demo.processes import DemoError, until

READS_WITHIN_S = 15.0
# A theme and a size take hold within a few frames; graphs draw once more.
SETTLES_MS = 300
CHART_MS = 1500
# A picture shows the whole view, but no endless one.
TALLEST = 3600


@dataclass(frozen=True, slots=True)
class Screen:
    """A device on which a resident looks."""

    name: str
    width: int
    height: int


PHONE, DESKTOP, WALL = Screen("phone", 390, 844), Screen("desktop", 1280, 800), Screen("wall", 1920, 1080)
# The resident is where the house is.
TIME_ZONE = "America/New_York"
THEMES = ("light", "dark")

# All words that are shown, through every shadow root.
READ = """() => {
  const words = [];
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE) { const text = node.textContent.trim(); if (text) words.push(text); return; }
    if (node.nodeType === Node.ELEMENT_NODE) {
      if (["STYLE", "SCRIPT", "TEMPLATE"].includes(node.tagName)) return;
      const style = getComputedStyle(node);
      if (style.display === "none" || style.visibility === "hidden") return;
      if (node.shadowRoot) walk(node.shadowRoot);
    }
    node.childNodes.forEach(walk);
  };
  walk(document.body);
  return words.join("\\n");
}"""
# How tall the view is that is shown, all of it; and whether it is wider than the screen.
MEASURE = """() => {
  const find = (root, name) => {
    for (const node of root.querySelectorAll("*")) {
      if (node.localName === name) return node;
      const deeper = node.shadowRoot && find(node.shadowRoot, name);
      if (deeper) return deeper;
    }
  };
  const view = find(document, "hui-sections-view") ?? find(document, "hui-view");
  const tall = view ? view.getBoundingClientRect().bottom : document.documentElement.scrollHeight;
  return [Math.ceil(tall + window.scrollY), document.documentElement.scrollWidth - window.innerWidth];
}"""
# Texts that a tile had to cut off.
CUT = """() => {
  const cut = [];
  const walk = (root) => root.querySelectorAll("*").forEach((node) => {
    if (node.shadowRoot) walk(node.shadowRoot);
    if (node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).textOverflow === "ellipsis")
      cut.push(node.innerText || node.textContent);
  });
  walk(document);
  return cut;
}"""
# What no resident may ever read.
NEVER = re.compile(
    r"Entity not found|Entity not available|Configuration error|Error loading|Timeout wait|\bundefined\b|MISSING_VALUE"
    r"|\bNaN\b|\[object|component\.ridethrough|\bdashboard_|Unknown (?:error|type)|non-numeric|invalid",
    re.IGNORECASE,
)
# Complaints of the browser that are not about what is shown: this rig lacks some things that Home Assistant asks for.
HARMLESS = re.compile(
    r"favicon|ERR_NAME_NOT_RESOLVED|ERR_CONNECTION_REFUSED|WebSocket|status of 401|manifest\.json"
    r"|brands/integration/(?!ridethrough)"
)


class Person:
    """One browser window. What was wrong is kept in ``complaints``."""

    def __init__(self, home: HomeAssistant, program: str, folder: Path) -> None:
        self._home, self._program, self._folder = home, program, folder
        self._stack = AsyncExitStack()
        self.complaints: list[str] = []
        self.cut: set[str] = set()
        self.taken: list[Path] = []
        self.acts = 0
        self._said_before = 0

    async def __aenter__(self) -> Self:
        """Open the browser, logged in. Raises ``DemoError``."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            playwright = await self._stack.enter_async_context(async_playwright())
            browser = await playwright.chromium.launch(executable_path=self._program, args=list(FLAGS))
            self._stack.push_async_callback(browser.close)
            self._context = await browser.new_context(
                viewport={"width": DESKTOP.width, "height": DESKTOP.height}, timezone_id=TIME_ZONE
            )
            await self._log_in()
            self._page = await self._context.new_page()
        except Error as error:
            await self._stack.aclose()
            raise DemoError(f"{self._program} did not open: {error.message}") from error
        self._page.on("console", self._hear)
        self._page.on(
            "pageerror", lambda error: self.complaints.append(f"the browser: {error.message} {error.stack or ''}"[:400])
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _log_in(self) -> None:
        kept = json.dumps(json.dumps(tokens(self._home)))
        await self._context.add_init_script(f"localStorage.hassTokens = {kept};")

    def _hear(self, message: ConsoleMessage) -> None:
        said = f"{message.text} {message.location.get('url')}"
        if message.type == "error" and not HARMLESS.search(said):
            self.complaints.append(f"the browser's console: {message.text[:300]} ({message.location.get('url')})")

    # --------------------------------------------------------------------------------------------------------- going

    async def open(self, path: str) -> None:
        """Load a page by its address, as the first thing or after a restart."""
        await self._page.goto(f"{self._home.url}{path}", timeout=SHOWN_WITHIN_MS)
        await self._page.wait_for_selector("home-assistant-main", timeout=SHOWN_WITHIN_MS)
        await self._page.wait_for_selector("#ha-launch-screen", state="detached", timeout=SHOWN_WITHIN_MS)

    async def turn(self, path: str) -> None:
        """As a click on a tab does it, without loading anything again."""
        await self._page.evaluate(TURN, path)

    async def come_back(self) -> None:
        """Log in again after Home Assistant was away; what the browser said of that time is forgotten."""
        await self._page.goto("about:blank")
        del self.complaints[self._said_before :]
        await self._log_in()

    def leave(self) -> None:
        """Home Assistant goes away; the browser will say so."""
        self._said_before = len(self.complaints)

    @property
    def path(self) -> str:
        """Where it is."""
        return self._page.url.removeprefix(self._home.url)

    # --------------------------------------------------------------------------------------------------------- acting

    async def click(self, what: str, *, within: str = "", exact: bool = True) -> None:
        """Click on the words. Raises ``DemoError`` when they are not there."""
        root = self._page.locator(within).last if within else self._page
        await self._click(root.get_by_text(what, exact=exact).last, what)

    async def touch(self, tile: str) -> None:
        """Tap a tile of the dashboard that says so."""
        await self._click(self._page.locator("hui-tile-card").filter(has_text=tile).last, tile)

    async def press(self, *names: str) -> None:
        """Press a button by its words, or by one of these."""
        name = re.compile(f"^({'|'.join(map(re.escape, names))})$")
        await self._click(self._page.get_by_role("button", name=name).last, " or ".join(names))

    async def _click(self, target: Locator, what: str) -> None:
        self.acts += 1
        try:
            await target.click(timeout=READS_WITHIN_S * 1000)
        except Error as error:
            await self._page.screenshot(path=self._folder / "failed.png")
            raise DemoError(f'"{what}" could not be clicked on {self.path}: {error.message}') from error

    async def type(self, selector: str, text: str) -> None:
        """Type into a field of the dialog."""
        self.acts += 1
        try:
            await self._page.locator(selector).first.fill(text, timeout=READS_WITHIN_S * 1000)
        except Error as error:
            await self._page.screenshot(path=self._folder / "failed.png")
            raise DemoError(f"nothing could be typed on {self.path}: {error.message}") from error

    # --------------------------------------------------------------------------------------------------------- seeing

    async def words(self) -> str:
        """Everything that can be read now."""
        return str(await self._page.evaluate(READ))

    async def read(self, *wanted: str, within_s: float = READS_WITHIN_S) -> str:
        """Wait until all of it can be read; returns everything. Raises ``DemoError``."""
        seen = ""

        async def is_there() -> bool:
            nonlocal seen
            seen = await self.words()
            return all(re.search(words, seen) for words in wanted)

        try:
            await until(is_there, within_s, f"{wanted} on {self.path}")
        except TimeoutError as error:
            await self._page.screenshot(path=self._folder / "failed.png")
            missing = [words for words in wanted if not re.search(words, seen)]
            raise DemoError(f"{self.path} does not show {missing}; it shows:\n{seen[:3000]}") from error
        return seen

    async def ask(self, script: str) -> list[str]:
        """Have the page work something out."""
        answer: list[str] = await self._page.evaluate(script)
        return answer

    def keep(self, name: str, text: str) -> None:
        """Put it beside the pictures."""
        (self._folder / name).write_text(text, encoding="utf-8")

    async def settle(self) -> None:
        """Give what was turned to a moment to draw."""
        await self._page.wait_for_timeout(SETTLES_MS * 2)

    async def shows(self, selector: str) -> bool:
        """Whether one of these can be seen now."""
        return any([await one.is_visible() for one in await self._page.locator(selector).all()])

    async def picture(
        self,
        name: str,
        screens: Iterable[Screen] = (PHONE, DESKTOP),
        themes: Iterable[str] = THEMES,
        *,
        whole: bool = True,
        slow: bool = False,
    ) -> None:
        """What is shown, on each screen and in each theme, and nothing that a resident must never read.

        ``slow``: it has a chart that grows into its place.
        """
        for screen in screens:
            await self._page.set_viewport_size({"width": screen.width, "height": screen.height})
            await self._page.wait_for_timeout(SETTLES_MS)
            tall, too_wide = await self._page.evaluate(MEASURE)
            if too_wide > 0:
                # A calendar is wider for as long as it takes to learn its new width.
                await self._page.wait_for_timeout(SETTLES_MS * 3)
                tall, too_wide = await self._page.evaluate(MEASURE)
            if too_wide > 0:
                self.complaints.append(f"{name} is {too_wide} px wider than the {screen.name}")
            if whole and tall > screen.height:
                await self._page.set_viewport_size({"width": screen.width, "height": min(tall, TALLEST)})
            await self._page.wait_for_timeout(CHART_MS if slow else 0)
            for theme in themes:
                await self._shoot(f"{name}-{screen.name}-{theme}", theme)
            self.cut.update(f"{name}, {screen.name}: {text}" for text in await self._page.evaluate(CUT))
        await self._look(name)

    async def _shoot(self, name: str, theme: str) -> None:
        await self._page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        await self._page.wait_for_timeout(SETTLES_MS)
        path = self._folder / f"{name}.png"
        await self._page.screenshot(path=path, animations="disabled")
        self.taken.append(path)

    async def _look(self, name: str) -> None:
        for line in (await self.words()).splitlines():
            if NEVER.search(line):
                self.complaints.append(f'{name} says "{line[:200]}"')
