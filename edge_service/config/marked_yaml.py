"""YAML as plain data in which every value knows its line and how it was written.

Only mappings, lists and plain scalars, from PyYAML's safe node level: no tags, no merge keys, nothing is executed.
Keys are always text. Numbers are decimal; ``010`` or ``1:30``, which YAML 1.1 turns into 8 and 90, stay text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

type KeyPath = tuple[str | int, ...]

# A site with 300 chargers is about 80 kilobytes and 4,000 nodes; aliases count each time they are used, so that a
# few lines cannot unfold into gigabytes.
MAX_BYTES = 256_000
MAX_NODES = 20_000
MAX_DEPTH = 12

_TRUE = frozenset({"true", "yes", "on"})
_FALSE = frozenset({"false", "no", "off"})
_NULL = frozenset({"", "~", "null"})
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FRACTION = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{0,18}")
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp"))


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that is wrong with the YAML itself. ``line`` counts from 1."""

    line: int
    path: KeyPath
    text: str


@dataclass(slots=True)
class MarkedYaml:
    """A document: its plain ``value``, the line of each key path, its scalars as written, and what is wrong with it."""

    value: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    written: dict[KeyPath, str] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)
    nodes: int = 0

    def line(self, path: KeyPath) -> int:
        """The line of this key, or of the nearest section above it that exists."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(text: str) -> MarkedYaml:
    """Read one YAML document. Never raises: what is wrong stands in ``flaws``."""
    document = MarkedYaml()
    try:
        root = _compose(text)
    except _UnreadableError as error:
        document.flaws.append(error.flaw)
        return document
    if root is not None:
        document.value = _plain(document, root, ())
    return document


class _UnreadableError(Exception):
    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.flaw = Flaw(line, (), text)


def _compose(text: str) -> yaml.Node | None:
    if len(text) > MAX_BYTES:
        raise _UnreadableError(1, f"the file has {len(text)} characters; allowed are {MAX_BYTES}")
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        raise _UnreadableError(mark.line + 1 if mark else 1, f"this is not YAML: {said}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML lets bare ValueErrors of impossible escapes and directives through.
        raise _UnreadableError(1, "this is not YAML: a character or an escape is not possible") from error
    except RecursionError as error:
        raise _UnreadableError(1, f"sections are nested too deeply; allowed are {MAX_DEPTH} levels") from error


def _plain(document: MarkedYaml, node: yaml.Node, path: KeyPath) -> Any:
    document.lines.setdefault(path, node.start_mark.line + 1)
    document.nodes += 1
    if len(path) > MAX_DEPTH or document.nodes > MAX_NODES:
        if document.nodes <= MAX_NODES + 1:
            document.flaws.append(Flaw(node.start_mark.line + 1, path[:3], _too_much(path)))
            document.nodes = MAX_NODES + 1
        return None
    if isinstance(node, yaml.MappingNode):
        return {key: _plain(document, value, (*path, key)) for key, value in _entries(document, node, path)}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(document, value, (*path, number)) for number, value in enumerate(node.value)]
    return _scalar(document, node, path)


def _too_much(path: KeyPath) -> str:
    if len(path) > MAX_DEPTH:
        return f"sections are nested too deeply; allowed are {MAX_DEPTH} levels"
    return f"too many values, aliases counted; allowed are {MAX_NODES}"


def _entries(document: MarkedYaml, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, yaml.Node]]:
    for key_node, value in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            document.flaws.append(Flaw(line, path, "a key must be a word, not a list or a section"))
        elif key_node.tag == "tag:yaml.org,2002:merge":
            document.flaws.append(Flaw(line, (*path, "<<"), "merge keys are not supported; write the keys out"))
        elif first := document.lines.get((*path, key_node.value)):
            says = f"this key stands here a second time, first in line {first}; allowed: once"
            document.flaws.append(Flaw(line, (*path, key_node.value), says))
        else:
            document.lines[*path, key_node.value] = line
            yield key_node.value, value


def _scalar(document: MarkedYaml, node: yaml.Node, path: KeyPath) -> bool | int | float | str | None:
    written = str(node.value)
    document.written[path] = written
    if node.tag not in _PLAIN_TAGS:
        says = f"found the tag {node.tag}; allowed: a plain value without a tag"
        document.flaws.append(Flaw(node.start_mark.line + 1, path, says))
        return None
    return written if getattr(node, "style", None) else _resolved(written)


def _resolved(written: str) -> bool | int | float | str | None:
    if written in _NULL:
        return None
    if (word := written.lower()) in _TRUE | _FALSE:
        return word in _TRUE
    if _WHOLE.fullmatch(written):
        return int(written)
    if _FRACTION.fullmatch(written):
        return float(written)
    return written
