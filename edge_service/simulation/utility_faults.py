"""Ways in which the simulated utility misbehaves on request, all of them seen or to be expected in the field."""

from dataclasses import asdict, dataclass, fields, replace

from edge_service.simulation.utility_objects import JsonObject

# Answered in turn with status 200 and a JSON content type: cut short, a captive portal, not a list, not a number.
GARBAGE = (
    '[{"id":"',
    "<!DOCTYPE html><html><title>Sign in to continue</title></html>",
    '{"unexpected":true}',
    '[{"id":"x","priority":NaN,"intervals":',
)
SLOWEST_MS = 600_000


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with the utility now. ``None`` and False: nothing.

    ``retry_after`` is a Retry-After header as it stands, ``clock_off_s`` how far the utility's Date header is ahead.
    ``body`` is answered to every GET, as it stands. ``only`` limits status, garbage and body to paths that begin so.
    ``token_status`` is the token endpoint's, ``token_expires_in`` what it says (``absent``: nothing), ``token_url``
    what /auth/server names. ``hides_auth_server``: in 3.1; ``shows_auth_server``: in 3.0.1, where it is not.
    ``denied_status`` stands in for 403. ``forgets_vens``: made and never found. ``empty_lists``: data lost. ``bomb``:
    little that unpacks to much. ``swallows_answers``: what is written is kept, and the line is cut instead of an
    answer. ``most_body_bytes``: larger bodies are refused (413).
    """

    status: int | None = None
    retry_after_s: int | None = None
    retry_after: str | None = None
    latency_ms: int | None = None
    only: str | None = None
    garbage: bool = False
    body: str | None = None
    extra_bad_objects: bool = False
    clock_off_s: int | None = None
    token_status: int | None = None
    token_expires_in: str | None = None
    token_url: str | None = None
    denied_status: int | None = None
    refuses_all_tokens: bool = False
    hides_auth_server: bool = False
    shows_auth_server: bool = False
    forgets_vens: bool = False
    empty_lists: bool = False
    bomb: bool = False
    swallows_answers: bool = False
    most_body_bytes: int | None = None

    def changed(self, wish: JsonObject) -> Faults:
        """These faults with the named ones set, null taking one away. Raises ValueError naming what is wrong."""
        known = {field.name for field in fields(self)}
        for name, value in wish.items():
            if name not in known:
                raise ValueError(f"unknown fault {name!r}; known: {', '.join(sorted(known))}, expire_tokens")
            _check(name, value)
        plain = asdict(Faults())
        return replace(self, **{name: plain[name] if value is None else value for name, value in wish.items()})


_BOUNDS = {
    "status": (400, 599),
    "retry_after_s": (0, 10**9),
    "latency_ms": (0, SLOWEST_MS),
    "clock_off_s": (-(10**9), 10**9),
    "token_status": (300, 599),
    "denied_status": (401, 403),
    "most_body_bytes": (0, 10**9),
}
_TEXTS = ("body", "retry_after", "only", "token_expires_in", "token_url")


def _check(name: str, value: object) -> None:
    if value is None:
        return
    if name in _TEXTS:
        if not isinstance(value, str):
            raise ValueError(f"{name} is a text, not {value!r}")
        return
    if name not in _BOUNDS:
        if not isinstance(value, bool):
            raise ValueError(f"{name} is true or false, not {value!r}")
        return
    least, most = _BOUNDS[name]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} is a whole number from {least} to {most}, not {value!r}")


def bad_siblings(kind: str, real: list[JsonObject], now: str) -> list[object]:
    """Odd and broken rows for a list; none of them may ever move a charger now. ``now`` is an RFC 3339 time."""
    if kind == "programs":
        return list(_bad_programs(now))
    if kind == "events":
        program_id = real[0]["programID"] if real else "no-such-program"
        return [None, 42, "text", [], {}, *_bad_events(program_id, now)]
    return []


def _bad_programs(now: str) -> list[object]:
    stamps = {"createdDateTime": now, "modificationDateTime": now}
    return [
        None,
        [],
        {},
        {"id": 17, **stamps, "programName": ["Peak"]},
        {"id": "odd-program-1", **stamps, "objectType": "PROGRAM", "programName": None},
        {"id": "odd-program-2", "objectType": "TARIFF", "programName": "Odd", "attributes": {"LOCAL": 1}},
        {"id": "odd-program-3", **stamps, "programName": "<b>Odd</b>", "payloadDescriptors": "KW", "new": {}},
    ]


def _bad_events(program_id: str, now: str) -> list[JsonObject]:
    period = {"start": now, "duration": "PT1H"}
    setpoint = [{"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT", "values": [-9.0]}]}]

    def odd(number: int, **changes: object) -> JsonObject:
        whole: JsonObject = {
            "id": f"odd-event-{number}",
            "createdDateTime": now,
            "modificationDateTime": now,
            "programID": program_id,
            "priority": None,
            "targets": [],
            "intervalPeriod": period,
            "intervals": setpoint,
        }
        return {name: value for name, value in (whole | changes).items() if value is not ...}

    def valued(*values: object, kind: object = "DISPATCH_SETPOINT") -> list[JsonObject]:
        return [{"id": 0, "payloads": [{"type": kind, "values": list(values)}]}]

    return [
        odd(1, id=...),
        odd(2, id=7),
        odd(3, programID=...),
        odd(4, programID={"id": program_id}),
        odd(5, intervals="none"),
        odd(6, intervals=[None, 3, {"id": "a"}]),
        odd(7, intervals=valued("-9.0")),
        odd(8, intervals=valued(True)),
        odd(9, intervals=valued(None)),
        odd(10, intervals=valued()),
        odd(11, intervals=valued([-9.0], {"x": 1})),
        odd(12, intervals=valued(-9.0, kind="X_PRIVATE_SETPOINT")),
        odd(13, intervals=valued(-9.0, kind=None)),
        odd(14, intervalPeriod={"start": "tomorrow", "duration": "PT1H"}),
        odd(15, intervalPeriod={"start": now, "duration": "P12H"}),
        odd(16, intervalPeriod={"start": now, "duration": "-PT1H"}),
        odd(17, intervalPeriod={"start": "0000-00-00", "duration": "PT1H"}),
        odd(18, intervalPeriod=12),
        odd(19, payloadDescriptors=[{"payloadType": "DISPATCH_SETPOINT", "units": "FURLONGS"}]),
        odd(20, priority="first", intervals=valued(5, kind="X_PRIVATE")),
        odd(21, targets=[{"type": "VEN_NAME", "values": ["someone-else"]}], intervals=[]),
        odd(22, objectType="REPORT", intervals=...),
        odd(23, eventName="<script>alert(1)</script>", intervals=valued("storm", kind="X_TEXT")),
        odd(24, intervalPeriod={"start": "2099-01-01T00:00:00+00:00", "duration": "PT1H"}, intervals=valued(-1e308)),
        odd(25, intervalPeriod={"start": "2099-01-01T00:00:00+00:00", "duration": "PT1H"}, intervals=valued(10**40)),
        odd(26, intervalPeriod={"start": "9999-12-31T23:59:59+00:00", "duration": "P9999Y0M0DT0H0M0S"}),
    ]
