"""What each key of ``site.yaml`` may be, and what a device's model asks for besides."""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from functools import cache
from math import sqrt
from types import NoneType
from typing import Any, get_args

from edge_service.config.value_rules import (
    Rule,
    Section,
    choice,
    device_address,
    flag,
    host,
    hosts,
    hours,
    legs,
    number,
    one_of,
    or_null,
    text,
    time_zone,
    whole,
)
from edge_service.domain.model import MOST_SPANS, Contact, Position, Tier

# US split phase, leg to leg.
NOMINAL_VOLTAGE_V = 240.0

# What counts where the file says nothing; the checks across sections need it too.
CYCLE_S = 1.0
STALE_AFTER_S = 5.0
LEASE_S = 60


class BackupChoice(StrEnum):
    """Who runs an outage at a charger: we, if it can form an island; nobody; its vendor's own gateway."""

    AUTO = "auto"
    NONE = "none"
    VENDOR = "vendor"


class Service(StrEnum):
    """How the utility feeds the house: how many legs the main breaker has."""

    SINGLE_PHASE = "single_phase"
    SPLIT_PHASE = "split_phase"
    THREE_PHASE = "three_phase"


class Sign(StrEnum):
    """What a positive power of the meter means."""

    IMPORT_POSITIVE = "import_positive"
    EXPORT_POSITIVE = "export_positive"


ID = re.compile(r"[a-z0-9_]{1,32}")
# The record calls the site itself so, and the program of the events that are entered by hand.
RESERVED_IDS = frozenset({"site", "manual"})
ID_ALLOWED = "a short name of 1 to 32 characters out of a-z, 0-9 and _, but not site or manual"
# What else already speaks of the grid, in the record and to people.
RESERVED_FOR_COMPANIONS = frozenset({*RESERVED_IDS, "meter", "home_assistant"})
COMPANION_ID_ALLOWED = (
    "a short name of 1 to 32 characters out of a-z, 0-9 and _, but not site, manual, meter or home_assistant, nor a "
    "charger's"
)
_UNIT = whole(1, 247, "Modbus unit id")

SITE = Section(
    {"name": text(60)},
    {
        "import_max_a": number(1, 10_000, "amperes of the main breaker"),
        "import_max_w": whole(100, 5_000_000, "watts"),
        "export_max_w": whole(0, 5_000_000, "watts"),
        "nominal_voltage_v": number(100, 500, "volts"),
        "enter_service_s": number(0, 600, "seconds"),
        "outage_after_s": number(0, 5, "seconds"),
        "announce_return_s": number(0, 3600, "seconds"),
        "service": choice(Service),
        "time_zone": time_zone(),
        "departure_first": flag(),
        "generator_max_w": whole(0, 5_000_000, "watts"),
        "nominal_frequency_hz": one_of(50, 60),
        "dark_start_min": number(1, 10_080, "minutes"),
    },
)
_API = Section(
    {},
    {
        "host": host(),
        "port": whole(1, 65535, "TCP port"),
        "allowed_hosts": hosts(),
        "announce": flag(),
        "certificate": text(1000),
        "key": text(1000),
        "insecure_lan": flag(),
    },
)
_CONTROL = Section(
    {},
    {
        "cycle_s": number(0.2, 10, "seconds"),
        "fast_lane_ms": whole(20, 1000, "milliseconds"),
        "stale_after_s": number(1, 60, "seconds"),
    },
)
SECTIONS: Mapping[str, Callable[[Any], Any]] = {
    "site": SITE,
    "api": _API,
    "control": _CONTROL,
    "data": Rule("a folder, relative to this file or absolute", text(1000)),
}
CONTACT_MODEL = "modbus_io"
# What hangs on an I/O block needs no model: there is one.
PLAIN_IO = frozenset({"contact", "relay"})
CONTACTS = tuple(str(contact) for contact in Contact)
CONTACTS_SECTION = Section({}, dict.fromkeys(CONTACTS, Rule("", bool)))
TOP = ("api", "chargers", "companions", "contacts", "control", "data", "island_switch", "meter", "relays", "site")

_OPTIONAL: Mapping[str, Mapping[str, Rule]] = {
    "charger": {
        "unit_id": _UNIT,
        "lease_s": whole(15, 300, "seconds"),
        "backup": choice(BackupChoice),
        "legs": legs(),
    },
    "meter": {"unit_id": _UNIT, "position": choice(Position), "sign": choice(Sign)},
    "island_switch": {"unit_id": _UNIT, "synchronism_check": flag()},
    "contact": {"unit_id": _UNIT},
    "relay": {
        "unit_id": _UNIT,
        "tier": choice(Tier),
        "power_w": whole(0, 100_000, "watts"),
        "legs": legs(),
        "shed_below_pct": number(0, 100, "percent"),
        "medical": flag(),
        "hours": hours(MOST_SPANS),
    },
    "companion": {"unit_id": _UNIT, "position": choice(Position)},
}

# What only a driver can heed: known where the model's options have it. The rest is for the site's own reckoning.
_HEEDED_BY_THE_MODEL = {
    "lease_s": "how long its orders outlive us is not ours to set",
    "backup": "it gives no backup",
    "sign": "it tells the direction by itself",
}

# What people look for here, and where it is instead.
ELSEWHERE = {
    "programs": "programs are kept by the edge: ridethrough program add",
    "program": "programs are kept by the edge: ridethrough program add",
    "backup_reserve_pct": "reserves are set in Home Assistant and kept by the edge",
    "drivers_reserve_pct": "reserves are set in Home Assistant and kept by the edge",
    "token": "tokens are made by pairing: ridethrough pair",
}


@cache
def models(kind: str) -> Mapping[str, Any]:
    """The models of one kind of device; loaded here, as their drivers take a moment to import."""
    from edge_service.chargers import MODELS  # noqa: PLC0415
    from edge_service.devices import COMPANIONS, CONTACTS, METERS, RELAYS, REPORTED_SWITCHES, SWITCHES  # noqa: PLC0415

    registries: Mapping[str, Mapping[str, Any]] = {
        "charger": MODELS,
        "meter": METERS,
        "island_switch": {**SWITCHES, **REPORTED_SWITCHES},
        "contact": CONTACTS,
        "relay": RELAYS,
        "companion": COMPANIONS,
    }
    return registries[kind]


@cache
def device_section(kind: str, model: str) -> Section:
    """The keys of a device of this model: those of its kind that it heeds, and what the model's options declare."""
    options = {option.name: option for option in fields(models(kind)[model].options)}
    required, optional = _common(kind)
    absent = {
        key: f"the model {model} does not have it: {why}"
        for key, why in _HEEDED_BY_THE_MODEL.items()
        if key in optional and key not in options
    }
    if not has_address(kind, model):
        absent |= dict.fromkeys(("address", "unit_id"), "Home Assistant moves it, by an entity that is named there")
    required, optional = (
        {key: rule for key, rule in rules.items() if key not in absent} for rules in (required, optional)
    )
    for name, option in options.items():
        if name not in required | optional:
            (required if _is_needed(option) else optional)[name] = _option(option)
    return Section(required, optional, absent=absent)


def has_address(kind: str, model: str) -> bool:
    """Whether the edge itself talks to a device of this model."""
    from edge_service.devices import REPORTED_SWITCHES  # noqa: PLC0415

    return kind != "island_switch" or model not in REPORTED_SWITCHES


def heeds(kind: str, model: str, key: str) -> bool:
    """Whether this key may be said of a device of this model."""
    return key in device_section(kind, model).keys


def usual_unit(kind: str, model: str) -> int:
    """The Modbus unit of a device of this model where the file names none."""
    unit: Any = next(option.default for option in fields(models(kind)[model].options) if option.name == "unit_id")
    return int(unit)


@cache
def unknown_device_section(kind: str) -> Section:
    """The keys of any device of this kind, whatever its model asks for besides."""
    required, optional = _common(kind)
    return Section(required, optional, open_ended=True)


def _common(kind: str) -> tuple[dict[str, Rule], dict[str, Rule]]:
    """The keys that every device of a kind needs, and those that it may have."""
    model = {"model": choice(tuple(sorted(models(kind))))}
    required = {"address": device_address()}
    if kind in ("charger", "companion", "relay"):
        required["name"] = text(60)
    if kind in PLAIN_IO:
        return required, {**_OPTIONAL[kind], **model}
    return {**model, **required}, dict(_OPTIONAL[kind])


def _is_needed(option: Field[Any]) -> bool:
    return option.default is MISSING and option.default_factory is MISSING


def _option(option: Field[Any]) -> Rule:
    """The rule of one field of a model's options, from its type and its metadata (min, max, allowed)."""
    facts, kinds = option.metadata, get_args(option.type) or (option.type,)
    if "allowed" in facts:
        rule = choice(tuple(facts["allowed"]))
    elif bool in kinds:
        rule = flag()
    elif float in kinds:
        rule = number(facts.get("min", 0), facts.get("max", 1e6), "a number")
    elif int in kinds:
        rule = whole(facts.get("min", 0), facts.get("max", 65535), "a number")
    else:
        rule = text(200)
    return or_null(rule) if NoneType in kinds else rule


def breaker_w(site: Mapping[str, Any]) -> int:
    """What the main breaker carries, in watts; amperes count at the nominal voltage, on all three legs if there are."""
    if "import_max_w" in site:
        return int(site["import_max_w"])
    poles = sqrt(3) if site.get("service") == Service.THREE_PHASE else 1.0
    return int(site["import_max_a"] * site.get("nominal_voltage_v", NOMINAL_VOLTAGE_V) * poles)


LEGS: Mapping[Service, int] = {Service.SINGLE_PHASE: 1, Service.SPLIT_PHASE: 2, Service.THREE_PHASE: 3}


def leg_max_w(site: Mapping[str, Any]) -> tuple[int, ...]:
    """What each leg of the main breaker carries, in watts from leg to neutral; empty: the service is not told."""
    if "service" not in site:
        return ()
    count = LEGS[site["service"]]
    return (breaker_w(site) // count,) * count
