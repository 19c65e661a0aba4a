"""What is measured and decided, as sensors. Signs are turned to Home Assistant's in their rows and nowhere else."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .charger_sensors import CHARGER_SENSORS
from .coordinator import RidethroughConfigEntry
from .entity import CHARGER, LOAD, PROGRAM, SITE, add_as_they_come
from .outage_sensors import LOAD_SENSORS, OUTAGE_SENSORS
from .program_sensors import PROGRAM_SENSORS
from .sensor_rows import RidethroughSensor
from .site_sensors import SITE_SENSORS
from .why_sensor import WHY, WhySensor

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant, entry: RidethroughConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Create the sensors of site, chargers, programs and load groups."""
    add_as_they_come(entry, async_add_entities, SITE, (*SITE_SENSORS, *OUTAGE_SENSORS), RidethroughSensor)
    add_as_they_come(entry, async_add_entities, CHARGER, CHARGER_SENSORS, RidethroughSensor)
    add_as_they_come(entry, async_add_entities, CHARGER, (WHY,), WhySensor)
    add_as_they_come(entry, async_add_entities, PROGRAM, PROGRAM_SENSORS, RidethroughSensor)
    add_as_they_come(entry, async_add_entities, LOAD, LOAD_SENSORS, RidethroughSensor)
