"""The facts of an installation: ``site.yaml`` read, checked and frozen. All mistakes at once, nothing half applied.

Preferences, programs and secrets are not here; people set them by command and the journal keeps them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

from edge_service.config import marked_yaml
from edge_service.config.check import Check, dotted, with_unit
from edge_service.config.marked_yaml import KeyPath
from edge_service.config.schema import (
    CONTACT_MODEL,
    CYCLE_S,
    LEASE_S,
    NOMINAL_VOLTAGE_V,
    STALE_AFTER_S,
    BackupChoice,
    Sign,
    breaker_w,
    heeds,
    leg_max_w,
)
from edge_service.config.value_rules import Address
from edge_service.domain.model import (
    DEFAULT_SHED_BELOW_PCT,
    ChargerFacts,
    CompanionFacts,
    Contact,
    LoadGroup,
    Position,
    SiteFacts,
    SwitchFacts,
    SwitchOwner,
    Tier,
    frozen_map,
)
from edge_service.loopback import is_loopback
from edge_service.ports import ConfigError

API_PORT = 8127

# IEEE 1547-2018 default: how long the grid must be good before an inverter may enter service again.
ENTER_SERVICE_S = 300.0


@dataclass(frozen=True, slots=True)
class ChargerConfig:
    """One charger. ``options``: what the file says besides, of what its model asks for."""

    id: str
    name: str
    model: str
    address: Address
    unit_id: int = 1
    lease_s: int = LEASE_S
    backup: BackupChoice = BackupChoice.AUTO
    legs: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=frozen_map)


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """The meter at the point of connection. ``options`` as for a charger."""

    model: str
    address: Address
    unit_id: int = 1
    position: Position = Position.GRID_SIDE
    sign: Sign = Sign.IMPORT_POSITIVE
    options: Mapping[str, Any] = field(default_factory=frozen_map)


@dataclass(frozen=True, slots=True)
class SwitchConfig:
    """The island switch. ``options`` as for a charger: its command and the contacts that prove its position.

    ``address`` None: Home Assistant moves it.
    """

    model: str
    address: Address | None = None
    unit_id: int = 1
    synchronism_check: bool = False
    options: Mapping[str, Any] = field(default_factory=frozen_map)

    @property
    def owner(self) -> SwitchOwner:
        return SwitchOwner.HOME_ASSISTANT if self.address is None else SwitchOwner.EDGE


@dataclass(frozen=True, slots=True)
class ContactConfig:
    """An input contact of the site. ``options`` as for a charger: its input, and how it is wired."""

    address: Address
    model: str = CONTACT_MODEL
    unit_id: int = 1
    options: Mapping[str, Any] = field(default_factory=frozen_map)


@dataclass(frozen=True, slots=True)
class CompanionConfig:
    """Another inverter that tells of the grid. ``options`` as for a charger."""

    id: str
    name: str
    model: str
    address: Address
    unit_id: int
    position: Position = Position.PROTECTED_SIDE
    options: Mapping[str, Any] = field(default_factory=frozen_map)


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """A relay that the edge switches itself, and the loads behind it. ``options`` as for a charger."""

    id: str
    name: str
    address: Address
    model: str = CONTACT_MODEL
    unit_id: int = 1
    tier: Tier = Tier.NICE_TO_HAVE
    power_w: int | None = None
    legs: tuple[int, ...] = ()
    shed_below_pct: float = DEFAULT_SHED_BELOW_PCT
    medical: bool = False
    hours: tuple[tuple[str, str], ...] = ()
    options: Mapping[str, Any] = field(default_factory=frozen_map)

    @property
    def group(self) -> LoadGroup:
        """Somebody's health makes it a must-have."""
        tier = Tier.MUST_HAVE if self.medical else self.tier
        pct, hours = self.shed_below_pct, self.hours
        return LoadGroup(self.id, self.name, tier, self.power_w, self.legs, pct, self.medical, hours)


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """The grid connection. Powers in positive watts; ``export_max_w`` 0: no export. ``time_zone`` None: not told."""

    name: str
    import_max_w: int
    export_max_w: int = 0
    nominal_voltage_v: float = NOMINAL_VOLTAGE_V
    enter_service_s: float = ENTER_SERVICE_S
    outage_after_s: float = 2.0
    announce_return_s: float = 60.0
    leg_max_w: tuple[int, ...] = ()
    time_zone: str | None = None
    departure_first: bool = False
    generator_max_w: int = 0
    nominal_frequency_hz: float = 60.0
    dark_start_min: float | None = None


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Where Home Assistant connects. ``announce``: by mDNS.

    Reachable from other machines it speaks TLS: with ``certificate`` and ``key`` (PEM files), else with its own, made
    at the first start. ``insecure_lan``: in the clear, on a network that is trusted.
    """

    host: str = "127.0.0.1"
    port: int = API_PORT
    allowed_hosts: tuple[str, ...] = ()
    announce: bool = True
    certificate: str | None = None
    key: str | None = None
    insecure_lan: bool = False

    @property
    def encrypted(self) -> bool:
        """Whether clients must speak TLS."""
        return self.certificate is not None or (not is_loopback(self.host) and not self.insecure_lan)


@dataclass(frozen=True, slots=True)
class ControlConfig:
    """The pace of the control loop."""

    cycle_s: float = CYCLE_S
    fast_lane_ms: int = 100
    stale_after_s: float = STALE_AFTER_S


@dataclass(frozen=True, slots=True)
class Config:
    """One installation. ``warnings``: sentences about what is allowed but should be meant.

    ``data``: where the edge keeps what it learns. ``folder``: where ``site.yaml`` lies; relative paths begin there.
    """

    site: SiteConfig
    chargers: Mapping[str, ChargerConfig]
    data: Path
    folder: Path
    meter: MeterConfig | None = None
    island_switch: SwitchConfig | None = None
    api: ApiConfig = ApiConfig()
    control: ControlConfig = ControlConfig()
    contacts: Mapping[Contact, ContactConfig] = field(default_factory=frozen_map)
    companions: Mapping[str, CompanionConfig] = field(default_factory=frozen_map)
    relays: Mapping[str, RelayConfig] = field(default_factory=frozen_map)
    warnings: tuple[str, ...] = ()

    @property
    def certificate(self) -> tuple[Path, Path]:
        """The certificate that the local API shows when it speaks TLS, and its key."""
        if self.api.certificate and self.api.key:
            return self.folder / self.api.certificate, self.folder / self.api.key
        return self.data / "certificate.pem", self.data / "key.pem"

    def facts(self) -> SiteFacts:
        """What the domain is told; each charger's capability follows from its probe, programs from the journal."""
        site, meter, switch = self.site, self.meter, self.island_switch
        return SiteFacts(
            name=site.name,
            chargers=frozen_map(
                {
                    key: ChargerFacts(key, charger.name, legs=charger.legs, lease_s=charger.lease_s)
                    for key, charger in self.chargers.items()
                }
            ),
            import_max_w=site.import_max_w,
            export_max_w=site.export_max_w,
            has_meter=meter is not None,
            meter_position=meter.position if meter else Position.GRID_SIDE,
            switch=SwitchFacts(switch.synchronism_check, switch.owner) if switch else None,
            nominal_voltage_v=site.nominal_voltage_v,
            outage_after_s=site.outage_after_s,
            enter_service_s=site.enter_service_s,
            announce_return_s=site.announce_return_s,
            stale_after_s=self.control.stale_after_s,
            leg_max_w=site.leg_max_w,
            time_zone=site.time_zone,
            departure_first=site.departure_first,
            contacts=frozenset(self.contacts),
            companions=frozen_map({key: self._companion(companion) for key, companion in self.companions.items()}),
            generator_max_w=site.generator_max_w,
            nominal_frequency_hz=site.nominal_frequency_hz,
            dark_start_min=site.dark_start_min,
            relays=frozen_map({key: relay.group for key, relay in self.relays.items()}),
        )

    def _companion(self, companion: CompanionConfig) -> CompanionFacts:
        """Its reserve is ours to set where the file says so, or says nothing and a maker's gateway runs an outage."""
        keeps = False
        if heeds("companion", companion.model, "keep_reserve"):
            vendor = any(charger.backup is BackupChoice.VENDOR for charger in self.chargers.values())
            said = companion.options.get("keep_reserve")
            keeps = vendor if said is None else said
        return CompanionFacts(companion.id, companion.name, companion.position, keeps)


# ----------------------------------------------------------------------------------------------------------- loading


def load(path: Path | str) -> Config:
    """Read and check ``site.yaml``. Raises ``ConfigError`` that names every mistake with its line."""
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8; save it again as UTF-8") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "that is not a file name"
        raise ConfigError(f"{path} cannot be read: {reason}; say which file with --config") from error
    return parse(text, path)


def parse(text: str, path: Path) -> Config:
    """Check the text of ``site.yaml``; ``path`` names it in mistakes and is where a relative ``data`` begins."""
    check = Check(marked_yaml.parse(text), path)
    sections = check.sections()
    check.cross(sections)
    if check.mistakes:
        raise ConfigError(check.report())
    config = _assemble(sections, path)
    return replace(config, warnings=_warnings(check, config))


def _assemble(sections: Mapping[str, Any], path: Path) -> Config:
    meter, switch = sections.get("meter"), sections.get("island_switch")
    chargers = {key: _device(ChargerConfig, {"id": key, **values}) for key, values in sections["chargers"].items()}
    return Config(
        site=_site(sections["site"]),
        chargers=frozen_map(chargers),
        data=path.absolute().parent / sections.get("data", "data"),
        folder=path.absolute().parent,
        meter=_device(MeterConfig, meter) if meter else None,
        island_switch=_device(SwitchConfig, switch) if switch else None,
        api=ApiConfig(**sections.get("api", {})),
        control=ControlConfig(**sections.get("control", {})),
        contacts=frozen_map(
            {Contact(key): _device(ContactConfig, values) for key, values in sections.get("contacts", {}).items()}
        ),
        relays=frozen_map(
            {key: _device(RelayConfig, {"id": key, **values}) for key, values in sections.get("relays", {}).items()}
        ),
        companions=frozen_map(
            {
                key: _device(CompanionConfig, {"id": key, **with_unit(values)})
                for key, values in sections.get("companions", {}).items()
            }
        ),
    )


def _site(values: Mapping[str, Any]) -> SiteConfig:
    others = {key: value for key, value in values.items() if key not in ("import_max_a", "service")}
    return SiteConfig(**{**others, "import_max_w": breaker_w(values), "leg_max_w": leg_max_w(values)})


def _device[T](kind: Callable[..., T], values: Mapping[str, Any]) -> T:
    """Make the device's part; what it does not name itself belongs to the device's model, and goes into ``options``."""
    own = {item.name for item in fields(cast("Any", kind))}
    options = frozen_map({key: value for key, value in values.items() if key not in own})
    return kind(**{key: value for key, value in values.items() if key in own}, options=options)


# -------------------------------------------------------------------------------------------------------- the warnings


def _warnings(check: Check, config: Config) -> tuple[str, ...]:
    """Sentences on what is allowed but must be meant, each with its line."""
    found: list[tuple[KeyPath, str]] = []
    site, switch = config.site, config.island_switch
    if site.enter_service_s < ENTER_SERVICE_S:
        found.append((("site", "enter_service_s"), _SHORT_ENTER_SERVICE.format(site.enter_service_s)))
    if config.meter is None:
        found.append(((), "there is no meter: import and export at the point of connection cannot be watched"))
    if switch and not any(_may_form(charger) for charger in config.chargers.values()):
        found.append((("island_switch",), "no charger has backup: auto, so nothing can feed the house when it opens"))
    if switch and switch.owner is SwitchOwner.HOME_ASSISTANT:
        found.append((("island_switch", "model"), _MOVED_BY_HOME_ASSISTANT))
    if switch and not _sees_street(config):
        found.append((("island_switch",), _BLIND))
    for name, contact in config.contacts.items():
        if contact.options.get("active", CONTACT_ACTIVE) != CONTACT_ACTIVE:
            found.append((("contacts", name, "active"), _BROKEN_WIRE))
    if config.api.insecure_lan and not is_loopback(config.api.host):
        found.append((("api", "insecure_lan"), _REACHABLE))
    return tuple(f"{check.path}:{check.source.line(path)}: {dotted(path)}: {text}" for path, text in found)


def _sees_street(config: Config) -> bool:
    """Something on the street's side of the switch tells of the grid."""
    by_meter = config.meter is not None and config.meter.position is Position.GRID_SIDE
    by_companion = any(one.position is Position.GRID_SIDE for one in config.companions.values())
    return by_meter or by_companion or Contact.GRID_LOST in config.contacts


def _may_form(charger: ChargerConfig) -> bool:
    return charger.backup is BackupChoice.AUTO and heeds("charger", charger.model, "backup")


# Active while its circuit is open: a wire that breaks then does the safe thing.
CONTACT_ACTIVE = "open"
_BROKEN_WIRE = "a broken wire will not be noticed; wire the contact so that its circuit opens, with active: open"
_MOVED_BY_HOME_ASSISTANT = (
    "no island without Home Assistant: it, its network and whatever moves the switch must have power while the house "
    "has none, so put them on a battery of their own"
)
_BLIND = (
    "nothing here is on the street's side of the switch, so while it is open nothing sees the grid come back: put the "
    "meter there, wire contacts.grid_lost, or let Home Assistant forward an entity that knows"
)
_REACHABLE = "reachable from the network, and without encryption: keep it on a network that you trust"
_SHORT_ENTER_SERVICE = (
    "{:g} is shorter than the 300 seconds of IEEE 1547-2018; right for a simulator, or with the utility's leave"
)
