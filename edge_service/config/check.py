"""Checks ``site.yaml`` against its schema and finds what does not fit together: every mistake at once."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import voluptuous as vol

from edge_service.config.marked_yaml import KeyPath, MarkedYaml
from edge_service.config.schema import (
    CONTACT_MODEL,
    CONTACTS_SECTION,
    CYCLE_S,
    ELSEWHERE,
    ID,
    ID_ALLOWED,
    LEASE_S,
    LEGS,
    RESERVED_IDS,
    SECTIONS,
    SITE,
    STALE_AFTER_S,
    TOP,
    breaker_w,
    device_section,
    models,
    unknown_device_section,
)
from edge_service.config.value_rules import Rule, Section, UnknownKey, WrongValue
from edge_service.domain.model import Position

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
                says = f"found the id {_shown(key)}; allowed: {ID_ALLOWED}"
                self.mistakes.add(_Mistake(self.source.line(("chargers", key)), dotted(("chargers", key)), says))
        good = {key: self.device("charger", ("chargers", key), charger) for key, charger in value.items()}
        return {key: charger for key, charger in good.items() if charger is not None}

    def contacts(self, value: Any) -> dict[str, Any]:
        """The contacts that are right, by what they mean."""
        section = self.validate(("contacts",), CONTACTS_SECTION, value if isinstance(value, dict) and value else None)
        if section is None:
            return {}
        good = {key: self.device("contact", ("contacts", key), contact) for key, contact in value.items()}
        return {key: contact for key, contact in good.items() if contact is not None}

    def device(self, kind: str, path: KeyPath, value: Any) -> Any:
        """A device checked by the rules of its model, or None."""
        usual = CONTACT_MODEL if kind == "contact" else None
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
        self.generator(good)
        self.pace(good)
        self.certificate(good.get("api", {}))
        self.legs(good)

    def legs(self, good: Mapping[str, Any]) -> None:
        """A charger's legs must be legs of the service; which there are the service tells."""
        service = good.get("site", {}).get("service")
        for key, charger in good.get("chargers", {}).items():
            legs = charger.get("legs", ())
            if "site" in good and legs and service is None:
                self.wrong(
                    ("chargers", key, "legs"), "only together with site.service, which says how many legs there are"
                )
            elif service is not None and any(leg > LEGS[service] for leg in legs):
                count = LEGS[service]
                allowed = "leg 1 only" if count == 1 else f"legs 1 to {count}"
                self.wrong(("chargers", key, "legs"), f"{allowed}, as site.service is {service}")

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
        if "island_switch" in good:
            devices[("island_switch",)] = good["island_switch"]
        for path, device in devices.items():
            place = (device["address"].host.lower(), device["address"].port, device.get("unit_id", 1))
            owner = owners.setdefault(place, dotted(path))
            if owner != dotted(path):
                self.wrong((*path, "address"), f"an address and unit_id of its own; {owner} has the same")

    def switch(self, good: Mapping[str, Any]) -> None:
        top = self.source.value
        if not isinstance(top, dict) or "island_switch" not in top:
            return
        why = "while the island switch is open, only a meter on the grid side shows that the grid is back"
        if "meter" not in top:
            self.wrong(("island_switch",), f"only together with a meter; {why}")
        if good.get("meter", {}).get("position") == Position.PROTECTED_SIDE:
            self.wrong(("meter", "position"), f"grid_side; {why}")
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


def _inputs_of(good: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Mapping[str, Any], str]]:
    """Where an input is named: the section, what it says, and under which key."""
    if "island_switch" in good:
        switch = {"open_proven_input": 0, "closed_proven_input": 1} | good["island_switch"]
        yield ("island_switch",), switch, "open_proven_input"
        yield ("island_switch",), switch, "closed_proven_input"
    for name, contact in good.get("contacts", {}).items():
        yield ("contacts", name), contact, "input"


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
