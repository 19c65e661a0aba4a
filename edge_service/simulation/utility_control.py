"""The hand of the simulated utility's dispatcher, on loopback under /simulate: no part of OpenADR."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal

from aiohttp import web

from edge_service.simulation.utility_faults import Faults
from edge_service.simulation.utility_objects import JsonObject, MalformedError, event, program
from edge_service.simulation.utility_store import ConflictError, Store

CONTROL_PATH = "/simulate"
PROGRAM_NAME = "Peak power"
LONGEST_S = 366 * 86_400
LARGEST_KW = 1_000_000

PROGRAM: JsonObject = {
    "programName": PROGRAM_NAME,
    "attributes": [
        {"type": "PROGRAM_LONG_NAME", "values": ["Peak power from batteries and vehicles"]},
        {"type": "RETAILER_NAME", "values": ["Simulated Utility"]},
        {"type": "PROGRAM_TYPE", "values": ["BATTERY_DISPATCH"]},
        {"type": "COUNTRY", "values": ["US"]},
        {"type": "PRINCIPAL_SUBDIVISION", "values": ["MA"]},
        {"type": "BINDING_EVENTS", "values": [False]},
    ],
    "payloadDescriptors": [
        {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "DISPATCH_SETPOINT", "units": "KW"},
    ],
}


class Dispatch:
    """Calls and cancels events through the same checks and store as the protocol."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    def program(self) -> JsonObject:
        """The program of all events called here; made when first needed."""
        for row in self._store.rows("programs"):
            if row["programName"] == PROGRAM_NAME:
                return row
        return self._store.add("programs", program(PROGRAM))

    def call_event(
        self,
        *,
        start_in_s: float,
        duration_s: float,
        power_kw: float,
        name: str = "Peak event",
        targets: tuple[str, ...] = (),
    ) -> JsonObject:
        """Ask the house for ``power_kw`` > 0; it goes out as a consumption of -power_kw. A start < 0 is in the past.

        Raises ValueError for a number out of bounds.
        """
        _bounded("start_in_s", start_in_s, -LONGEST_S, LONGEST_S)
        _bounded("duration_s", duration_s, 0.001, LONGEST_S)
        _bounded("power_kw", power_kw, 0.001, LARGEST_KW)
        wish = {
            "programID": self.program()["id"],
            "eventName": name,
            "targets": list(targets),
            "payloadDescriptors": PROGRAM["payloadDescriptors"],
            "intervalPeriod": {
                "start": (self._now() + timedelta(seconds=start_in_s)).isoformat(),
                "duration": f"PT{Decimal(str(duration_s)):f}S",
            },
            "intervals": [{"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT", "values": [-float(power_kw)]}]}],
        }
        return self._store.add("events", event(wish))

    def warn(
        self, *, word: str, start_in_s: float, duration_s: float, text: str = "", name: str = "Warning"
    ) -> JsonObject:
        """An alert, such as ``ALERT_WIND``, in its own event; it asks for no power. Bounds as at ``call_event``."""
        _bounded("start_in_s", start_in_s, -LONGEST_S, LONGEST_S)
        _bounded("duration_s", duration_s, 0.001, LONGEST_S)
        wish = {
            "programID": self.program()["id"],
            "eventName": name,
            "intervalPeriod": {
                "start": (self._now() + timedelta(seconds=start_in_s)).isoformat(),
                "duration": f"PT{Decimal(str(duration_s)):f}S",
            },
            "intervals": [{"id": 0, "payloads": [{"type": word, "values": [text]}]}],
        }
        return self._store.add("events", event(wish))

    def cancel(self, event_id: str | None = None) -> JsonObject:
        """End one event, or the newest: delete it, or empty its window when a report stands in the way.

        Returns ``{"how": "deleted" | "emptied", "event": ...}``. Raises KeyError when there is none.
        """
        row = self._event(event_id)
        try:
            return {"how": "deleted", "event": self._store.remove("events", row["id"])}
        except ConflictError:
            return {"how": "emptied", "event": self._store.replace("events", row["id"], _emptied(row))}

    def _event(self, event_id: str | None) -> JsonObject:
        if event_id is not None:
            row = self._store.find("events", event_id)
        else:
            row = max(self._store.rows("events"), key=lambda one: str(one["createdDateTime"]), default=None)
        if row is None:
            raise KeyError("there is no such event" if event_id else "there is no event")
        return row


def _emptied(row: JsonObject) -> JsonObject:
    """The other cancellation of the user guide, 7.9."""
    return event(row | {"intervalPeriod": {"start": "0001-01-01T00:00:00Z", "duration": "PT0S"}})


def _bounded(name: str, value: object, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ValueError(f"{name} is a number from {least} to {most}, not {value!r}")


def control_routes(
    dispatch: Dispatch, set_faults: Callable[[JsonObject], Faults], truth: Callable[[], JsonObject]
) -> list[web.RouteDef]:
    """POST event, alert, cancel, faults; GET truth. Mistakes are answered with 400 and ``{"error": ...}``."""

    def call(body: JsonObject) -> JsonObject:
        return dispatch.call_event(**body)

    def warn(body: JsonObject) -> JsonObject:
        return dispatch.warn(**body)

    def cancel(body: JsonObject) -> JsonObject:
        return dispatch.cancel(body.get("event_id"))

    def faults(body: JsonObject) -> JsonObject:
        return asdict(set_faults(body))

    async def tell(_: web.Request) -> web.Response:
        return web.json_response(truth())

    return [
        web.post(f"{CONTROL_PATH}/event", _act(call)),
        web.post(f"{CONTROL_PATH}/alert", _act(warn)),
        web.post(f"{CONTROL_PATH}/cancel", _act(cancel)),
        web.post(f"{CONTROL_PATH}/faults", _act(faults)),
        web.get(f"{CONTROL_PATH}/truth", tell),
    ]


def _act(act: Callable[[JsonObject], JsonObject]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        try:
            body = await request.json() if request.can_read_body else {}
            if not isinstance(body, dict):
                raise ValueError("the body is a JSON object")
            return web.json_response(act(body))
        except KeyError as error:
            return web.json_response({"error": str(error.args[0])}, status=404)
        except (TypeError, ValueError, MalformedError) as error:
            return web.json_response({"error": str(error)}, status=400)

    return answer
