"""What a calendar entry asks of the house, in the words that people write. Pure.

An entry is one of ours when its title begins with one of ``OPENINGS``, or a line of its description names a program.
Everything else in a calendar is somebody's dentist and is passed over. What is ours must be clear: one thing asked,
each number with its unit; a guess would move a car's battery. ``docs/programs/by-hand-and-calendar.md`` tells people.
"""

import re
from dataclasses import dataclass

from edge_service.domain.program import SlotKind

LEAST_W = 1
MOST_W = 1_000_000
LONGEST_TITLE = 200
LONGEST_DESCRIPTION = 4000

OPENINGS = ("peak event", "peak", "grid event", "demand response", "dr event", "ridethrough")
ALLOWED = (
    "one of: 5 kW (supplied by the house), use 5 kW, max discharge, max charge, no charge, cover house; "
    "each number with kW or W, its sign in words"
)

_SUPPLIES = frozenset({"supply", "supplies", "discharge", "discharging", "export", "exports", "give", "gives"})
_USES = frozenset({"use", "uses", "charge", "charging", "import", "imports", "consume", "consumes", "draw", "draws"})
# Words that make anything beside them a question, a wish or the contrary.
_UNCLEAR = re.compile(
    r"\b(?:about|approx|approximately|around|ca|circa|least|most|more|less|over|under|up|below|above|between|or"
    r"|max|maximum|min|minimum|no|not|never|none|without|don'?t|if|unless|maybe|perhaps|possibly|possible|tentative"
    r"|optional|draft|proposed|test|example|off|moved|postponed|rescheduled|called|each|per|percent|half|double)\b"
)
_CALLED_OFF = re.compile(r"\bcancel(?:l?ed|lation)?\b")

_OPENING = re.compile(rf"\s*(?:{'|'.join(OPENINGS)})(?![\w'-])", re.IGNORECASE)
_KINDS = (
    (re.compile(r"\bno charg(?:e|ing)\b"), SlotKind.NO_CHARGE),
    (
        re.compile(r"\b(?:max(?:imum)? discharg(?:e|ing)|discharg(?:e|ing)(?: at)? max(?:imum)?)\b"),
        SlotKind.MAX_DISCHARGE,
    ),
    (re.compile(r"\b(?:max(?:imum)? charg(?:e|ing)|charg(?:e|ing)(?: at)? max(?:imum)?)\b"), SlotKind.MAX_CHARGE),
    (re.compile(r"\bcover (?:the )?house\b"), SlotKind.COVER_HOUSE),
)
_DATE = re.compile(r"(?<![\w.,:/+−–-])\d{4}-\d\d-\d\d(?![\w.,:/-])", re.ASCII)
_CLOCK = r"\d{1,2}(?::\d\d)?\s?(?:am|pm)?"
# Times are those of the entry; those in its title are for people. "3-5 kW" is no time of day.
_HOURS = re.compile(
    rf"(?<![\w.,:/+−–-]){_CLOCK}\s?(?:-|–|to|until)\s?{_CLOCK}(?![\w/]|[:.,]\d)(?!\s*-?\s*k?w(?:h|\b))", re.ASCII
)
_HOUR = re.compile(
    r"(?<![\w.,:/+−–-])(?:\d{1,2}:\d\d(?:\s?(?:am|pm))?|\d{1,2}\s?(?:am|pm))(?![\w/-]|[:.,]\d)", re.ASCII
)
# No comma, and no three decimals: 1,500 and 1.500 are a thousand and a half to some, and one and a half to others.
_AMOUNT = re.compile(r"(?<![\w.,:/+−–~<>≤≥±-])(\d{1,7}(?:\.\d{1,2})?)\s?(kw|w)(?![\w/²*-])", re.ASCII)
_BREAK = re.compile(r"<\s*(?:br|/p|/div|/li)\b[^>]{0,40}>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]{0,200}>")
_LINE = re.compile(r"\s*(power|discharge|charge|program)\s*:\s*(.*?)\s*", re.IGNORECASE)
_BARE = re.compile(r"\s*(no charge|cover (?:the )?house|max discharge|max charge|net)\s*[.]?\s*", re.IGNORECASE)
_PROGRAM = re.compile(r"[a-z0-9_]{1,32}")


class UnclearError(ValueError):
    """An entry is one of ours, and what it asks is not clear; the rest of a sentence that begins with its title."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What an entry asks. ``power_w`` counts for POWER, positive consumes. ``net``: said to be at the meter.

    ``program``: the id of the only program that is meant; None: that of the calendar.
    """

    kind: SlotKind
    power_w: int = 0
    net: bool = False
    program: str | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """Of one text: what it asks, None: nothing."""

    kind: SlotKind | None
    power_w: int = 0
    net: bool = False


def looks_like_an_event(title: str, description: str = "") -> bool:
    """Whether the entry means to be one of ours."""
    return _OPENING.match(title) is not None or any(name == "program" for name, _ in _lines(description))


def read_words(title: str, description: str = "") -> Wish | None:
    """What the entry asks; None: it is none of ours, or called off. Raises UnclearError."""
    if not looks_like_an_event(title, description):
        return None
    if len(title) > LONGEST_TITLE:
        raise UnclearError(f"its title is longer than {LONGEST_TITLE} characters")
    opening = _OPENING.match(title)
    rest = title if opening is None else title[opening.end() :]
    if _CALLED_OFF.search(rest.casefold()):
        return None
    asked = [] if opening is None else [_asked(rest)]
    program = None
    for name, value in _lines(description):
        if name == "program":
            program = _program(value, program)
        else:
            asked.append(_asked_by_line(name, value))
    return _joined(asked, program)


def _joined(asked: list[_Asked], program: str | None) -> Wish:
    """Title and description may say the same twice, but not two things."""
    said = {(one.kind, one.power_w) for one in asked if one.kind is not None}
    if len(said) != 1:
        raise UnclearError(f"it says {'nothing that it asks' if not said else 'two things'}; allowed is {ALLOWED}")
    ((kind, power_w),) = said
    assert kind is not None
    return Wish(kind, power_w, any(one.net for one in asked), program)


def _program(value: str, before: str | None) -> str:
    word = value.casefold()
    if not _PROGRAM.fullmatch(word) or before not in (None, word):
        raise UnclearError("its line program: is no program's id, or there are two")
    return word


def _lines(description: str) -> list[tuple[str, str]]:
    """The lines that are for us: ``power: 5 kW``, ``no charge``. Calendars on the web write HTML."""
    text = _TAG.sub("", _BREAK.sub("\n", description[:LONGEST_DESCRIPTION])).replace("\xa0", " ").replace("&nbsp;", " ")
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if match := _LINE.fullmatch(line):
            found.append((match[1].casefold(), match[2]))
        elif match := _BARE.fullmatch(line):
            found.append(("", match[1]))
    return found


def _asked_by_line(name: str, value: str) -> _Asked:
    words = value.casefold().strip(" .")
    if name == "charge" and words == "none":
        return _Asked(SlotKind.NO_CHARGE)
    if name in ("charge", "discharge"):
        words = f"{name} {words}"
    asked = _asked(words)
    if asked.kind is None and not asked.net:
        raise UnclearError(f"its line {name}: asks nothing; allowed is {ALLOWED}")
    return asked


def _asked(text: str) -> _Asked:
    """What one text asks. Raises UnclearError for whatever number or word could be meant otherwise."""
    words = " ".join(text.casefold().split())
    if "?" in words:
        raise UnclearError("it asks a question")
    kinds: list[SlotKind] = []
    for pattern, kind in _KINDS:
        words, times = pattern.subn(" ", words)
        kinds += [kind] * times
    for times_of_day in (_DATE, _HOURS, _HOUR):
        words = times_of_day.sub(" ", words)
    amounts = _AMOUNT.findall(words)
    words = _AMOUNT.sub(" ", words)
    if any(char.isnumeric() or char in "%½" for char in words):
        raise UnclearError(f"it has a number that is not clear; allowed is {ALLOWED}")
    if unclear := _UNCLEAR.search(words):
        raise UnclearError(f"the word {unclear[0]!r} makes it unclear; allowed is {ALLOWED}")
    return _one(kinds, amounts, frozenset(re.findall(r"[^\W\d_]+", words)))


def _one(kinds: list[SlotKind], amounts: list[tuple[str, str]], said: frozenset[str]) -> _Asked:
    supplies, uses, net = bool(said & _SUPPLIES), bool(said & _USES), "net" in said
    if len(kinds) + len(amounts) > 1 or (supplies and uses) or (kinds and (supplies or uses)):
        raise UnclearError(f"it says two things; allowed is {ALLOWED}")
    if kinds:
        return _Asked(kinds[0], net=net)
    if not amounts:
        return _Asked(None, net=net)
    number, unit = amounts[0]
    power_w = round(float(number) * (1000 if unit == "kw" else 1))
    if not LEAST_W <= power_w <= MOST_W:
        raise UnclearError(f"its power is not from {LEAST_W} W to {MOST_W // 1000} kW")
    return _Asked(SlotKind.POWER, power_w if uses else -power_w, net)
