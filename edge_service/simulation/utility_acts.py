"""What another process can make a running simulated utility do: ``ridethrough simulate event``, the story."""

import json
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

type JsonObject = dict[str, Any]

ANSWER_WITHIN_S = 5.0
# A proxy has no business with a simulated utility on this machine.
_OPENER = build_opener(ProxyHandler({}))


class UtilityActError(Exception):
    """The simulated utility could not be reached or refused; the text says which and why."""


def event(
    control_url: str, *, start_in_s: float, duration_s: float, power_kw: float, name: str = "Peak event"
) -> JsonObject:
    """Ask the house for ``power_kw`` > 0. Returns the event as a VEN will see it. Raises UtilityActError."""
    wish = {"start_in_s": start_in_s, "duration_s": duration_s, "power_kw": power_kw, "name": name}
    return _ask(control_url, "event", wish)


def cancel(control_url: str, event_id: str | None = None) -> JsonObject:
    """Cancel that event, or the newest; the answer's ``how`` is deleted or emptied. Raises UtilityActError."""
    return _ask(control_url, "cancel", {"event_id": event_id})


def faults(control_url: str, **wish: int | bool | None) -> JsonObject:
    """Set the named faults, None taking one away; returns all of them. Raises UtilityActError."""
    return _ask(control_url, "faults", wish)


def truth(control_url: str) -> JsonObject:
    """Requests seen and all objects held. Raises UtilityActError."""
    return _ask(control_url, "truth", None)


def _ask(control_url: str, act: str, body: JsonObject | None) -> JsonObject:
    url = f"{control_url.rstrip('/')}/{act}"
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data=data, headers={"Content-Type": "application/json"})
    try:
        with _OPENER.open(request, timeout=ANSWER_WITHIN_S) as response:
            answer: JsonObject = json.load(response)
            return answer
    except HTTPError as error:
        raise UtilityActError(f"{url} refused: {_reason(error)}") from error
    except (URLError, OSError, ValueError) as error:
        raise UtilityActError(f"no answer from the simulated utility at {url}: {error}; is it running?") from error


def _reason(error: HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except ValueError, KeyError, TypeError:
        return f"{error.code} {HTTPStatus(error.code).phrase}"
