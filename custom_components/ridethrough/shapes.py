"""What an edge sends, cut to what has the form that we know: what another schema, or a defect, made of it is left out.

The contract's types say what a part must have. A part that lacks a required key, or has it in another form, is gone; a
key that may be missing and has another form is left out. Nothing of Home Assistant here.
"""

from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, NotRequired, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

from . import wire

UNFIT = object()
# A number may come without its fraction, or with one.
PLAIN: Mapping[Any, tuple[type, ...]] = {str: (str,), bool: (bool,), int: (int, float), float: (int, float)}
# What stands in for a word, number or list of the site that is gone.
NOTHING: Mapping[Any, Any] = {str: "unknown", bool: False, int: 0, float: 0.0, list: [], dict: {}}


# Beyond it readers of JSON disagree about a whole number; nothing at a house is as large.
MOST_NUMBER = 2**53


class LostSite(dict[str, Any]):
    """The site of an edge that describes it in another form: nothing of it is known but perhaps its name."""


def is_known(site: Mapping[str, Any]) -> bool:
    """Whether anything may be shown of the site."""
    return not isinstance(site, LostSite)


class Fitting:
    """The parts of one whole state after another that have the contract's form. What is the very same object as before
    is not looked at again. ``lost``: what was left out of the last one."""

    def __init__(self) -> None:
        self._looked_at: dict[tuple[str, ...], tuple[Any, Any]] = {}
        self.lost: frozenset[str] = frozenset()

    def of(self, state: Mapping[str, Any]) -> wire.State:
        """The next one."""
        before, self._looked_at = self._looked_at, {}
        fitting: dict[str, Any] = {}
        for key, kind in _hints(wire.State).items():
            part = self._fitting(before, (key,), state.get(key, UNFIT), _bare(kind))
            if part is not UNFIT:
                fitting[key] = part
            elif key == "site":
                fitting[key] = _lost_site(state.get(key))
            elif not _may_lack(kind):
                fitting[key] = NOTHING[get_origin(kind)]
        self.lost = frozenset("/".join(path) for path, (_, found) in self._looked_at.items() if found is UNFIT)
        return cast("wire.State", fitting)

    def _fitting(self, before: Mapping[tuple[str, ...], Any], path: tuple[str, ...], value: Any, kind: Any) -> Any:
        if get_origin(kind) is dict and isinstance(value, dict):
            arm = get_args(kind)[1]
            found = {key: self._fitting(before, (*path, key), one, arm) for key, one in value.items()}
            return {key: one for key, one in found.items() if one is not UNFIT}
        known = before.get(path)
        looked_at = known if known is not None and known[0] is value else (value, _fitting(value, kind))
        if value is not UNFIT:
            self._looked_at[path] = looked_at
        return looked_at[1]


def has_form(message: Mapping[str, Any], shape: type) -> bool:
    """Whether a message is one of this shape; the state and the changes in it are not looked into."""
    return all(
        _is_plainly(message[key], _bare(kind)) if key in message else _may_lack(kind)
        for key, kind in _hints(shape).items()
    )


def _is_plainly(value: Any, kind: Any) -> bool:
    if kind is wire.State or get_origin(kind) is dict:
        return isinstance(value, dict)
    if get_origin(kind) is list:
        return isinstance(value, list)
    return _fitting(value, kind) is not UNFIT


def _lost_site(site: Any) -> LostSite:
    name = site.get("name") if isinstance(site, dict) else None
    stand_in = {key: _nothing(kind) for key, kind in _hints(wire.SiteWire).items() if not _may_lack(kind)}
    return LostSite(stand_in | {"name": name if isinstance(name, str) else ""})


def _nothing(kind: Any) -> Any:
    return None if _is_union(kind) else NOTHING[get_origin(kind) or kind]


@cache
def _hints(shape: Any) -> Mapping[str, Any]:
    return get_type_hints(shape, include_extras=True)


def _may_lack(kind: Any) -> bool:
    return get_origin(kind) is NotRequired


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if _may_lack(kind) else kind


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)


def _fitting(value: Any, kind: Any) -> Any:
    """The value as far as it fits; UNFIT when it does not."""
    if (plain := PLAIN.get(kind)) is not None:
        right = isinstance(value, plain) and (kind is bool or not isinstance(value, bool))
        # What is no number, or without end, is not less than anything.
        return value if right and (isinstance(value, str) or abs(value) <= MOST_NUMBER) else UNFIT
    if kind is Any:
        return value
    if kind is NoneType:
        return None if value is None else UNFIT
    form, inner = _taken_apart(kind)
    if form is Union:
        return next((found for arm in inner if (found := _fitting(value, arm)) is not UNFIT), UNFIT)
    if form is list:
        return _fitting_list(value, inner[0])
    return _fitting_dict(value, inner[1]) if form is dict else _fitting_part(value, kind)


@cache
def _taken_apart(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """What a kind is made of: ``Union``, ``list``, ``dict`` or itself, and the kinds in it."""
    form = Union if _is_union(kind) else get_origin(kind)
    return form, get_args(kind)


def _fitting_part(part: Any, shape: Any) -> Any:
    if not isinstance(part, dict):
        return UNFIT
    fitting = dict(part)
    for key, kind, may_lack in _keys(shape):
        found = _fitting(part[key], kind) if key in part else UNFIT
        if found is not UNFIT:
            fitting[key] = found
        elif not may_lack:
            return UNFIT
        else:
            fitting.pop(key, None)
    return fitting


@cache
def _keys(shape: Any) -> tuple[tuple[str, Any, bool], ...]:
    """The keys of a shape, the kind of each, and whether it may be missing."""
    return tuple((key, _bare(kind), _may_lack(kind)) for key, kind in _hints(shape).items())


def _fitting_list(values: Any, kind: Any) -> Any:
    """Parts that do not fit are left out; of words and numbers all must fit."""
    if not isinstance(values, list):
        return UNFIT
    found = [_fitting(value, kind) for value in values]
    if any(one is UNFIT for one in found) and not is_typeddict(kind):
        return UNFIT
    return [one for one in found if one is not UNFIT]


def _fitting_dict(values: Any, kind: Any) -> Any:
    if not isinstance(values, dict):
        return UNFIT
    found = {key: _fitting(value, kind) for key, value in values.items()}
    if not is_typeddict(kind) and any(one is UNFIT for one in found.values()):
        return UNFIT
    return {key: one for key, one in found.items() if one is not UNFIT}
