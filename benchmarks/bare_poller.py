"""The least that serves a utility's events: what a loop of one's own, woken once a period, would do.

It fetches the events over OpenADR 3.1, looks whether one runs at this moment, and orders or withdraws. No journal, no
schedule of its own: the common "every minute" automation. The charger's map is written down here, not taken from our
driver.
"""

import argparse
import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from pymodbus.client import AsyncModbusTcpClient

from benchmarks.bare_client import ENABLED, ORDER

SECONDS = {"S": 1, "M": 60, "H": 3600}


async def _events(http: aiohttp.ClientSession, url: str) -> list[dict[str, Any]]:
    grant = {"grant_type": "client_credentials", "client_id": "ven-client", "client_secret": "ven-secret"}
    async with http.post(f"{url}/auth/token", data=grant) as answer:
        token = (await answer.json())["access_token"]
    async with http.get(f"{url}/events", headers={"Authorization": f"Bearer {token}"}) as answer:
        found: list[dict[str, Any]] = await answer.json()
        return found


def _runs(event: dict[str, Any], now: datetime) -> bool:
    period = event["intervalPeriod"]
    start, (_, clock) = datetime.fromisoformat(period["start"]), str(period["duration"]).split("T")
    seconds = sum(float(number) * SECONDS[unit] for number, unit in re.findall(r"([0-9.]+)([HMS])", clock))
    return start <= now < start + timedelta(seconds=seconds)


async def poll(url: str, host: str, port: int, period_s: float) -> None:
    """Order while an event runs and withdraw otherwise, as seen once a period, until the process is ended."""
    client = AsyncModbusTcpClient(host, port=port, timeout=3, retries=0)
    await client.connect()
    ordered, loop = False, asyncio.get_running_loop()
    due = loop.time()
    async with aiohttp.ClientSession() as http:
        while True:
            events = await _events(http, url)
            wanted = any(_runs(event, datetime.now(UTC)) for event in events)
            if wanted != ordered:
                await client.write_registers(ENABLED, ORDER if wanted else [0], device_id=1)
                ordered = wanted
            due = max(due + period_s, loop.time())
            await asyncio.sleep(due - loop.time())


def main() -> None:
    """Run until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--period-s", type=float, default=60.0)
    args = parser.parse_args()
    asyncio.run(poll(args.url, args.host, args.port, args.period_s))


if __name__ == "__main__":
    main()
