"""Checks ``site.yaml`` against its schema and finds what does not fit together: every mistake at once."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import voluptuous as vol

from edge_service.config.marked_yaml import KeyPath, MarkedYaml
from edge_service.config.schema import (
    COMPANION_ID_ALLOWED,
    CONTACT_MODEL,
    CONTACTS_SECTION,
    CYCLE_S,
    ELSEWHERE,
    ID,
    ID_ALLOWED,
    LEASE_S,
    LEGS,
    PLAIN_IO,
    RESERVED_FOR_COMPANIONS,
    RESERVED_IDS,
    SECTIONS,
    SITE,
    STALE_AFTER_S,
    TOP,
    breaker_w,
    device_section,
    models,
    unknown_device_section,
    usual_unit,
)
from edge_service.config.value_rules import Rule, Section, UnknownKey, WrongValue
from edge_service.domain.model import Tier

# A cycle may fail twice in a row before the charger takes back control by itself.
CYCLES_PER_LEASE = 3


@dataclass(frozen=True, slots=True, order=True)
class _Mistake:
    line: int
    where: str
    says: str


class Check:
    """One file being checked: gathers the mistakes of each section, and of what does not fit together."""

    def __init__(self, source: MarkedYaml, path: Path) -> None:
        self.source = source
        self.path = path
        self.mistakes = {_Mistake(flaw.line, dotted(flaw.path), flaw.text) for flaw in source.flaws}

    def report(self) -> str:
        """All mistakes, in the order of the file."""
        told = [f"  {self.path}:{mistake.line}: {mistake.where}: {mistake.says}" for mistake in sorted(self.mistakes)]
        count = "1 mistake" if len(told) == 1 else f"{len(told)} mistakes"
        return "\n".join([f"{self.path} has {count}; nothing of it is used", *told])

    def wrong(self, path: KeyPath, allowed: str, hint: str = "") -> None:
        """Note a mistake at this key."""
        says = f"found {self.found(path)}{hint}; allowed: {allowed}"
        self.mistakes.add(_Mistake(self.source.line(path), dotted(path), says))

    def found(self, path: KeyPath) -> str:
        """The value at this key as it was written."""
        if (written := self.source.written.get(path)) is not None:
            return _shown(written)
        value = self.source.value
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, list):
            return _shown(f"[{', '.join(self.source.written.get((*path, n), '...') for n in range(len(value)))}]")
        return "nothing" if value is None else "a section" if value else "an empty section"

    def sections(self) -> dict[str, Any]:
        """The sections that are right by themselves."""
        top = self.source.value
        if top is None and self.source.flaws:
            return {}
        if not isinstance(top, dict):
            self.wrong((), f"a section with {', '.join(TOP)}")
            return {}
        self.validate((), Section({}, dict.fromkeys(TOP, Rule("", bool))), top)
        good = {key: self.validate((key,), rule, top[key]) for key, rule in SECTIONS.items() if key in top}
        good |= {key: self.device(key, (key,), top[key]) for key in ("meter", "island_switch") if key in top}
        good |= {"contacts": self.contacts(top["contacts"])} if "contacts" in top else {}
        good["chargers"] = self.chargers(top.get("chargers"))
        good |= {"companions": self.companions(top["companions"], top.get("chargers"))} if "companions" in top else {}
        good |= {"relays": self.relays(top["relays"], top.get("chargers"))} if "relays" in top else {}
        if "site" not in top:
            self.wrong(("site",), SITE.allowed)
        return {key: value for key, value in good.items() if value is not None}

    def chargers(self, value: Any) -> dict[str, Any]:
        """The chargers that are right, by id."""
        if not isinstance(value, dict) or not value:
            self.wrong(("chargers",), "a section with at least one charger, each under its id")
            return {}
        for key in value:
            if not ID.fullmatch(key) or key in RESERVED_IDS:
                self.wrong_id(("chargers", key), ID_ALLOWED)
        good = {key: self.device("charger", ("chargers", key), charger) for key, charger in value.items()}
        return {key: charger for key, charger in good.items() if charger is not None}

    def companions(self, value: Any, chargers: Any) -> dict[str, Any]:
        """The companion inverters that are right, by id."""
        if not isinstance(value, dict) or not value:
            self.wrong(("companions",), "a section with at least one companion inverter, each under its id")
            return {}
        taken = RESERVED_FOR_COMPANIONS | set(chargers if isinstance(chargers, dict) else ())
        for key in value:
            if not ID.fullmatch(key) or key in taken:
                self.wrong_id(("companions", key), COMPANION_ID_ALLOWED)
        good = {key: self.device("companion", ("companions", key), companion) for key, companion in value.items()}
        return {key: companion for key, companion in good.items() if companion is not None}

    def relays(self, value: Any, chargers: Any) -> dict[str, Any]:
        """The load relays that are right, by id."""
        if not isinstance(value, dict) or not value:
            self.wrong(("relays",), "a section with at least one relay, each under its id")
            return {}
        taken = RESERVED_IDS | set(chargers if isinstance(chargers, dict) else ())
        for key in value:
            if not ID.fullmatch(key) or key in taken:
                self.wrong_id(("relays", key), f"{ID_ALLOWED}, nor a charger's")
        good = {key: self.device("relay", ("relays", key), relay) for key, relay in value.items()}
        return {key: relay for key, relay in good.items() if relay is not None}

    def wrong_id(self, path: tuple[str, str], allowed: str) -> None:
        """Note a mistake in the key itself."""
        says = f"found the id {_shown(path[-1])}; allowed: {allowed}"
        self.mistakes.add(_Mistake(self.source.line(path), dotted(path), says))

    def contacts(self, value: Any) -> dict[str, Any]:
        """The contacts that are right, by what they mean."""
        section = self.validate(("contacts",), CONTACTS_SECTION, value if isinstance(value, dict) and value else None)
        if section is None:
            return {}
        good = {key: self.device("contact", ("contacts", key), contact) for key, contact in value.items()}
        return {key: contact for key, contact in good.items() if contact is not None}

    def device(self, kind: str, path: KeyPath, value: Any) -> Any:
        """A device checked by the rules of its model, or None."""
        usual = CONTACT_MODEL if kind in PLAIN_IO else None
        model = value.get("model", usual) if isinstance(value, dict) else usual
        if not isinstance(model, str) or model not in models(kind):
            self.validate(path, unknown_device_section(kind), value)
            return None
        return self.validate(path, device_section(kind, model), value)

    def validate(self, path: KeyPath, rule: Callable[[Any], Any], value: Any) -> Any:
        """What the rule makes of the value, or None after noting each mistake in it."""
        try:
            return vol.Schema(rule)(value)
        except vol.MultipleInvalid as problem:
            for error in problem.errors:
                place = (*path, *(str(key) for key in error.path))
                self.wrong(place, error.msg, self.hint(place, error))
        return None

    def hint(self, path: KeyPath, error: vol.Invalid) -> str:
        """Words on what was probably meant."""
        if isinstance(error, UnknownKey):
            key = str(path[-1])
            why = error.why or ELSEWHERE.get(key)
            return f", but there is no such key{f'; {why}' if why else _nearest(key, error.known)}"
        choices = error.choices if isinstance(error, WrongValue) else ()
        return _nearest(self.source.written.get(path, ""), choices)

    def cross(self, good: Mapping[str, Any]) -> None:
        """Find what does not fit together among the sections that are right by themselves."""
        self.breaker(self.source.value)
        self.export(good.get("site"))
        self.shared_units(good)
        self.switch(good)
        self.inputs(good)
        self.coils(good)
        self.generator(good)
        self.pace(good)
        self.certificate(good.get("api", {}))
        self.legs(good)
        self.hours(good)

    def hours(self, good: Mapping[str, Any]) -> None:
        """Hours at which a load matters: by the site's own clock, and never of what must be on."""
        for key, relay in good.get("relays", {}).items():
            path = ("relays", key, "hours")
            if relay.get("hours") and (relay.get("tier") is Tier.MUST_HAVE or relay.get("medical")):
                self.wrong(path, "none: a must-have matters at every hour")
            elif relay.get("hours") and "site" in good and "time_zone" not in good["site"]:
                self.wrong(path, "only together with site.time_zone, by which they are meant")
            elif relay.get("hours") and relay.get("power_w") is None:
                self.wrong(path, "only together with power_w, without which it could not be put back when they begin")

    def legs(self, good: Mapping[str, Any]) -> None:
        """The legs of chargers and loads must be legs of the service; which there are the service tells."""
        service = good.get("site", {}).get("service")
        places = [(part, key) for part in ("chargers", "relays") for key in good.get(part, {})]
        for part, key in places:
            legs, path = good[part][key].get("legs", ()), (part, key, "legs")
            if "site" in good and legs and service is None:
                self.wrong(path, "only together with site.service, which says how many legs there are")
            elif service is not None and any(leg > LEGS[service] for leg in legs):
                count = LEGS[service]
                allowed = "leg 1 only" if count == 1 else f"legs 1 to {count}"
                self.wrong(path, f"{allowed}, as site.service is {service}")

    def certificate(self, api: Mapping[str, Any]) -> None:
        for one, other in (("certificate", "key"), ("key", "certificate")):
            if one in api and other not in api:
                self.wrong(("api", one), f"together with {other}; without both the edge makes its own")

    def breaker(self, top: Any) -> None:
        site = top.get("site") if isinstance(top, dict) else None
        if isinstance(site, dict) and ("import_max_a" in site) == ("import_max_w" in site):
            one_of = "the main breaker once, as import_max_a (amperes) or import_max_w (watts)"
            self.wrong(("site", "import_max_w" if "import_max_w" in site else "import_max_a"), one_of)

    def export(self, site: Mapping[str, Any] | None) -> None:
        if site is None or ("import_max_a" in site) == ("import_max_w" in site):
            return
        if site.get("export_max_w", 0) > breaker_w(site):
            self.wrong(("site", "export_max_w"), f"watts up to what the main breaker carries, {breaker_w(site)}")

    def shared_units(self, good: Mapping[str, Any]) -> None:
        """Two of ours that answer at the same unit of the same address. A meter may live in a charger's unit."""
        owners: dict[tuple[str, int, int], str] = {}
        chargers = good.get("chargers", {})
        devices: dict[KeyPath, Mapping[str, Any]] = {("chargers", key): charger for key, charger in chargers.items()}
        devices |= {("companions", key): with_unit(one) for key, one in good.get("companions", {}).items()}
        if "address" in (switch := good.get("island_switch", {})):
            devices[("island_switch",)] = switch
        for path, device in devices.items():
            place = (device["address"].host.lower(), device["address"].port, device.get("unit_id", 1))
            owner = owners.setdefault(place, dotted(path))
            if owner != dotted(path):
                self.wrong((*path, "address"), f"an address and unit_id of its own; {owner} has the same")

    def switch(self, good: Mapping[str, Any]) -> None:
        top = self.source.value
        if not isinstance(top, dict) or "island_switch" not in top:
            return
        contacts = {"open_proven_input": 0, "closed_proven_input": 1} | good.get("island_switch", {})
        if contacts["open_proven_input"] == contacts["closed_proven_input"] is not None:
            self.wrong(("island_switch", "closed_proven_input"), "another input than open_proven_input")

    def inputs(self, good: Mapping[str, Any]) -> None:
        """One input has one meaning, whoever asks for it."""
        owners: dict[tuple[str, int, int, int], str] = {}
        for path, device, key in _inputs_of(good):
            if device.get(key) is None:
                continue
            place = (device["address"].host.lower(), device["address"].port, device.get("unit_id", 1), device[key])
            owner = owners.setdefault(place, dotted(path))
            if owner != dotted(path):
                self.wrong((*path, key), f"an input of its own; {owner} has the same")

    def coils(self, good: Mapping[str, Any]) -> None:
        """One coil moves one thing: two relays on it, or a relay on the switch's, would undo each other."""
        owners: dict[tuple[str, int, int, int], str] = {}
        devices: dict[KeyPath, tuple[Mapping[str, Any], str, int]] = {}
        if "address" in (switch := good.get("island_switch", {})):
            devices[("island_switch",)] = (switch, "open_coil", switch.get("open_coil", 0))
        for key, relay in good.get("relays", {}).items():
            devices[("relays", key)] = (relay, "coil", relay["coil"])
        for path, (device, name, coil) in devices.items():
            place = (device["address"].host.lower(), device["address"].port, device.get("unit_id", 1), coil)
            owner = owners.setdefault(place, dotted(path))
            if owner != dotted(path):
                self.wrong((*path, name), f"a coil of its own; {owner} has the same")

    def generator(self, good: Mapping[str, Any]) -> None:
        told = self.source.value.get("contacts") if isinstance(self.source.value, dict) else None
        wired = isinstance(told, dict) and "generator" in told
        if "generator_max_w" in good.get("site", {}) and not wired:
            self.wrong(("site", "generator_max_w"), "only together with contacts.generator, which tells when one runs")

    def pace(self, good: Mapping[str, Any]) -> None:
        control = {"cycle_s": CYCLE_S, "stale_after_s": STALE_AFTER_S} | good.get("control", {})
        cycle_s = control["cycle_s"]
        if control["stale_after_s"] < 2 * cycle_s:
            self.wrong(("control", "stale_after_s"), f"at least two cycles, {2 * cycle_s:g} seconds")
        for key, charger in good.get("chargers", {}).items():
            if charger.get("lease_s", LEASE_S) < CYCLES_PER_LEASE * cycle_s:
                at_least = f"at least {CYCLES_PER_LEASE} control cycles, {CYCLES_PER_LEASE * cycle_s:g} seconds"
                self.wrong(("chargers", key, "lease_s"), at_least)


def with_unit(companion: Mapping[str, Any]) -> dict[str, Any]:
    """What the file says of a companion, and the unit at which its model usually answers."""
    return {"unit_id": usual_unit("companion", companion["model"]), **companion}


def _inputs_of(good: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Mapping[str, Any], str]]:
    """Where an input is named: the section, what it says, and under which key."""
    if "address" in good.get("island_switch", {}):
        switch = {"open_proven_input": 0, "closed_proven_input": 1} | good["island_switch"]
        yield ("island_switch",), switch, "open_proven_input"
        yield ("island_switch",), switch, "closed_proven_input"
    for name, contact in good.get("contacts", {}).items():
        yield ("contacts", name), contact, "input"
    for name, relay in good.get("relays", {}).items():
        yield ("relays", name), relay, "feedback_input"


def dotted(path: KeyPath) -> str:
    return ".".join(_shown(str(key)) for key in path) or "the file"


def _shown(written: str) -> str:
    """The words as written, shortened; what cannot be printed as an escape."""
    if not written:
        return "nothing"
    short = written if len(written) <= 60 else f"{written[:57]}..."
    return short if short.isprintable() else ascii(short)


def _nearest(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
