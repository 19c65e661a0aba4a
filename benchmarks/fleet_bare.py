"""The least that polls a fleet: the stock Modbus client in a paced loop, and the few values that a wallbox card shows.

It reads the registers that our driver reads in a cycle and decodes four of them. No check of a reply beyond the stock
client's own, no decision, no order, no record, nobody to show it to. The shape of the map is written down here.
"""

import argparse
import asyncio
import json
from pathlib import Path
from struct import pack, unpack

from pymodbus.client import AsyncModbusTcpClient

HOST = "127.0.0.1"


async def poll(port: int, blocks: list[tuple[int, int]], period_s: float, late_s: float) -> None:
    """Poll one charger for ever."""
    client = AsyncModbusTcpClient(HOST, port=port, timeout=3, retries=0)
    await client.connect()
    loop = asyncio.get_running_loop()
    due = loop.time() + late_s
    while True:
        await asyncio.sleep(max(0.0, due - loop.time()))
        due += period_s
        for address, count in blocks:
            reply = await client.read_holding_registers(address, count=count, device_id=1)
            if address == blocks[0][0]:
                unpack(">4h", pack(">4H", *reply.registers[10:14]))


async def run(ports: list[int], blocks: list[tuple[int, int]], period_s: float, announce: Path) -> None:
    """The first poll of each at another moment of the period."""
    async with asyncio.TaskGroup() as group:
        for number, port in enumerate(ports):
            group.create_task(poll(port, blocks, period_s, 1 + number / len(ports) * period_s))
        await asyncio.to_thread(announce.touch)


def main() -> None:
    """Run until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleet", type=Path, required=True)
    parser.add_argument("--announce", type=Path, required=True)
    parser.add_argument("--blocks", required=True, help="first register and count of each read, such as 40070:155,...")
    parser.add_argument("--period-s", type=float, default=1.0)
    args = parser.parse_args()
    ports = json.loads(args.fleet.read_text(encoding="utf-8"))["ports"]
    pairs = [block.split(":") for block in args.blocks.split(",")]
    asyncio.run(run(ports, [(int(a), int(n)) for a, n in pairs], args.period_s, args.announce))


if __name__ == "__main__":
    main()
