"""openleadr's own OpenADR 2.0b server in this process: the foreign half of the conversation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from openleadr import OpenADRServer, hooks, objects
from openleadr.service import VTNService

VEN = "ven-1"
KILOWATTS = objects.Measurement(name="powerReal", description="RealPower", unit="W", scale="k")
KILOWATT_HOURS = objects.Measurement(name="energyReal", description="RealEnergy", unit="Wh", scale="k")


@dataclass
class Vtn:
    """The server, what it was asked, and how each event was answered."""

    server: OpenADRServer = field(init=False)
    url: str = ""
    opts: list[tuple[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    lets_in: bool = True
    broken: bool = False

    @property
    def events(self) -> list[Any]:
        """What is on its list for us."""
        listed: list[Any] = self.server.events.setdefault(VEN, [])
        return listed

    def call(self, start: datetime, length: timedelta, *signals: objects.EventSignal, **changes: Any) -> objects.Event:
        """Put an event on the list. ``changes``: of its descriptor, and ``startafter`` and ``answer``."""
        startafter, answer = changes.pop("startafter", None), changes.pop("answer", "always")
        period = objects.ActivePeriod(dtstart=start, duration=length)
        if startafter is not None:
            period.tolerance = {"startafter": startafter}
        plain = {"event_id": "e1", "modification_number": 0, "market_context": "http://peak", "event_status": "far"}
        descriptor = objects.EventDescriptor(**(plain | changes))
        event = objects.Event(
            event_descriptor=descriptor,
            active_period=period,
            event_signals=list(signals) or [power(start, length, -5.0)],
            targets=[objects.Target(ven_id=VEN)],
            response_required=answer,
        )
        self.server.add_raw_event(VEN, event, callback=self._answered if answer == "always" else None)
        event.active_period = period  # the server has put its own in its place
        return event

    def change(self, event: objects.Event, **changes: Any) -> None:
        """Modify an event: a higher number, and whatever of its descriptor is said."""
        event.event_descriptor.modification_number += 1
        for name, value in changes.items():
            setattr(event.event_descriptor, name, value)
        self.server.event_callbacks[event.event_descriptor.event_id] = (event, self._answered)
        self.server.events_updated[VEN] = True

    def cancel(self, event: objects.Event) -> None:
        self.change(event, event_status="cancelled")

    def forget_us(self) -> None:
        """As after a restart without a memory."""
        self.known.clear()

    def answered_of(self, event: str) -> list[str]:
        return [opt for own_id, opt in self.opts if own_id == event]

    def _answered(self, ven_id: str, event_id: str, opt_type: str) -> None:
        self.opts.append((event_id, opt_type))
        event = next((one for one in self.events if one.event_descriptor.event_id == event_id), None)
        if event is not None:  # the server asks once only; a house may change its mind
            self.server.event_callbacks[event_id] = (event, self._answered)


def power(
    start: datetime, length: timedelta, value: float, type_: str = "setpoint", **changes: Any
) -> objects.EventSignal:
    """A LOAD_DISPATCH in kW; a positive value consumes."""
    return a_signal("LOAD_DISPATCH", start, (length, value), type_=type_, **({"measurement": KILOWATTS} | changes))


def a_signal(
    name: str, start: datetime, *stretches: tuple[timedelta, float], type_: str = "level", **changes: Any
) -> objects.EventSignal:
    """A signal of intervals that follow each other."""
    intervals = []
    for length, value in stretches:
        intervals.append(objects.Interval(dtstart=start, duration=length, signal_payload=value))
        start += length
    return objects.EventSignal(
        intervals=intervals, signal_name=name, signal_type=type_, signal_id=f"s-{name}", **changes
    )


@asynccontextmanager
async def a_vtn(poll_every: timedelta = timedelta(seconds=1), **options: Any) -> AsyncIterator[Vtn]:
    """A server on a free port of this machine; it knows those that registered."""
    vtn = Vtn()

    async def look_up(ven_id: str) -> dict[str, Any] | None:
        if vtn.broken:
            raise RuntimeError("out of order")
        return {"ven_id": ven_id, "registration_id": "reg-1"} if ven_id in vtn.known else None

    async def register(registration: dict[str, Any]) -> tuple[str, str] | bool:
        if not vtn.lets_in:
            return False
        vtn.known.add(VEN)
        vtn.asked.append(f"registration of {registration['ven_name']}")
        return VEN, "reg-1"

    async def note(message_type: str, payload: dict[str, Any]) -> None:
        vtn.asked.append(message_type)

    server = OpenADRServer(
        vtn_id="VTN", http_port=0, requested_poll_freq=poll_every, ven_lookup=options.pop("look_up", look_up), **options
    )
    # On Python 3.14 a partial on a class is a method, and gets the service as its first argument.
    VTNService._create_message = staticmethod(VTNService.__dict__["_create_message"])
    server.add_handler("on_create_party_registration", register)
    server.add_handler("on_register_report", lambda *args, **more: None)
    vtn.server = server
    hooks.register("before_handle", note)
    await server.run()
    scheme = "http" if server.ssl_context is None else "https"
    vtn.url = f"{scheme}://127.0.0.1:{server.app_runner.addresses[0][1]}/OpenADR2/Simple/2.0b"
    try:
        yield vtn
    finally:
        hooks.HOOKS["before_handle"].remove(note)
        await server.stop()
