"""What the integration costs Home Assistant, beside MQTT with as many entities in the same Home Assistant.

MQTT is one of the integrations of Home Assistant's own with the highest mark for quality, and is pushed to as ours is.
One real Home Assistant with both: ours at an edge of the contract that this process plays, MQTT at a Mosquitto with as
many sensors, made by discovery. Set-up: from the order to reload until every entity has its state again. Per push:
processor time of Home Assistant while one of them is pushed to and the other rests, less what it takes at rest.
"""

import argparse
import asyncio
import getpass
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import aiomqtt
from aiohttp import ClientSession

from benchmarks.figures import ROOT, described, keep, machine, table
from benchmarks.rig import started
from demo.home_assistant import HomeAssistant
from demo.processes import HOST, Child, DemoError, free_port, until
from demo.watching import Watch
from tests.home_assistant.peer import CODE, Peer

PUSHES, EACH_S, RELOADS = 200, 0.15, 5
RESTS_S = 10.0
# What a push sets off at Home Assistant, its recorder too, has come to rest by then; it counts to the push.
SETTLES_S = 1.0
READY_WITHIN_S = 60.0
OURS, MQTT = "ridethrough", "mqtt"
AWAY = frozenset({"unavailable"})
PRIVATE = ROOT / ".tools/mosquitto/usr/sbin/mosquitto"

# What one push changes: each is shown by an entity that is on by default.
SITE = ("grid_power_w", "house_power_w", "solar_power_w", "energy_imported_wh", "energy_exported_wh")
CHARGER = ("power_w", "energy_charged_wh", "energy_discharged_wh")
VALUES = len(SITE) + len(CHARGER)
# Of a smaller step our sensors would leave most out.
STEP = 1000


@dataclass(slots=True)
class Cost:
    """Of one integration: entities, seconds of each set-up, processor seconds and state changes of the pushes."""

    entities: int = 0
    set_up_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    pushes: int = 0
    changes: int = 0


def cpu_s(pid: int) -> float:
    """Processor time of another process so far (``clock_getcpuclockid(3)``)."""
    return time.clock_gettime((~pid << 3) | 2)


class Bench:
    """One Home Assistant with both integrations, and who pushes to each."""

    def __init__(
        self, home: HomeAssistant, watch: Watch, http: ClientSession, peer: Peer, broker: aiomqtt.Client
    ) -> None:
        self._home, self._watch, self._http, self._peer, self._broker = home, watch, http, peer, broker
        self._entities: dict[str, set[str]] = {}
        self._entries: dict[str, str] = {}

    async def learn(self) -> int:
        """Which entities are whose; how many ours are."""
        listed = await self._watch.ask("config/entity_registry/list")
        for name in (OURS, MQTT):
            enabled = {one["entity_id"] for one in listed if one["platform"] == name and one["disabled_by"] is None}
            self._entities[name] = enabled
        entries = await self._get("/api/config/config_entries/entry")
        self._entries = {one["domain"]: one["entry_id"] for one in entries if one["domain"] in (OURS, MQTT)}
        return len(self._entities[OURS])

    async def _get(self, path: str) -> Any:
        async with self._http.get(f"{self._home.url}{path}", raise_for_status=True) as answer:
            return await answer.json()

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        async with self._http.post(f"{self._home.url}{path}", json=body, raise_for_status=True) as answer:
            return await answer.json()

    async def add_mqtt(self, port: int) -> None:
        """By the flow that a person goes through."""
        form = await self._post("/api/config/config_entries/flow", {"handler": MQTT})
        plain = {"set_client_cert": False, "set_ca_cert": "off"}
        where = {"broker": HOST, "port": port, "protocol": "5", "other_settings": plain}
        done = await self._post(f"/api/config/config_entries/flow/{form['flow_id']}", where)
        if done["type"] != "create_entry":
            raise DemoError(f"MQTT would not be set up: {done}")

    async def discover(self, count: int) -> None:
        """Sensors of one device, as a device of the kind tells of itself, with a first value."""
        device = {"identifiers": ["bench"], "name": "Bench"}
        for number in range(count):
            told = {
                "name": f"Value {number}",
                "unique_id": f"bench_{number}",
                "state_topic": f"bench/{number}",
                "device_class": "power",
                "state_class": "measurement",
                "unit_of_measurement": "W",
                "device": device,
            }
            await self._broker.publish(f"homeassistant/sensor/bench/{number}/config", json.dumps(told), retain=True)
            await self._broker.publish(f"bench/{number}", "0", retain=True)

        async def all_there() -> bool:
            await self.learn()
            return len(self._entities[MQTT]) == count

        await until(all_there, READY_WITHIN_S, "the sensors of MQTT")

    async def reload(self, name: str, cost: Cost) -> None:
        """From the order to reload to the last entity that has its state again."""
        shown = {one["entity_id"] for one in await self._get("/api/states") if one["state"] not in AWAY}
        wanted, since, began = self._entities[name] & shown, len(self._watch.changes), time.monotonic()
        await self._post(f"/api/config/config_entries/entry/{self._entries[name]}/reload", {})
        back: dict[str, float] = {}

        async def all_back() -> bool:
            for seen in self._watch.changes[since:]:
                if seen.entity_id in wanted and seen.state not in AWAY:
                    back.setdefault(seen.entity_id, seen.at.timestamp())
            return set(back) >= wanted

        offset = time.time() - time.monotonic()
        await until(all_back, READY_WITHIN_S, f"all of {name} after a reload")
        cost.set_up_s.append(max(back.values()) - offset - began)

    async def push_ours(self, number: int) -> None:
        def change(state: Any) -> None:
            state["site"].update({key: 1000 * place + STEP * number for place, key in enumerate(SITE, 1)})
            charger = state["chargers"]["driveway"]
            charger.update({key: 9000 + 1000 * place + STEP * number for place, key in enumerate(CHARGER)})

        await self._peer.push(change)

    async def push_mqtt(self, number: int) -> None:
        for place in range(VALUES):
            await self._broker.publish(f"bench/{place}", str(1000 * place + STEP * number), retain=True)

    async def cost_of(self, push: Callable[[int], Awaitable[None]], pushes: int, first: int) -> tuple[float, int]:
        """Processor seconds and changes of so many pushes, and the rest after them."""
        await asyncio.sleep(SETTLES_S)
        before, since = cpu_s(self._home.process.pid), len(self._watch.changes)
        due = time.monotonic()
        for number in range(first, first + pushes):
            await push(number)
            due += EACH_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.sleep(SETTLES_S)
        return cpu_s(self._home.process.pid) - before, len(self._watch.changes) - since

    async def at_rest(self, seconds: float) -> float:
        """Share of a core that it takes when nothing is pushed."""
        before = cpu_s(self._home.process.pid)
        await asyncio.sleep(seconds)
        return (cpu_s(self._home.process.pid) - before) / seconds


async def measure(pushes: int, reloads: int, rests_s: float) -> dict[str, Cost]:
    """Start everything, measure turn by turn, end everything."""
    costs = {OURS: Cost(), MQTT: Cost()}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ridethrough-cost-")))
        bench = await _bench(stack, folder)
        count = await bench.learn()
        await bench.discover(count)
        for cost in costs.values():
            cost.entities = count
        await asyncio.sleep(rests_s)
        for _ in range(reloads):
            for name, cost in costs.items():
                await bench.reload(name, cost)
        await asyncio.sleep(rests_s)
        for turn in range(2):
            for name, push in ((OURS, bench.push_ours), (MQTT, bench.push_mqtt)):
                rest = await bench.at_rest(rests_s)
                spent, changes = await bench.cost_of(push, pushes // 2, 1 + turn * pushes)
                costs[name].cpu_s += spent - rest * (pushes // 2 * EACH_S + 1)
                costs[name].pushes += pushes // 2
                costs[name].changes += changes
    return costs


async def _bench(stack: AsyncExitStack, folder: Path) -> Bench:
    port = await _broker(stack, folder)
    peer = Peer()
    await peer.start()
    stack.push_async_callback(peer.stop)
    home = await stack.enter_async_context(HomeAssistant(folder / "home_assistant", folder / "home_assistant.log"))

    async def code() -> str:
        return CODE

    await home.answers()
    await home.pair(HOST, peer.port, code)
    watch = await home.watch()
    await watch.learn()
    headers = {"Authorization": f"Bearer {home.browser_tokens['access_token']}"}
    http = await stack.enter_async_context(ClientSession(headers=headers))
    broker = await stack.enter_async_context(aiomqtt.Client(HOST, port))
    bench = Bench(home, watch, http, peer, broker)
    await bench.add_mqtt(port)
    return bench


async def _broker(stack: AsyncExitStack, folder: Path) -> int:
    """A Mosquitto on loopback; its port."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin") or shutil.which(PRIVATE)
    if program is None:
        raise DemoError("Mosquitto is missing; run scripts/setup")
    port = free_port()
    lines = {"listener": f"{port} {HOST}", "allow_anonymous": "true", "persistence": "false", "user": getpass.getuser()}
    config = folder / "mosquitto.conf"
    config.write_text("".join(f"{name} {value}\n" for name, value in lines.items()), encoding="utf-8")
    child = await started(stack, Child("Mosquitto", (program, "-c", str(config)), folder / "mosquitto.log"))

    async def answers() -> bool:
        try:
            async with aiomqtt.Client(HOST, port):
                return True
        except aiomqtt.MqttError:
            return False

    await child.ready(answers, READY_WITHIN_S, "answer")
    return port


HEADS = ("integration", "entities", "set-up p50 ms", "longest ms", "pushes", "changes", "CPU ms a push", "to ours")


def rows(costs: Mapping[str, Cost]) -> list[list[str]]:
    ours = _each_ms(costs[OURS])
    return [
        [
            {OURS: "Ridethrough", MQTT: "MQTT, discovery"}[name],
            str(cost.entities),
            f"{1000 * median(cost.set_up_s):.0f}",
            f"{1000 * max(cost.set_up_s):.0f}",
            str(cost.pushes),
            str(cost.changes),
            f"{_each_ms(cost):.2f}",
            f"{_each_ms(cost) / ours:.2f}",
        ]
        for name, cost in costs.items()
    ]


def _each_ms(cost: Cost) -> float:
    return 1000 * cost.cpu_s / max(cost.pushes, 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=PUSHES, metavar="N", help=f"to each ({PUSHES})")
    parser.add_argument("--reloads", type=int, default=RELOADS, metavar="N", help=f"of each ({RELOADS})")
    args = parser.parse_args(arguments)
    about = machine("homeassistant", "aiomqtt", "paho-mqtt")
    costs = asyncio.run(measure(args.pushes, args.reloads, RESTS_S))
    after = machine()["load_average"]
    sys.stdout.write(f"{described(about)}; load after {after}\n\n{table(HEADS, rows(costs))}\n")
    content = {
        "machine": about,
        "load_average_after": after,
        "costs": {
            name: {"entities": cost.entities, "set_up_s": cost.set_up_s, "cpu_s": cost.cpu_s, "changes": cost.changes}
            for name, cost in costs.items()
        },
    }
    sys.stdout.write(f"\nkept in {keep('integration_cost', content)}\n")


if __name__ == "__main__":
    main()
