"""From the configuration to devices on their connections: one connection per endpoint, whoever shares it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from edge_service.chargers import MODELS
from edge_service.chargers.link import Link
from edge_service.config import (
    ChargerConfig,
    CompanionConfig,
    Config,
    ContactConfig,
    MeterConfig,
    RelayConfig,
    SwitchConfig,
)
from edge_service.devices import COMPANIONS, CONTACTS, METERS, RELAYS, REPORTED_SWITCHES, SWITCHES
from edge_service.domain.model import Contact, frozen_map
from edge_service.ports import Charger, Clock, ContactInput, DeviceError, GridSensor, IslandSwitch, LoadRelay, Meter
from edge_service.reports import Reports
from edge_service.runner import Devices

type Finding = tuple[str, bool, str]
type DeviceConfig = ChargerConfig | MeterConfig | SwitchConfig | ContactConfig | CompanionConfig | RelayConfig
type Probed = Meter | IslandSwitch | ContactInput | GridSensor | LoadRelay


@dataclass(frozen=True, slots=True)
class Installation:
    """The devices of a site and the links that carry them. A link lives from its ``run`` on."""

    links: tuple[Link, ...]
    devices: Devices


def install(config: Config, clock: Clock, reports: Reports | None = None) -> Installation:
    """Make every device, chargers on the edge's clock; nothing is connected yet.

    ``reports``: what clients tell of devices without an address; None: nobody tells, since no edge runs.
    """
    links: dict[tuple[str, int], Link] = {}
    reports = reports or Reports(clock)

    def link_to(device: DeviceConfig) -> Link:
        if device.address is None:
            raise LookupError(f"a device of the model {device.model} has no address")
        place = (device.address.host, device.address.port)
        return links.setdefault(place, Link(*place))

    chargers = [_charger(charger, link_to(charger), clock) for charger in config.chargers.values()]
    meter = _meter(config.meter, link_to(config.meter)) if config.meter else None
    switch = _switch(config.island_switch, link_to, reports) if config.island_switch else None
    contacts = {name: _contact(name, contact, link_to(contact)) for name, contact in config.contacts.items()}
    companions = [_companion(companion, link_to(companion)) for companion in config.companions.values()]
    relays = [_relay(relay, link_to(relay)) for relay in config.relays.values()]
    devices = Devices(chargers, meter, switch, frozen_map(contacts), companions=companions, relays=relays)
    return Installation(tuple(links.values()), devices)


def _charger(config: ChargerConfig, link: Link, clock: Clock) -> Charger:
    model = MODELS[config.model]
    options = _options(model.options, config)
    return model.build(config.id, link.unit(config.unit_id), options, monotonic=clock.monotonic)


def _meter(config: MeterConfig, link: Link) -> Meter:
    model = METERS[config.model]
    return model.build("meter", link.unit(config.unit_id), _options(model.options, config))


def _switch(config: SwitchConfig, link_to: Callable[[SwitchConfig], Link], reports: Reports) -> IslandSwitch:
    if config.address is None:
        return REPORTED_SWITCHES[config.model].build("island_switch", reports)
    model = SWITCHES[config.model]
    return model.build("island_switch", link_to(config).unit(config.unit_id), _options(model.options, config))


def _contact(name: Contact, config: ContactConfig, link: Link) -> ContactInput:
    model = CONTACTS[config.model]
    return model.build(f"{name} contact", link.unit(config.unit_id), _options(model.options, config))


def _companion(config: CompanionConfig, link: Link) -> GridSensor:
    model = COMPANIONS[config.model]
    return model.build(config.id, link.unit(config.unit_id), _options(model.options, config))


def _relay(config: RelayConfig, link: Link) -> LoadRelay:
    model = RELAYS[config.model]
    return model.build(config.id, link.unit(config.unit_id), _options(model.options, config))


def _options(kind: type[Any], config: DeviceConfig) -> Any:
    """A model's options: what the configuration names in common, and what the model asks for besides."""
    extra: Mapping[str, Any] = config.options
    known = {one.name for one in fields(kind)}
    common = {name: getattr(config, name) for name in known if hasattr(config, name)}
    return kind(**{name: value for name, value in (common | dict(extra)).items() if name in known})


async def probe(devices: Devices) -> list[Finding]:
    """Probe each device once; what each says, or why it does not. Writes nothing."""
    findings: list[Finding] = []
    for charger in devices.chargers:
        findings += await _probe_charger(charger)
    for name, device in (("meter", devices.meter), ("island switch", devices.switch)):
        if device is not None:
            findings += await _probe_device(name, device)
    for contact, contact_input in devices.contacts.items():
        findings += await _probe_device(f"{contact} contact", contact_input)
    for companion in devices.companions:
        findings += await _probe_device(companion.id, companion)
    for relay in devices.relays:
        findings += await _probe_device(f"relay {relay.id}", relay)
    return findings


async def _probe_charger(charger: Charger) -> list[Finding]:
    try:
        identity, capability = await charger.probe()
    except DeviceError as error:
        return [(charger.id, False, str(error))]
    about = f"{identity.manufacturer} {identity.model}, serial {identity.serial}, version {identity.version}"
    able = (
        f"charges up to {capability.charge_rating_w} W, gives up to {capability.discharge_rating_w} W, "
        f"control {capability.control}, lease {capability.lease}, backup {capability.backup}"
    )
    return [(charger.id, True, text) for text in (about, able, *identity.findings)]


async def _probe_device(name: str, device: Probed) -> list[Finding]:
    try:
        identity = await device.probe()
    except DeviceError as error:
        return [(name, False, str(error))]
    about = " ".join(word for word in (identity.manufacturer, identity.model, identity.serial) if word)
    return [(name, True, text) for text in (about, *identity.findings)]
