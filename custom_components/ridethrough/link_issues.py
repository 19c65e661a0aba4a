"""What stands under Repairs about the link: an edge that speaks no schema of ours, more orders than it can follow."""

from datetime import datetime

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_call_later

from .client import SchemaError
from .const import DOMAIN

TOO_OLD, TOO_NEW = "edge_too_old", "edge_too_new"
SCHEMAS = (TOO_OLD, TOO_NEW)

# Orders were held back for so long, so often, without a pause of so long: something is broken.
STRAIN_AFTER_S, STRAIN_COUNT, PAUSE_S = 10.0, 20, 5.0
# It is over when none was held back for so long.
CALM_AFTER_S = 30.0


def misfit_of(error: SchemaError | None) -> str | None:
    """Which side is behind, as the key of its words; None: both speak the same."""
    if error is None:
        return None
    return TOO_OLD if error.edge_is_older else TOO_NEW


@callback
def tell_misfit(hass: HomeAssistant, entry_id: str, site: str, version: str, misfit: str | None) -> None:
    """Let that repair stand, and no other of its kind."""
    for key in SCHEMAS:
        if key != misfit:
            ir.async_delete_issue(hass, DOMAIN, f"{key}_{entry_id}")
    if misfit is not None:
        ir.async_create_issue(
            hass,
            DOMAIN,
            f"{misfit}_{entry_id}",
            is_fixable=False,
            severity=ir.IssueSeverity.ERROR,
            translation_key=misfit,
            translation_placeholders={"site": site, "version": version},
        )


class Strain:
    """Lets a repair stand while orders are held back again and again, and takes it away when that is over."""

    def __init__(self, hass: HomeAssistant, entry_id: str, site: str) -> None:
        self._hass, self._site = hass, site
        self._id = f"too_many_commands_{entry_id}"
        self._since = self._last = float("-inf")
        self._count = 0
        self._calm: CALLBACK_TYPE | None = None

    @callback
    def held(self) -> None:
        """One more could not go at once."""
        now = self._hass.loop.time()
        if now - self._last > PAUSE_S:
            self._since, self._count = now, 0
        self._last = now
        self._count += 1
        if self._count >= STRAIN_COUNT and now - self._since >= STRAIN_AFTER_S and self._calm is None:
            self._tell()

    def _tell(self) -> None:
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            self._id,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key="too_many_commands",
            translation_placeholders={"site": self._site},
        )
        self._calm = async_call_later(self._hass, CALM_AFTER_S, self._look_again)

    @callback
    def _look_again(self, _: datetime) -> None:
        rest_s = self._last + CALM_AFTER_S - self._hass.loop.time()
        if rest_s > 0:
            self._calm = async_call_later(self._hass, rest_s, self._look_again)
        else:
            self.end()

    @callback
    def end(self) -> None:
        """Nothing is ordered any more."""
        if self._calm is not None:
            self._calm()
            self._calm = None
        ir.async_delete_issue(self._hass, DOMAIN, self._id)
