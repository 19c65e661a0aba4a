"""Child processes: started, watched, ended by their own id, never left behind."""

import asyncio
import fcntl
import os
import shutil
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

HOST = "127.0.0.1"
POLL_S = 0.05
# How much of a dead child's log a person is shown.
TAIL_LINES = 15


class DemoError(Exception):
    """What went wrong, on what, and what to do next: a text for the person who typed the command."""


class Child:
    """One process with its log. Signals from the terminal do not reach it: we end it, in our order."""

    def __init__(self, name: str, argv: Iterable[str | Path], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = log
        self._argv = [str(word) for word in argv]
        self._env = dict(env or {})
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Raises ``DemoError`` before the start."""
        return self._running().pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise DemoError(f"{self.name} was not started")
        return self._process

    async def start(self) -> Self:
        """Start it with an appended log; a child that outlives us by accident is ended by the kernel."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_leash(),
                *self._argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | self._env,
            )
        return self

    def require_alive(self) -> None:
        """Raises ``DemoError`` with the end of its log when it has ended by itself."""
        process = self._running()
        if process.returncode is not None:
            how = _ending(process.returncode)
            raise DemoError(f"{self.name} has ended ({how}); the end of {self.log}:\n{self.tail()}")

    def tail(self) -> str:
        """The last lines that it wrote, indented."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
        return "\n".join(f"    {line}" for line in lines) or "    (nothing was written)"

    async def stop(self, within_s: float = 10.0) -> None:
        """Ask it to end, and end it by force when it does not."""
        if not self.alive:
            return
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(within_s):
                await process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """Like a power cut: nothing is said and nothing is finished."""
        if self.alive:
            process = self._running()
            process.kill()
            await process.wait()

    async def ready(self, condition: Callable[[], Awaitable[bool]], within_s: float, what: str) -> None:
        """Wait until it does what it is for. Raises ``DemoError`` when it ends before, or takes too long."""

        async def alive_and_ready() -> bool:
            self.require_alive()
            return await condition()

        try:
            await until(alive_and_ready, within_s, f"{self.name} to {what}")
        except TimeoutError as error:
            raise DemoError(f"{error}; the end of {self.log}:\n{self.tail()}") from error


def _leash() -> list[str]:
    """A prefix that has the kernel end the child with us; Linux with util-linux, elsewhere there is none."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"


async def until(condition: Callable[[], Awaitable[bool]], within_s: float, what: str) -> None:
    """Ask again and again until it is so. Raises ``TimeoutError`` that says what was waited for."""
    try:
        async with asyncio.timeout(within_s):
            while not await condition():  # noqa: ASYNC110 - another process says it, not an event of ours
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise TimeoutError(f"waited {within_s:g} s in vain for {what}") from error


async def command(argv: Iterable[str | Path], given: str = "", within_s: float = 30.0) -> str:
    """Run one command to its end and return what it printed. Raises ``DemoError`` when it fails."""
    words = [str(word) for word in argv]
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(within_s):
            printed, said = await process.communicate(given.encode())
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if process.returncode:
        raise DemoError(f"{' '.join(words)} failed:\n    {(said or printed).decode(errors='replace').strip()}")
    return printed.decode(errors="replace")


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Nobody else holds this lock file while the context is entered. Raises ``DemoError`` when somebody does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DemoError(f"another run is under way here ({path} is held); end it first, or wait for it") from error
        yield


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def require_free(port: int, wanted_by: str, remedy: str) -> None:
    """Raises ``DemoError`` when something listens on that port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise DemoError(f"port {port}, wanted by {wanted_by}, is taken; {remedy}") from error
