"""What the payloads of an OpenADR 3 event mean in our words. What is not clearly one thing asks for nothing.

Units come from payload descriptors, the event's own or else its program's, and are never guessed. Where several
payloads of one interval ask for power, the most exact one that can be read counts: a power, a change of it, a charge,
what a person mapped, a share, an offset, a level, and last a flex alert.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite

from edge_service.domain.model import SlotKind, frozen_map
from edge_service.domain.program import Direction, PriceKind
from edge_service.domain.timeline import Interval
from edge_service.programs.openadr3_text import shown

SETPOINT = "DISPATCH_SETPOINT"
CHANGE = "DISPATCH_SETPOINT_RELATIVE"
CHARGE_STATE = "CHARGE_STATE_SETPOINT"
OFFSET = "CONTROL_LEVEL_OFFSET"
OFFSET_PERCENT = "CONTROL_LEVEL_OFFSET_PERCENT"
SIMPLE = "SIMPLE"
FLEX_ALERT = "ALERT_FLEX_ALERT"
# Only a person knows what these mean in a program; without a map they are passed over.
MAPPED = ("CONTROL_SETPOINT", "DISPATCH_INSTRUCTION")
LIMITS: Mapping[str, tuple[Direction, bool]] = {
    "IMPORT_CAPACITY_LIMIT": (Direction.IMPORT, False),
    "EXPORT_CAPACITY_LIMIT": (Direction.EXPORT, False),
    "IMPORT_CAPACITY_SUBSCRIPTION": (Direction.IMPORT, True),
    "EXPORT_CAPACITY_SUBSCRIPTION": (Direction.EXPORT, True),
}
PRICES: Mapping[str, PriceKind] = {
    "PRICE": PriceKind.IMPORT,
    "EXPORT_PRICE": PriceKind.EXPORT,
    "GHG": PriceKind.GHG,
}
_EXACT = (SETPOINT, CHANGE, CHARGE_STATE)
_ROUGH = (OFFSET_PERCENT, OFFSET, SIMPLE, FLEX_ALERT)

# No house moves a gigawatt; what is larger is a mistake of unit or worse.
MOST_W = 1_000_000_000
MOST_WH = 1_000_000_000
# Per kWh, in any currency, and in grams: beyond this it is a mistake, such as -9,999 for "no price".
MOST_PRICE = 1_000.0
MOST_GRAMS = 5_000.0
# Five minutes of a day, and room.
MOST_VALUES = 300
MOST_LEVEL = 10
_LONGEST_KEY = 60
_CURRENCY_LETTERS = 3
# Numbers beyond are none of this world, and their products would overflow.
_MOST_NUMBER = 10**30

# Watts of one unit, by its name in capitals. Others, also MW (megawatt or milliwatt?), are not followed.
_UNIT_W = {"KW": 1000, "W": 1}
_PERCENT = ("PERCENT", "PERCENTAGE", "%")
_GRAMS = ("", "GHG", "G/KWH")

# Levels of SIMPLE: moderate, high and special shed, as our documentation of the program tells the resident.
_LEVELS = {0: None, 1: SlotKind.NO_CHARGE, 2: SlotKind.COVER_HOUSE, 3: SlotKind.MAX_DISCHARGE}

# What a person may map a value to; a type without a value may also be mapped to one of NUMBERS.
IGNORE = "ignore"
ACTIONS: Mapping[str, SlotKind | None] = {
    "normal": None,
    "no_charge": SlotKind.NO_CHARGE,
    "cover_house": SlotKind.COVER_HOUSE,
    "max_discharge": SlotKind.MAX_DISCHARGE,
    "max_charge": SlotKind.MAX_CHARGE,
}
NUMBERS: Mapping[str, SlotKind] = {"power": SlotKind.POWER, "change": SlotKind.CHANGE}


class Percent(StrEnum):
    """How a utility writes a percentage. ``auto``: up to 1 it is a fraction, as the standard has it, else percent."""

    AUTO = "auto"
    FRACTION = "fraction"
    PERCENT = "percent"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a person told us about the words of one program.

    ``payload_map``: ``TYPE:value`` or ``TYPE`` to an action, before our own meaning. ``discharge_level``: from this
    CONTROL_LEVEL_OFFSET on as much is supplied as allowed; None: never. ``currency``: of prices that tell none; where
    they tell one it must be this; empty: whichever is told.
    """

    consumption_positive: bool = True
    payload_map: Mapping[str, str] = field(default_factory=frozen_map)
    discharge_level: int | None = None
    percent: Percent = Percent.AUTO
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What descriptors tell of a type of payload, in capitals; empty: nothing, or different things."""

    unit: str = ""
    currency: str = ""


def told_by(descriptors: object) -> dict[str, Told]:
    """Unit and currency by payload type; descriptors of reports are none of it."""
    rows = [row for row in descriptors if isinstance(row, dict)] if isinstance(descriptors, list) else []
    rows = [row for row in rows if row.get("objectType") != "REPORT_PAYLOAD_DESCRIPTOR"]
    kinds = dict.fromkeys(kind for row in rows if isinstance(kind := row.get("payloadType"), str))
    return {kind: Told(_one(rows, kind, "units"), _one(rows, kind, "currency")) for kind in kinds}


def _one(rows: list[dict[str, object]], kind: str, key: str) -> str:
    told = {_capitals(row.get(key)) for row in rows if row.get("payloadType") == kind}
    return told.pop() if len(told) == 1 else ""


def _capitals(value: object) -> str:
    return value.strip().upper() if isinstance(value, str) else ""


def number(value: object) -> float | None:
    """A finite number; true is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isfinite(value if isinstance(value, float) else 0.0) and abs(value) <= _MOST_NUMBER else None


class WordReader:
    """Reads the payloads of one event, given what its descriptors tell; ``note`` gets a clause on what is skipped."""

    def __init__(self, told: Mapping[str, Told], meaning: Meaning, note: Callable[[str], None]) -> None:
        self._told, self._meaning, self._note = told, meaning, note
        self._mapped_kinds = tuple(dict.fromkeys(key.partition(":")[0] for key in meaning.payload_map))
        others = (*MAPPED, *(kind for kind in self._mapped_kinds if kind not in (*MAPPED, *_EXACT, *_ROUGH)))
        self._order = (*_EXACT, *others, *_ROUGH)

    def knows(self, kind: str) -> bool:
        """Whether this type may mean something to us."""
        return kind in (*_EXACT, *_ROUGH, *LIMITS, *PRICES, *self._mapped_kinds)

    def ask(self, found: Mapping[str, object], where: str) -> Interval | None:
        """What an interval with these payloads asks of the vehicles; None: it does not speak of power."""
        for kind in self._order:
            if kind in found and (asked := self._asked(kind, found[kind], where)) is not None:
                return asked
        return None

    def _asked(self, kind: str, values: object, where: str) -> Interval | None:
        mapped = self._mapped(kind, values) if kind in self._mapped_kinds else None
        if mapped is not None:
            return None if mapped == IGNORE else self._acted(kind, mapped, values, where)
        read = _READERS.get(kind)
        if read is None:
            self._note(f"{where}: {kind} has a value that nobody mapped for this program")
            return None
        return read(self, values, where)

    def _mapped(self, kind: str, values: object) -> str | None:
        """What a person said that it means; of several values the first of which that was said."""
        for value in values if isinstance(values, list) else ():
            action = self._meaning.payload_map.get(f"{kind}:{_as_key(value)}")
            if action is not None:
                return action
        return self._meaning.payload_map.get(kind)

    def _acted(self, kind: str, action: str, values: object, where: str) -> Interval | None:
        if action in NUMBERS:
            return self._power(kind, NUMBERS[action], values, where)
        return Interval(kind=ACTIONS[action])

    # ---------------------------------------------------------------------------------------------- what asks for power

    def setpoint(self, values: object, where: str) -> Interval | None:
        return self._power(SETPOINT, SlotKind.POWER, values, where)

    def change(self, values: object, where: str) -> Interval | None:
        return self._power(CHANGE, SlotKind.CHANGE, values, where)

    def _power(self, kind: str, asks: SlotKind, values: object, where: str) -> Interval | None:
        power_w = self._watts(kind, values, where)
        sign = 1 if self._meaning.consumption_positive else -1
        return None if power_w is None else Interval(kind=asks, power_w=sign * power_w)

    def charge_state(self, values: object, where: str) -> Interval | None:
        value, unit = self._single(CHARGE_STATE, values, where), self._unit(CHARGE_STATE)
        if value is None:
            return None
        if unit not in (*_PERCENT, "KWH"):
            self._note(f"no known unit is told for {CHARGE_STATE} (PERCENT or KWH), so it is not followed")
            return None
        asked = self._energy(value) if unit == "KWH" else self._charge(value, unit)
        if asked is None:
            self._note(f"{where}: {CHARGE_STATE} is {shown(value)} and out of all bounds")
        return asked

    def _energy(self, value: float) -> Interval | None:
        if not 0 <= value * 1000 <= MOST_WH:
            return None
        return Interval(kind=SlotKind.CHARGE_STATE, energy_wh=round(value * 1000))

    def _charge(self, value: float, unit: str) -> Interval | None:
        pct = self._fraction(value) * 100
        if not 0 <= pct <= 100:
            return None
        if self._meaning.percent is Percent.AUTO and 0 < value <= 1:
            self._note(f"{CHARGE_STATE} {value:g} {unit} is read as {pct:g} %")
        return Interval(kind=SlotKind.CHARGE_STATE, soc_pct=round(pct, 3))

    def offset(self, values: object, where: str) -> Interval | None:
        value = self._single(OFFSET, values, where)
        if value is None:
            return None
        if value != int(value) or abs(value) > MOST_LEVEL:
            self._note(f"{where}: {OFFSET} is {shown(value)}, no whole number from -{MOST_LEVEL} to {MOST_LEVEL}")
            return None
        from_level = self._meaning.discharge_level
        if from_level is not None and value >= from_level:
            return Interval(kind=SlotKind.MAX_DISCHARGE)
        kinds = {0: None, 1: SlotKind.NO_CHARGE, -1: SlotKind.MAX_CHARGE}
        return Interval(kind=kinds[(value > 0) - (value < 0)])

    def offset_percent(self, values: object, where: str) -> Interval | None:
        """The part of the usual charging: 1 + v. 0 is normal."""
        value = self._single(OFFSET_PERCENT, values, where)
        if value is None:
            return None
        if self._unit(OFFSET_PERCENT) not in _PERCENT:
            self._note(f"no known unit is told for {OFFSET_PERCENT} (PERCENT), so it is not followed")
            return None
        part = self._fraction(value)
        if not -1 <= part <= 1:
            self._note(f"{where}: {OFFSET_PERCENT} is {shown(value)} and out of all bounds")
            return None
        return Interval(kind=SlotKind.CHARGE_SHARE, share=round(1 + part, 4)) if part else Interval()

    def level(self, values: object, where: str) -> Interval | None:
        value = self._single(SIMPLE, values, where)
        if value is not None and value not in _LEVELS:
            self._note(f"{where}: {SIMPLE} is {shown(value)}, no level from 0 to 3")
            return None
        return None if value is None else Interval(kind=_LEVELS[int(value)])

    def flex_alert(self, _values: object, _where: str) -> Interval | None:
        """Its text is for people; what it asks is to use power at another time."""
        return Interval(kind=SlotKind.NO_CHARGE)

    # ----------------------------------------------------------------------------------------------- limits and prices

    def limit_w(self, kind: str, values: object, where: str) -> int | None:
        """The bound of a capacity payload, from 0."""
        limit_w = self._watts(kind, values, where)
        if limit_w is not None and limit_w < 0:
            self._note(f"{where}: {kind} is less than nothing")
            return None
        return limit_w

    def prices(self, kind: str, values: object, where: str) -> tuple[float, ...] | None:
        """One price per equal part of the interval. Zero and less are prices."""
        rows = values if isinstance(values, list) and 0 < len(values) <= MOST_VALUES else []
        found = [value for row in rows if (value := number(row)) is not None]
        most = MOST_GRAMS if kind == "GHG" else MOST_PRICE
        if not found or len(found) != len(rows) or not all(-most <= value <= most for value in found):
            self._note(f"{where}: {kind} has values that are no prices")
            return None
        return tuple(float(value) for value in found) if self._is_price(kind) else None

    def _is_price(self, kind: str) -> bool:
        unit = self._unit(kind)
        if kind == "GHG":
            if unit not in _GRAMS:
                self._note(f"{kind} is told in {shown(unit)}, not in grams per kWh, so it is not used")
            return unit in _GRAMS
        if unit != "KWH":
            self._note(f"no known unit is told for {kind} (KWH), so it is not used")
            return False
        if self.currency(kind):
            return True
        self._note(f"{kind} is told in no currency, or in another than this program's, so it is not used")
        return False

    def currency(self, kind: str) -> str:
        """Three letters; empty where none counts."""
        told, ours = self._told.get(kind, Told()).currency, self._meaning.currency
        if kind == "GHG" or (ours and told not in ("", ours)):
            return ""
        found = told or ours
        return found if len(found) == _CURRENCY_LETTERS and found.isascii() and found.isalpha() else ""

    # --------------------------------------------------------------------------------------------------- single values

    def _unit(self, kind: str) -> str:
        return self._told.get(kind, Told()).unit

    def _watts(self, kind: str, values: object, where: str) -> int | None:
        value, unit_w = self._single(kind, values, where), _UNIT_W.get(self._unit(kind))
        if value is None:
            return None
        if unit_w is None:
            self._note(f"no known unit is told for {kind} (KW or W), so it is not followed")
            return None
        if not -MOST_W <= value * unit_w <= MOST_W:
            self._note(f"{where}: {kind} is {shown(value)} and out of all bounds")
            return None
        return round(value * unit_w)

    def _fraction(self, value: float) -> float:
        form = self._meaning.percent
        is_fraction = form is Percent.FRACTION or (form is Percent.AUTO and abs(value) <= 1)
        return value if is_fraction else value / 100

    def _single(self, kind: str, values: object, where: str) -> float | None:
        if not isinstance(values, list) or len(values) != 1:
            self._note(f"{where}: {kind} has not exactly one value")
            return None
        value = number(values[0])
        if value is None:
            self._note(f"{where}: {kind} is {shown(values[0])}, no number")
        return value


_READERS: Mapping[str, Callable[[WordReader, object, str], Interval | None]] = {
    SETPOINT: WordReader.setpoint,
    CHANGE: WordReader.change,
    CHARGE_STATE: WordReader.charge_state,
    OFFSET: WordReader.offset,
    OFFSET_PERCENT: WordReader.offset_percent,
    SIMPLE: WordReader.level,
    FLEX_ALERT: WordReader.flex_alert,
}


def _as_key(value: object) -> str:
    """A value as it stands in a payload map: ``3``, ``1.5``, ``word``."""
    plain = number(value)
    if plain is not None:
        return f"{plain:g}"
    return value[:_LONGEST_KEY] if isinstance(value, str) else ""


def checked_map(values: object) -> Mapping[str, str]:
    """A payload map as a person writes it. Raises ValueError saying what is allowed."""
    rows = dict(_entries(values))
    for key, action in rows.items():
        kind, _, value = key.partition(":")
        if not kind or not (action in ACTIONS or action == IGNORE or (not value and action in NUMBERS)):
            allowed = ", ".join((*ACTIONS, IGNORE, *NUMBERS))
            raise ValueError(f"has TYPE:value or TYPE, and for it one of {allowed}; not {key}: {action}")
    return frozen_map(rows)


def _entries(values: object) -> Iterator[tuple[str, str]]:
    if not isinstance(values, Mapping):
        raise ValueError('is a table such as {"SIMPLE:1": "cover_house"}')
    for key, action in values.items():
        if not isinstance(key, str) or not isinstance(action, str) or len(key) > 2 * _LONGEST_KEY:
            raise ValueError('is a table of texts such as {"SIMPLE:1": "cover_house"}')
        yield key.strip(), action.strip()
