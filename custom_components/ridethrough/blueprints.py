"""The blueprints that come with the integration: which of them are installed, and installing them.

Home Assistant keeps blueprints as files that people may change. One that somebody changed is never written over without
a word; one that we installed and nobody touched is simply brought up to date.
"""

from collections.abc import Collection
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from homeassistant.components.automation.config import AUTOMATION_BLUEPRINT_SCHEMA
from homeassistant.components.automation.helpers import async_get_blueprints
from homeassistant.components.blueprint import Blueprint
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store
from homeassistant.util.yaml import load_yaml_dict

from .const import DOMAIN

AUTOMATION = "automation"
FOLDER = Path(__file__).parent / "blueprints" / AUTOMATION
SHIPPED = ("outage", "peak_event", "storm", "drill", "departure")


class Standing(StrEnum):
    """How the installed file compares with the shipped one. ``outdated``: an older one of ours that nobody touched."""

    MISSING = "missing"
    INSTALLED = "installed"
    OUTDATED = "outdated"
    CHANGED = "changed"


class Shelf:
    """The shipped blueprints and their installed copies."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        # What each file was when we wrote it.
        self._store: Store[dict[str, str]] = Store(hass, 1, f"{DOMAIN}.blueprints")

    async def async_standing(self) -> dict[str, Standing]:
        """Of each shipped blueprint."""
        shipped, written = await self._shipped(), await self._store.async_load() or {}
        return {name: await self._compared(name, one, written.get(name)) for name, one in shipped.items()}

    async def async_install(self, names: Collection[str], *, replace_changed: bool) -> set[str]:
        """Install or update these; returns those that were left alone, because somebody changed them."""
        shipped, standing = await self._shipped(), await self.async_standing()
        left = {name for name in names if standing[name] is Standing.CHANGED and not replace_changed}
        written = await self._store.async_load() or {}
        for name in (name for name in names if name not in left):
            await async_get_blueprints(self._hass).async_add_blueprint(shipped[name], _path(name), allow_override=True)
            written[name] = _digest(shipped[name])
        await self._store.async_save(written)
        return left

    async def _shipped(self) -> dict[str, Blueprint]:
        return await self._hass.async_add_executor_job(_read_all)

    async def _compared(self, name: str, shipped: Blueprint, written: str | None) -> Standing:
        try:
            installed = await self._hass.async_add_executor_job(self._read_installed, name)
        except HomeAssistantError:
            return Standing.CHANGED
        if installed is None:
            return Standing.MISSING
        if _digest(installed) == _digest(shipped):
            return Standing.INSTALLED
        return Standing.OUTDATED if _digest(installed) == written else Standing.CHANGED

    def _read_installed(self, name: str) -> Blueprint | None:
        """From the disk: Home Assistant's own copy in memory does not see what somebody wrote into the file."""
        path = async_get_blueprints(self._hass).blueprint_folder / _path(name)
        return _read(path) if path.exists() else None


def _path(name: str) -> str:
    return f"{DOMAIN}/{name}.yaml"


def _read(path: Path) -> Blueprint:
    return Blueprint(
        load_yaml_dict(path), expected_domain=AUTOMATION, path=str(path), schema=AUTOMATION_BLUEPRINT_SCHEMA
    )


def _read_all() -> dict[str, Blueprint]:
    return {name: _read(FOLDER / f"{name}.yaml") for name in SHIPPED}


def _digest(blueprint: Blueprint) -> str:
    return sha256(blueprint.yaml().encode()).hexdigest()
