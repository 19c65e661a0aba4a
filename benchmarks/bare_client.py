"""The least that polls a charger and acts on a lost grid: what a loop of one's own, at its best, would do.

It reads the same registers as our fast lane, with the stock client, and writes at once. No reading of anything else, no
journal, no second opinion. The shape of the charger's map is written down here and not taken from our driver.
"""

import argparse
import asyncio

from pymodbus.client import AsyncModbusTcpClient

# Model 701 offsets 3 to 18 of a device whose map begins at 40000, 701.ConnSt in it, and model 704 offsets 22 to 32.
BLOCK, COUNT, CONNECTED = 40073, 16, 2
ENABLED = 40318
# WSetEna 1, WSetMod watts, WSet 3000 W, all reversions 0, reversion timer 600 s.
ORDER = [1, 1, 0, 3000, 0, 0, 0, 0, 0, 0, 600]


async def poll(host: str, port: int, period_s: float) -> None:
    """Order whenever the grid is there and withdraw once it is not, until the process is ended."""
    client = AsyncModbusTcpClient(host, port=port, timeout=3, retries=0)
    await client.connect()
    ordered, loop = False, asyncio.get_running_loop()
    due = loop.time()
    while True:
        reply = await client.read_holding_registers(BLOCK, count=COUNT, device_id=1)
        connected = reply.registers[CONNECTED] == 1
        if connected != ordered:
            await client.write_registers(ENABLED, ORDER if connected else [0], device_id=1)
            ordered = connected
        due = max(due + period_s, loop.time())
        await asyncio.sleep(due - loop.time())


def main() -> None:
    """Run until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--period-s", type=float, required=True)
    args = parser.parse_args()
    asyncio.run(poll(args.host, args.port, args.period_s))


if __name__ == "__main__":
    main()
