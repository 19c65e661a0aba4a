"""The control API: look at the truth, act on the world, break devices. HTTP, JSON, loopback, for people and tests."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from json import JSONDecodeError
from math import isfinite
from typing import Any

from aiohttp import web

from edge_service.simulation.companion_registers import STATES
from edge_service.simulation.faults import EXCEPTION_CODES, Refused
from edge_service.simulation.site_devices import Device, SiteDevices
from edge_service.simulation.truth import Json, truth, write_entry

_SITE: web.AppKey[SiteDevices] = web.AppKey("site", SiteDevices)


@dataclass(frozen=True, slots=True)
class BadInputError(Exception):
    """What was found, where, and what is allowed there."""

    where: str
    what: str
    allowed: str


type Check = Callable[[str, Any], Any]
"""Takes the key and the value found; returns the value to use; raises BadInputError."""


def control_app(site: SiteDevices) -> web.Application:
    app = web.Application(middlewares=[_tell_bad_input])
    app[_SITE] = site
    app.add_routes(
        [
            web.get("/truth", _truth),
            web.get("/writes", _writes),
            web.post("/grid", _grid),
            web.post("/house", _house),
            web.post("/load/{name}", _load),
            web.post("/vehicle", _vehicle),
            web.post("/charger", _charger),
            web.post("/contacts", _contacts),
            web.post("/companion", _companion),
            web.post("/charger/quirks", _quirks),
            web.post("/device/{device}/faults", _faults),
        ]
    )
    return app


@web.middleware
async def _tell_bad_input(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        response = await handler(request)
    except BadInputError as bad:
        told = {"where": bad.where, "what": bad.what, "allowed": bad.allowed}
        return web.json_response(told, status=400)
    return response


# What may be asked


async def _truth(request: web.Request) -> web.Response:
    return web.json_response(truth(request.app[_SITE]))


async def _writes(request: web.Request) -> web.Response:
    """Writes after number ``since`` (0: all that are kept), oldest first."""
    since = request.query.get("since", "0")
    if not (since.isascii() and since.isdigit()):
        raise BadInputError("since", repr(since), "a whole number from 0")
    kept = request.app[_SITE].writes
    return web.json_response({"writes": [write_entry(write) for write in kept if write.number > int(since)]})


# What may be done


async def _grid(request: web.Request) -> web.Response:
    """Take the grid away or give it back; break the neutral of the service or mend it."""
    body = await _body(request, {"present": _flag, "neutral_lost": _flag}, required=("present",))
    site = request.app[_SITE]
    site.advance()
    site.house.break_neutral(lost=body.get("neutral_lost", site.house.neutral_lost))
    site.house.set_grid(present=body["present"])
    return _done(site)


async def _house(request: web.Request) -> web.Response:
    checks = {"load_w": _number(0, 30_000), "leg_1_share": _number(0, 1)}
    body = await _body(request, checks, required=("load_w",))
    site = request.app[_SITE]
    site.advance()
    site.house.set_load(body["load_w"], body.get("leg_1_share"))
    return _done(site)


async def _load(request: web.Request) -> web.Response:
    """What a person, or a plug of Home Assistant, does to a load, and what is wrong with its relay."""
    name, site = request.match_info["name"], request.app[_SITE]
    if name not in site.house.loads.by_name:
        raise BadInputError("load", repr(name), ", ".join(site.house.loads.by_name) or "this site has none")
    body = await _body(request, {"on": _flag, "bridged": _flag, "stuck": _flag})
    site.advance()
    site.house.set_switched_load(name, **body)
    return _done(site)


async def _vehicle(request: web.Request) -> web.Response:
    """``tells_charge`` false: the charger has no word of the vehicle's charge any more."""
    body = await _body(request, {"plugged": _flag, "soc_pct": _number(0, 100), "tells_charge": _flag})
    site = request.app[_SITE]
    site.advance()
    site.house.set_vehicle(**body)
    return _done(site)


async def _charger(request: web.Request) -> web.Response:
    """What a person does at the charger: local control, the permit of service, an alarm reset."""
    body = await _body(request, {"local": _flag, "permit_service": _flag, "reset_alarm": _flag})
    site = request.app[_SITE]
    site.advance()
    inverter = site.house.inverter
    inverter.settings.local = body.get("local", inverter.settings.local)
    inverter.settings.permit_service = body.get("permit_service", inverter.settings.permit_service)
    if body.get("reset_alarm"):
        inverter.reset_alarm()
    site.house.settle()
    return _done(site)


async def _quirks(request: web.Request) -> web.Response:
    """Switch quirks of the charger's model on and off; those that are not named stay as they are."""
    site = request.app[_SITE]
    known = site.charger.quirks.known
    body = await _body(request, dict.fromkeys(known, _flag))
    await site.switch_quirks(body)
    return _done(site)


async def _contacts(request: web.Request) -> web.Response:
    """Press the stop button or pull it out; throw the transfer switch to the generator or back."""
    body = await _body(request, {"stop": _flag, "generator": _flag})
    site = request.app[_SITE]
    site.advance()
    site.contacts.stop = body.get("stop", site.contacts.stop)
    site.contacts.generator = body.get("generator", site.contacts.generator)
    return _done(site)


async def _companion(request: web.Request) -> web.Response:
    """Have the companion inverter tell this state, whatever it sees; null: what it sees again."""
    body = await _body(request, {"state": _state}, required=("state",))
    site = request.app[_SITE]
    site.advance()
    site.sight.forced = body["state"]
    return _done(site)


async def _faults(request: web.Request) -> web.Response:
    """Change the faults that are named and leave the others; those of the switch's mechanics are the switch's only."""
    name = request.match_info["device"]
    if name not in set(Device):
        raise BadInputError("device", repr(name), ", ".join(Device))
    device, site = Device(name), request.app[_SITE]
    body = await _body(request, _WIRE | (_MECHANICS if device is Device.SWITCH else {}))
    site.advance()
    mechanics = {key: body.pop(key) for key in _MECHANICS if key in body}
    if mechanics:
        site.house.break_switch(**mechanics)
    await site.misbehave(device, replace(site.servers[device].faults, **body))
    return _done(site)


def _done(site: SiteDevices) -> web.Response:
    return web.json_response({"at": site.wall(site.house.history.now_s).isoformat()})


# What is allowed


async def _body(request: web.Request, checks: Mapping[str, Check], required: tuple[str, ...] = ()) -> Json:
    try:
        body = await request.json()
    except (JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInputError("body", "not JSON", _object_of(checks)) from error
    return _checked("body", body, checks, required)


def _checked(where: str, found: Any, checks: Mapping[str, Check], required: tuple[str, ...]) -> Json:
    if not isinstance(found, dict):
        raise BadInputError(where, repr(found), _object_of(checks))
    for key in found:
        if key not in checks:
            raise BadInputError(str(key), "unknown key", _object_of(checks))
    for key in required:
        if key not in found:
            raise BadInputError(key, "missing", _object_of(checks))
    return {key: checks[key](key, value) for key, value in found.items()}


def _object_of(checks: Mapping[str, Check]) -> str:
    return "an object with " + ", ".join(checks)


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadInputError(key, repr(value), "true or false")
    return value


def _state(key: str, value: Any) -> str | None:
    if value is not None and value not in STATES:
        raise BadInputError(key, repr(value), f"null or one of {', '.join(STATES)}")
    return None if value is None else str(value)


def _number(low: float, high: float) -> Check:
    def check(key: str, value: Any) -> float:
        known = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        if not known or not low <= value <= high:
            raise BadInputError(key, repr(value), f"a number from {low:g} to {high:g}")
        return float(value)

    return check


def _whole(low: int, high: int) -> Check:
    def check(key: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise BadInputError(key, repr(value), f"a whole number from {low} to {high}")
        return value

    return check


def _code(key: str, value: Any) -> int:
    if value not in EXCEPTION_CODES or isinstance(value, bool):
        raise BadInputError(key, repr(value), f"one of {', '.join(map(str, EXCEPTION_CODES))}")
    return int(value)


def _exception(key: str, value: Any) -> Refused | None:
    """None heals; a code refuses the whole device; an object refuses a block of addresses."""
    if value is None:
        return None
    if not isinstance(value, dict):
        return Refused(_code(key, value))
    return Refused(**_checked(key, value, _BLOCK, required=("code",)))


_BLOCK: dict[str, Check] = {"code": _code, "start": _whole(0, 65535), "count": _whole(1, 65536)}
_WIRE: dict[str, Check] = {
    "latency_ms": _number(0, 60_000),
    "silent": _flag,
    "refuse": _flag,
    "frozen": _flag,
    "exception": _exception,
}
_MECHANICS: dict[str, Check] = {"stuck": _flag, "feedback_broken": _flag, "false_open_contact": _flag}
