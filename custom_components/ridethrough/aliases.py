"""Other ids for those that people and utilities give, the same throughout a download.

``our_leaf`` becomes ``charger_1``, in the order of the ids: as the edge does in what it recorded, so that both tell
of the same charger.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from homeassistant.components.diagnostics import REDACTED

from .wire import State

# Where ids are the keys of the state, and what they become.
KINDS: Mapping[str, str] = {
    "chargers": "charger",
    "programs": "program",
    "loads": "load",
    "companions": "companion",
}
# Keys whose values are ids, or lists of ids, of whatever kind.
HOLD_IDS = frozenset(
    {"charger", "program", "programs", "event", "uid", "group", "groups", "alert", "subject", "source", "without"}
) | {"loads_shed", "loads_unproven"}
# Of a load group the commands say ``id``, and of an alert the state does.
OF_AN_ID = frozenset({"set_load_group", "remove_load_group", "set_program", "remove_program", "test_program"})
ENTITY = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")
# In a sentence of the edge: where a server is.
PLACE = re.compile(r"\b\w+://\S+|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\[[0-9a-fA-F:]{3,}\](?::\d+)?")


class Aliases:
    """Knows every id of a state, and takes them out of it and of whatever names them."""

    def __init__(self, state: State) -> None:
        parts = cast("Mapping[str, Any]", state)
        ids: dict[str, Iterable[str]] = {kind: parts.get(part) or () for part, kind in KINDS.items()}
        ids["event"] = (event["uid"] for one in state["programs"].values() for event in one["events"])
        ids["alert"] = (alert["id"] for alert in state["site"].get("alerts", ()))
        ids["source"] = (said["source"] for said in state["site"]["evidence"] if ENTITY.fullmatch(said["source"]))
        self._known = {name: alias for kind, some in ids.items() for name, alias in _numbered(kind, some)}

    def of(self, node: Any, key: str = "", *, names_id: bool = False) -> Any:
        """A part of the download without them. ``names_id``: what stands under ``id`` in it is one of ours."""
        if isinstance(node, Mapping):
            names_id = names_id or node.get("command") in OF_AN_ID or "opted_out" in node
            return {self._key(key, name): self._within(node, name, value, names_id) for name, value in node.items()}
        if isinstance(node, list | tuple):
            return [self.of(item, key, names_id=names_id) for item in node]
        return self._text(node, key, names_id=names_id) if isinstance(node, str) else node

    def _within(self, node: Mapping[str, Any], name: str, value: Any, names_id: bool) -> Any:
        # What an entity says is in words that somebody chose; so is a calendar, and a program holds secrets.
        said = name == "detail" and ENTITY.fullmatch(str(node.get("source", "")))
        if said or name in ("calendar", "entries") or (name == "program" and isinstance(value, Mapping)):
            return REDACTED
        return self.of(value, name, names_id=names_id)

    def _key(self, above: str, name: str) -> str:
        return self.id(name) if above in KINDS else name

    def id(self, name: str) -> str:
        """Another id in the place of one that is known."""
        return self._known.get(name, name)

    def _text(self, text: str, key: str, *, names_id: bool) -> str:
        if key in HOLD_IDS or (names_id and key == "id"):
            about, colon, name = text.rpartition(":")
            return self._known.get(text) or f"{about}{colon}{self.id(name)}"
        return self._subject_of(text) if key == "key" else PLACE.sub(REDACTED, text)

    def _subject_of(self, text: str) -> str:
        """The key of a notice: what it is about, then the id, then perhaps a time."""
        about, colon, rest = text.partition(":")
        for name, alias in self._known.items():
            if rest == name or rest.startswith(f"{name}:"):
                return f"{about}{colon}{alias}{rest.removeprefix(name)}"
        return text


def _numbered(kind: str, ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    every = sorted(set(ids))
    width = len(str(len(every)))
    return ((name, f"{kind}_{number:0{width}}") for number, name in enumerate(every, 1))
