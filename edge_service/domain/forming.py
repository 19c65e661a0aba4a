"""Which charger may form an island: exactly one does."""

from edge_service.domain.model import (
    EMPTY_SOC_PCT,
    Backup,
    ChargerReading,
    ChargerState,
    Observation,
    SiteFacts,
)


def choose_former(observation: Observation, facts: SiteFacts) -> str | None:
    """The one charger that may form: who forms already, else island capable, not known to be unplugged, heard of
    lately, highest charge; ties by name."""

    def rank(name: str) -> tuple[bool, bool, float, str]:
        reading = observation.chargers[name]
        if reading is None:
            return True, True, 0.0, name
        silent = facts.fresh(reading, observation.now) is None
        return not reading.forming or silent, silent, -(reading.soc_pct or 0.0), name

    return min(able_to_form(observation, facts), key=rank, default=None)


def able_to_form(observation: Observation, facts: SiteFacts) -> list[str]:
    """The chargers that can form an island, as far as was ever heard."""
    return [
        name
        for name, charger in facts.chargers.items()
        if charger.capability is not None
        and charger.capability.backup is Backup.CAN_FORM
        and (reading := observation.chargers.get(name)) is not None
        and could_carry(reading)
    ]


def could_carry(reading: ChargerReading) -> bool:
    """Nothing that is known speaks against it. A charge that is not known does not."""
    return (
        reading.plugged is not False
        and reading.service_permitted is not False
        and reading.state is not ChargerState.FAULT
        and (reading.soc_pct is None or reading.soc_pct > EMPTY_SOC_PCT)
    )
