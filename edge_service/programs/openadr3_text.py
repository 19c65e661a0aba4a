"""Foreign texts and values, made fit to be shown to people."""

import unicodedata

LONGEST_NAME = 120
LONGEST_SHOWN = 40
_LONGEST_PLAIN_NUMBER = 10**15


def clean(value: str, longest: int = LONGEST_NAME) -> str:
    """A foreign text fit to be shown as text: no control, direction or broken characters, one line, bounded."""
    kept = (char for char in value[: 4 * longest] if char.isspace() or unicodedata.category(char)[0] != "C")
    return " ".join("".join(kept).split())[:longest].strip()


def shown(value: object) -> str:
    """A foreign value for a sentence of ours, bounded whatever it is."""
    if isinstance(value, str):
        return f'"{clean(value, LONGEST_SHOWN)}"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return str(value) if -_LONGEST_PLAIN_NUMBER < value < _LONGEST_PLAIN_NUMBER else "a number out of all bounds"
    return "a list" if isinstance(value, list) else "an object"
