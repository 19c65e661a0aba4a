"""The ground that demo and story stand on: processes that are ended, waited for and explained."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from demo.processes import HOST, Child, DemoError, claimed, command, free_port, require_free, until

SLEEPS = "import time; print('here', flush=True); time.sleep(60)"


def a_child(folder: Path, program: str = SLEEPS) -> Child:
    return Child("the child", (sys.executable, "-c", program), folder / "child.log")


async def is_here(child: Child) -> None:
    async def says_so() -> bool:
        return "here" in child.tail()

    await child.ready(says_so, 20, "say that it is here")


async def test_a_child_is_ended_politely_and_its_words_are_kept(tmp_path: Path) -> None:
    child = await a_child(tmp_path).start()
    await is_here(child)
    await child.stop()
    assert not child.alive
    assert "here" in child.tail()


async def test_a_child_that_does_not_listen_is_ended_all_the_same(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPS
    child = await a_child(tmp_path, deaf).start()
    await is_here(child)
    await child.stop(within_s=0.2)
    assert not child.alive


async def test_a_child_that_ends_by_itself_is_told_with_its_last_words(tmp_path: Path) -> None:
    child = await a_child(tmp_path, "raise SystemExit('the disk is full')").start()
    with pytest.raises(DemoError, match="the disk is full"):
        await is_here(child)


async def test_a_child_that_is_never_ready_is_told_with_its_last_words(tmp_path: Path) -> None:
    child = await a_child(tmp_path, SLEEPS.replace("here", "elsewhere, in a way")).start()

    async def never() -> bool:
        return False

    try:
        with pytest.raises(DemoError, match="in vain for the child to be ready"):
            await child.ready(never, 0.2, "be ready")
    finally:
        await child.stop()


PARENT = """\
import asyncio, sys
from pathlib import Path
from demo.processes import Child

async def main(program, log):
    child = Child("the child", (sys.executable, "-c", program), Path(log))
    await child.start()
    print("here", child.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_children_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    words = (sys.executable, "-c", PARENT, SLEEPS, tmp_path / "child.log")
    parent = Child("the parent", words, tmp_path / "parent.log")
    await parent.start()
    await is_here(parent)
    orphan = int(parent.tail().split()[-1])
    await parent.kill()

    async def gone() -> bool:
        with suppress(FileNotFoundError):
            # A process that has ended may stand in the list until somebody takes note of it.
            return " Z " in await asyncio.to_thread(Path(f"/proc/{orphan}/stat").read_text, encoding="ascii")
        return True

    await until(gone, 10, "the child to end with its parent")


async def test_a_command_that_fails_is_told_with_what_it_said() -> None:
    with pytest.raises(DemoError, match="no such house"):
        await command((sys.executable, "-c", "raise SystemExit('no such house')"))


def test_a_taken_port_is_told_with_its_remedy() -> None:
    with pytest.raises(DemoError, match=r"wanted by the edge, is taken; choose another"):
        asyncio.run(_with_a_listener())


async def _with_a_listener() -> None:
    port = free_port()
    require_free(port, "the edge", "choose another")
    server = await asyncio.start_server(lambda reader, writer: writer.close(), HOST, port)
    async with server:
        require_free(port, "the edge", "choose another")


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with claimed(tmp_path / "lock"), pytest.raises(DemoError, match="another run"), claimed(tmp_path / "lock"):
        pass
    with claimed(tmp_path / "lock"):
        assert (tmp_path / "lock").exists()
