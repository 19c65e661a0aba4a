"""Acts on a running simulated site, through its control API: what ``ridethrough simulate outage`` and its like do."""

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

_TIMEOUT_S = 5.0
# A proxy has no business with a simulated site on this machine.
_OPENER = build_opener(ProxyHandler({}))


class ControlError(Exception):
    """The site could not be reached or refused; the message says what was tried and what to do next."""


def outage(control_url: str) -> None:
    """The street loses its voltage."""
    _post(control_url, "/grid", {"present": False})


def restore(control_url: str) -> None:
    """The street's voltage comes back."""
    _post(control_url, "/grid", {"present": True})


def unplug(control_url: str) -> None:
    """Somebody pulls the plug out of the vehicle."""
    _post(control_url, "/vehicle", {"plugged": False})


def plug(control_url: str, soc_pct: float | None = None) -> None:
    """A vehicle is plugged in, with this charge if one is given."""
    _post(control_url, "/vehicle", {"plugged": True} | ({} if soc_pct is None else {"soc_pct": soc_pct}))


def hide_charge(control_url: str) -> None:
    """The charger has no word of the vehicle's charge any more."""
    _post(control_url, "/vehicle", {"tells_charge": False})


def break_neutral(control_url: str, lost: bool, leg_1_share: float) -> None:
    """The service's neutral breaks or is mended; so much of the house's load hangs on the first leg."""
    _post(control_url, "/grid", {"present": True, "neutral_lost": lost})
    _post(control_url, "/house", {"load_w": 1200, "leg_1_share": leg_1_share})


def load(control_url: str, load_w: float) -> None:
    """The house draws this much from now on."""
    _post(control_url, "/house", {"load_w": load_w})


def switch_load(control_url: str, name: str, on: bool) -> None:
    """Somebody switches a load at its own switch."""
    _post(control_url, f"/load/{name}", {"on": on})


def contacts(control_url: str, **active: bool) -> None:
    """``stop``: the button is pressed or pulled out. ``generator``: the transfer switch is thrown to it or back."""
    _post(control_url, "/contacts", active)


def companion(control_url: str, state: str | None) -> None:
    """The companion inverter tells this state, whatever it sees; None: what it sees again."""
    _post(control_url, "/companion", {"state": state})


def break_device(control_url: str, device: str, faults: dict[str, Any]) -> None:
    """Set or heal faults of a device of the site; keys as in ``control``."""
    _post(control_url, f"/device/{device}/faults", faults)


def truth(control_url: str) -> dict[str, Any]:
    """What is physically so."""
    return _send(control_url, "/truth", None)


def _post(control_url: str, path: str, body: dict[str, Any]) -> None:
    _send(control_url, path, json.dumps(body).encode())


def _send(control_url: str, path: str, body: bytes | None) -> dict[str, Any]:
    """Raises ControlError."""
    url = control_url.rstrip("/") + path
    try:
        request = Request(url, data=body, headers={"Content-Type": "application/json"})
        with _OPENER.open(request, timeout=_TIMEOUT_S) as response:
            answer: dict[str, Any] = json.load(response)
    except HTTPError as error:
        raise ControlError(f"{url} refused: {error.read().decode(errors='replace')}") from error
    except (URLError, OSError, ValueError) as error:
        raise ControlError(f"{url} is not answered ({error}); is `ridethrough simulate site` running there?") from error
    return answer
