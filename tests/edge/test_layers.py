"""Who may import whom: the table of the architecture, held for every file."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INTEGRATION = "custom_components.ridethrough"


@dataclass(frozen=True, slots=True)
class Layer:
    """Modules with these names, or below them, may import the standard library, each other and ``may``."""

    modules: tuple[str, ...]
    may: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    pure: bool = False


def edge(*names: str) -> tuple[str, ...]:
    return tuple(f"edge_service.{name}" for name in names)


DOMAIN, PORTS, WIRE = edge("domain", "ports", "api.wire")
LOOPBACK = edge("loopback")
EVERYTHING = ("*",)
# What is never shipped: no half of the product may lean on it.
WORKSHOP = ("benchmarks", "demo", "tests")

# The first layer that a module belongs to counts. A file that belongs to none is a mistake.
LAYERS = (
    Layer(edge("domain"), pure=True),
    Layer(edge("ports"), (DOMAIN,)),
    Layer(LOOPBACK),
    # The journal implements a port, in the port's own types.
    Layer(edge("journal"), (DOMAIN, PORTS)),
    Layer(edge("chargers.link"), (DOMAIN, PORTS, "modbus_connection", "pymodbus")),
    Layer(edge("chargers", "devices"), (DOMAIN, PORTS, "modbus_connection")),
    # Terms are checked as the configuration is; local time needs the time zones' files, and holidays a library.
    Layer(
        edge("programs.terms", "programs.presets", "programs.rules"),
        (DOMAIN, PORTS, *edge("config", "programs.manual"), "holidays", "voluptuous"),
    ),
    # The utility's older protocol stands on an optional extra, imported in one file.
    Layer(
        edge("programs.openadr2b_client"),
        (DOMAIN, PORTS, *LOOPBACK, *edge("programs"), "aiohttp", "lxml", "openleadr"),
    ),
    Layer(
        edge("programs.icalendar_entries"),
        (DOMAIN, PORTS, *edge("programs"), "icalendar", "recurring_ical_events"),
    ),
    Layer(edge("programs.openadr3_push"), (DOMAIN, PORTS, *LOOPBACK, *edge("programs"), "aiomqtt", "yarl")),
    Layer(edge("programs.openadr3_discovery"), (PORTS, "yarl", "zeroconf")),
    Layer(edge("programs"), (DOMAIN, PORTS, *LOOPBACK, "aiohttp", "yarl")),
    # Local time needs the time zones' files; the domain gets absolute times.
    Layer(edge("departures", "drill_times", "load_hours"), (DOMAIN,)),
    # The cycle, and what stands beside it: one file each for orders and records.
    Layer(
        edge("runner", "charger_desk", "companion_desk", "contact_desk", "load_desk", "scribe", "minutes"),
        (DOMAIN, PORTS, *edge("departures", "drill_times", "load_hours")),
    ),
    Layer(edge("clock_trust"), edge("minutes")),
    # What people and utilities want; an event entered by hand is made by the program of that name.
    Layer(
        edge("announced", "household", "intake", "judgement"),
        (DOMAIN, PORTS, *edge("departures", "programs.calendar_report", "programs.manual", "programs.rules")),
    ),
    # What is known of the house, for what a utility wants reported.
    Layer(edge("measured"), (DOMAIN, PORTS, *edge("runner"))),
    # What clients report counts as long as they are there, as a device's reading does.
    Layer(edge("reports", "ledger", "participation"), (DOMAIN, PORTS)),
    # Days are told apart by the clock on the wall, and holidays as rules of programs do.
    Layer(edge("baselines"), (DOMAIN, PORTS, *edge("ledger", "journal", "programs.rules"))),
    Layer(edge("capture"), (DOMAIN, PORTS, *edge("chargers"))),
    Layer(edge("replay", "scenario_export"), (DOMAIN, PORTS, *edge("journal"))),
    Layer(edge("export.parquet"), (*edge("export"), "pyarrow")),
    Layer(edge("export"), (DOMAIN, PORTS, *edge("journal"))),
    Layer((WIRE, *edge("api.paths", "api.rfc3339"))),
    Layer(
        edge(
            *("api.publish", "api.publish_charger", "api.publish_drill", "api.publish_loads", "api.publish_programs"),
            "api.publish_settlements",
            *("api.publish_site", "api.shown", "api.steady"),
        ),
        (DOMAIN, WIRE, *edge("api.rfc3339")),
    ),
    # The link to a network includes being found in it: mDNS.
    Layer(edge("api"), (DOMAIN, PORTS, *LOOPBACK, "aiohttp", "cryptography", "zeroconf")),
    Layer(edge("simulation"), EVERYTHING, never=(*edge("app", "api", "command_line"), *WORKSHOP)),
    Layer(
        edge("config"),
        (DOMAIN, PORTS, *LOOPBACK, *edge("chargers", "devices"), "voluptuous", "yaml"),
    ),
    Layer(edge("command_line", "__main__"), EVERYTHING, never=WORKSHOP),
    Layer(
        edge("app", "site_devices", "enrolment", "program_commands", "program_trial"),
        EVERYTHING,
        never=(*edge("command_line"), *WORKSHOP),
    ),
    Layer((f"{INTEGRATION}.wire",)),
    Layer((f"{INTEGRATION}.shapes",), (f"{INTEGRATION}.wire",)),
    Layer((f"{INTEGRATION}.client",), (f"{INTEGRATION}.shapes", f"{INTEGRATION}.wire", "aiohttp")),
    # Small libraries that Home Assistant's own API speaks in: addresses and versions.
    Layer(
        (INTEGRATION,),
        ("homeassistant", "probatio", "voluptuous", "aiohttp", "awesomeversion", "yarl"),
        never=("edge_service",),
    ),
    # They start the product's own programs and look from outside; Home Assistant is a process to them, no library.
    Layer(("demo",), EVERYTHING, never=("benchmarks", "custom_components", "homeassistant", "tests")),
    # It measures the integration against the edge that its tests script.
    Layer(("benchmarks.integration_cost",), EVERYTHING, never=("custom_components", "homeassistant")),
    Layer(("benchmarks",), EVERYTHING, never=("custom_components", "homeassistant", "tests")),
)

# Nothing in the domain may reach a clock, chance, a disk or the network.
IMPURE_MODULES = frozenset(
    {"asyncio", "importlib", "io", "logging", "os", "pathlib", "random", "secrets", "socket", "sqlite3", "subprocess"}
    | {"sys", "threading", "time", "uuid"}
)
CLOCKS = frozenset({"now", "utcnow", "today"})
IMPURE_CALLS = frozenset({"open", "print", "input", "__import__", "exec", "eval"})


def below(module: str, names: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def layer_of(module: str) -> Layer | None:
    return next((layer for layer in LAYERS if below(module, layer.modules)), None)


def imports(module: str, tree: ast.AST, *, package: bool) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported, wherever it stands in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")
            base = base[: len(base) + package - node.level] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def impure_calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS and is_clock_owner(node.value):
            yield node.lineno, f"{ast.unparse(node)} reads a clock"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield node.lineno, f"{node.func.id}() reaches outside"


def is_clock_owner(owner: ast.expr) -> bool:
    return ast.unparse(owner).rsplit(".", 1)[-1] in {"datetime", "date"}


def violations(module: str, source: str, *, package: bool = False) -> list[str]:
    """Each import or call of this module that its layer may not have."""
    layer = layer_of(module)
    if layer is None:
        return [f"{module} belongs to no layer; give it a place in LAYERS and in docs/architecture.md"]
    tree = ast.parse(source)
    found = [
        f"{module}:{line} imports {name}"
        for line, name in imports(module, tree, package=package)
        if not allowed(layer, name)
    ]
    if layer.pure:
        found.extend(f"{module}:{line} {what}" for line, what in impure_calls(tree))
    return found


def allowed(layer: Layer, name: str) -> bool:
    top = name.split(".", 1)[0]
    if below(name, layer.never):
        return False
    if top in sys.stdlib_module_names:
        return not (layer.pure and top in IMPURE_MODULES)
    return layer.may == EVERYTHING or below(name, layer.modules + layer.may)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> list[Path]:
    names = ("edge_service", "custom_components/ridethrough", "demo", "benchmarks")
    folders = [ROOT / name for name in names]
    return sorted(path for folder in folders for path in folder.rglob("*.py") if module_name(path) != "edge_service")


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_a_file_imports_only_what_its_layer_may(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert violations(module_name(path), source, package=path.name == "__init__.py") == []


def test_the_whole_tree_is_looked_at() -> None:
    names = {module_name(path) for path in sources()}
    assert {"edge_service.domain.model", "edge_service.api.wire", "demo.house", "benchmarks.rig"} <= names


def test_the_bare_package_is_empty_so_that_importing_it_costs_nothing() -> None:
    assert (ROOT / "edge_service" / "__init__.py").read_text(encoding="utf-8").strip() == ""


WRONG = [
    ("edge_service.domain.grid", "import asyncio", "imports asyncio"),
    ("edge_service.domain.grid", "from time import monotonic", "imports time.monotonic"),
    ("edge_service.domain.grid", "def f():\n    import random", "imports random"),
    ("edge_service.domain.grid", "import os.path", "imports os.path"),
    ("edge_service.domain.grid", "import logging", "imports logging"),
    ("edge_service.domain.grid", "from datetime import datetime\ndatetime.now()", "datetime.now reads a clock"),
    ("edge_service.domain.grid", "import datetime as d\nx = d.datetime.utcnow", "d.datetime.utcnow reads a clock"),
    ("edge_service.domain.grid", "from datetime import date\ndate.today()", "date.today reads a clock"),
    ("edge_service.domain.grid", "open('x')", "open() reaches outside"),
    ("edge_service.domain.grid", "import aiohttp", "imports aiohttp"),
    ("edge_service.domain.grid", "from edge_service import ports", "imports edge_service.ports"),
    ("edge_service.domain.grid", "from .. import ports", "imports edge_service.ports"),
    ("edge_service.domain.policies.stop", "from ...ports import Charger", "imports edge_service.ports.Charger"),
    ("edge_service.ports", "from edge_service.journal import store", "imports edge_service.journal.store"),
    ("edge_service.chargers.sunspec", "import pymodbus", "imports pymodbus"),
    ("edge_service.chargers.sunspec", "import edge_service.config", "imports edge_service.config"),
    ("edge_service.programs.openadr3", "import edge_service.journal.store", "imports edge_service.journal.store"),
    ("edge_service.runner", "import aiohttp", "imports aiohttp"),
    ("edge_service.runner", "from edge_service.api import wire", "imports edge_service.api.wire"),
    ("edge_service.api.wire", "from edge_service.domain.model import Grid", "imports edge_service.domain.model.Grid"),
    ("edge_service.api.publish", "import aiohttp", "imports aiohttp"),
    ("edge_service.api.server", "from edge_service.journal.store import X", "imports edge_service.journal.store.X"),
    ("edge_service.simulation.site", "from edge_service import app", "imports edge_service.app"),
    ("edge_service.simulation.site", "from edge_service.api import wire", "imports edge_service.api.wire"),
    ("edge_service.stray", "", "belongs to no layer"),
    ("edge_service.app", "from demo.house import X", "imports demo.house.X"),
    ("demo.story", "from tests.edge.edge_kit import X", "imports tests.edge.edge_kit.X"),
    (f"{INTEGRATION}.client", "from homeassistant.core import X", "imports homeassistant.core.X"),
    (f"{INTEGRATION}.sensor", "from edge_service.api import wire", "imports edge_service.api.wire"),
    (f"{INTEGRATION}.sensor", "import requests", "imports requests"),
    (f"{INTEGRATION}.wire", "import aiohttp", "imports aiohttp"),
]


@pytest.mark.parametrize(("module", "source", "complaint"), WRONG)
def test_a_broken_rule_is_found(module: str, source: str, complaint: str) -> None:
    (found,) = violations(module, source)
    assert complaint in found


RIGHT = [
    ("edge_service.domain.grid", "from datetime import datetime, timedelta\nfrom .model import Grid\nview.now"),
    ("edge_service.domain.decide", "from edge_service.domain.policies import LADDER"),
    ("edge_service.chargers.link", "import pymodbus"),
    ("edge_service.devices.meter", "from edge_service.chargers.link import Link"),
    ("edge_service.api.server", "from edge_service.api import publish\nfrom aiohttp import web"),
    ("edge_service.app", "from edge_service.journal.store import X\nimport aiohttp"),
    (f"{INTEGRATION}.client", "from .wire import decode\nimport aiohttp"),
    (f"{INTEGRATION}.sensor", "from homeassistant.core import X\nfrom .coordinator import Y"),
]


@pytest.mark.parametrize(("module", "source"), RIGHT)
def test_what_the_table_permits_is_no_complaint(module: str, source: str) -> None:
    assert violations(module, source) == []
