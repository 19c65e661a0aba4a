"""Between our dataclasses and what JSON can hold, driven by the type hints of the dataclasses.

A class may gain fields with defaults without breaking what is on disk: a missing key takes the default, an unknown
key is ignored. Where a hint is a union of several classes (``Order``), the plain form carries the class's name as
``$type``.

``changes`` and ``patched`` do the same for what differs between two values, and touch nothing else: what is the same
object needs no look, so that a recorded cycle costs microseconds.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache, partial
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Literal, TypeAliasType, Union, get_args, get_origin, get_type_hints

from edge_service.domain.model import frozen_map

TAG = "$type"
_PLAIN = (bool, int, float, str, NoneType)

# Where in a plain tree: keys of dicts and places in lists, from the root.
type Path = tuple[str | int, ...]
type Change = tuple[Path, Any]


class EncodingError(ValueError):
    """A value has no plain form, or a plain form does not fit the type; the message names the field."""


@dataclass(frozen=True, slots=True)
class _New:
    """A plain value that takes the place of what was there."""

    plain: Any


type _Patches = Mapping[str | int, Any]


@dataclass(frozen=True, slots=True)
class _Codec:
    """``compare(old, new, path, found)`` adds what changed within a value, ``patch`` makes such changes in one.

    Both are None where a value is only replaced whole.
    """

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]
    compare: Callable[[Any, Any, Path, list[Change]], None] | None = None
    patch: Callable[[Any, _Patches], Any] | None = None

    def note(self, old: Any, new: Any, path: Path, found: list[Change]) -> None:
        """Add what changed between two values that are not the same object."""
        if self.compare is not None:
            self.compare(old, new, path, found)
        elif _differ(old, new):
            found.append((path, self.encode(new)))

    def changed(self, value: Any, patches: Any) -> Any:
        """``value`` with a new value or patches within it."""
        if type(patches) is _New:
            return self.decode(patches.plain)
        if self.patch is None:
            raise EncodingError(f"{value!r} has nothing inside it to change")
        return self.patch(value, patches)


def _differ(old: Any, new: Any) -> bool:
    return type(old) is not type(new) or old != new  # 1, 1.0 and True are equal, and not the same


def to_plain(value: Any, kind: Any = Any) -> Any:
    """``value`` as dicts, lists, strings, numbers and None. Give ``kind`` when a union itself is stored."""
    return _codec(kind).encode(value)


def from_plain[T](kind: type[T], plain: Any) -> T:
    """The inverse of ``to_plain``. Mappings come back read-only. Raises ``EncodingError``."""
    hint: Any = kind
    try:
        decoded: T = _codec(hint).decode(plain)
    except EncodingError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise EncodingError(f"not a {kind}: {error}") from error
    return decoded


def changes[T](kind: type[T], old: T, new: T) -> list[Change]:
    """What turns the plain form of ``old`` into that of ``new``: paths and their new plain values."""
    hint: Any = kind
    found: list[Change] = []
    if old is not new:
        _codec(hint).note(old, new, (), found)
    return found


def patched[T](kind: type[T], value: T, made: Iterable[tuple[Sequence[str | int], Any]]) -> T:
    """``value`` with ``changes`` made; what did not change is the same object. Raises ``EncodingError``."""
    hint: Any = kind
    patches: Any = {}
    for path, plain in made:
        if not path:
            patches = _New(plain)
            continue
        node = patches
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = _New(plain)
    try:
        result: T = _codec(hint).changed(value, patches) if patches else value
    except EncodingError:
        raise
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise EncodingError(f"a change does not fit {kind}: {error}") from error
    return result


@cache
def _codec(kind: Any) -> _Codec:
    if isinstance(kind, TypeAliasType):
        return _codec(kind.__value__)
    if kind is Any or kind is object:
        return _Codec(_encode_by_value, _same, _compare_plain)
    origin = get_origin(kind)
    if origin is not None:
        return _generic(kind, origin, get_args(kind))
    return _concrete(kind)


def _same(value: Any) -> Any:
    return value


def _encode_by_value(value: Any) -> Any:
    if isinstance(value, Enum) or type(value) in _PLAIN:
        return _concrete(type(value)).encode(value)
    if isinstance(value, Mapping):
        return {str(key): _encode_by_value(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted((_encode_by_value(item) for item in value), key=str)
    if isinstance(value, Sequence):
        return [_encode_by_value(item) for item in value]
    return _concrete(type(value)).encode(value)


def _compare_plain(old: Any, new: Any, path: Path, found: list[Change]) -> None:
    """Anything at all: its plain forms are compared, with 1, 1.0 and True held apart inside them too."""
    before, after = _encode_by_value(old), _encode_by_value(new)
    if repr(before) != repr(after):
        found.append((path, after))


# ------------------------------------------------------------------------------------------------------ plain classes


def _concrete(kind: Any) -> _Codec:
    if is_dataclass(kind) and isinstance(kind, type):
        return _dataclass_codec(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _Codec(lambda member: member.value, kind)
    if kind is float:
        return _Codec(_encode_float, _decode_float)
    if kind in _PLAIN or kind is None:
        return _checked(kind or NoneType)
    if kind is datetime:
        return _Codec(datetime.isoformat, datetime.fromisoformat)
    if kind is timedelta:
        return _Codec(timedelta.total_seconds, lambda seconds: timedelta(seconds=seconds))
    raise EncodingError(f"no plain form for {kind}")


def _checked(kind: type) -> _Codec:
    # A float that slipped into a whole number's place must not make a recording unreadable.
    allowed = (int, float) if kind is int else (kind,)

    def decode(plain: Any) -> Any:
        if type(plain) not in allowed:
            raise EncodingError(f"{plain!r} is not {kind.__name__}")
        return plain

    return _Codec(_same, decode)


def _encode_float(value: float) -> float | str:
    """JSON has no word for infinity or not-a-number; they travel as text."""
    return value if math.isfinite(value) else str(value)


def _decode_float(plain: Any) -> float:
    if type(plain) in (int, float):
        return plain  # type: ignore[no-any-return]  # an int written into a float field stays what it was
    if plain in ("inf", "-inf", "nan"):
        return float(plain)
    raise EncodingError(f"{plain!r} is not a number")


@cache
def _fields_of(kind: Any) -> tuple[tuple[str, _Codec, Field[Any]], ...]:
    hints = get_type_hints(kind)
    return tuple((field.name, _codec(hints[field.name]), field) for field in fields(kind) if field.init)


def _dataclass_codec(kind: Any) -> _Codec:
    def encode(value: Any) -> dict[str, Any]:
        return {name: codec.encode(getattr(value, name)) for name, codec, _ in _fields_of(kind)}

    def decode(plain: Any) -> Any:
        if not isinstance(plain, Mapping):
            raise EncodingError(f"{kind.__name__} from {type(plain).__name__}")
        return kind(
            **{
                name: _decode_field(kind, name, codec, plain[name])
                for name, codec, field in _fields_of(kind)
                if name in plain or _required(kind, field)
            }
        )

    return _Codec(encode, decode, partial(_compare_fields, kind), partial(_patch_fields, kind))


@dataclass(frozen=True, slots=True)
class _Columns:
    """The fields of a class side by side; ``read`` gets all of them at once."""

    read: Callable[[Any], Sequence[Any]]
    names: tuple[str, ...]
    codecs: tuple[_Codec, ...]


@cache
def _columns_of(kind: Any) -> _Columns:
    names = tuple(name for name, _, _ in _fields_of(kind))
    codecs = tuple(codec for _, codec, _ in _fields_of(kind))
    read = attrgetter(*names) if len(names) > 1 else lambda value: tuple(getattr(value, name) for name in names)
    return _Columns(read, names, codecs)


def _compare_fields(kind: Any, old: Any, new: Any, path: Path, found: list[Change]) -> None:
    columns = _columns_of(kind)
    read = columns.read
    for before, after, name, codec in zip(read(old), read(new), columns.names, columns.codecs, strict=True):
        if before is after:
            continue
        if codec.compare is not None:
            codec.compare(before, after, (*path, name), found)
        elif type(before) is not type(after) or before != after:
            found.append(((*path, name), codec.encode(after)))


def _patch_fields(kind: Any, value: Any, patches: _Patches) -> Any:
    """Changes of fields that this version does not know are passed over, as in ``decode``."""
    columns = _columns_of(kind)
    values = dict(zip(columns.names, columns.read(value), strict=True))
    for name, codec in zip(columns.names, columns.codecs, strict=True):
        if name in patches:
            values[name] = codec.changed(values[name], patches[name])
    return kind(**values)


def _required(kind: Any, field: Field[Any]) -> bool:
    """False where a default stands in. Raises ``EncodingError`` for a key that must be there and is not."""
    if field.default is MISSING and field.default_factory is MISSING:
        raise EncodingError(f"{kind.__name__} without {field.name}")
    return False


def _decode_field(kind: Any, name: str, codec: _Codec, plain: Any) -> Any:
    try:
        return codec.decode(plain)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise EncodingError(f"{kind.__name__}.{name}: {error}") from error


# ------------------------------------------------------------------------------------------------- generics and unions


def _generic(kind: Any, origin: Any, args: tuple[Any, ...]) -> _Codec:
    if origin in (Union, UnionType):
        return _union(args)
    if origin is Literal:
        return _Codec(_same, _same)
    if origin is tuple:
        return _tuple(args)
    if origin in (frozenset, set):
        return _set(origin, _codec(args[0]))
    if issubclass(origin, Mapping):
        return _mapping(args[0], _codec(args[1]), dict if origin is dict else frozen_map)
    if issubclass(origin, Sequence):
        return _sequence(_codec(args[0]), list if origin is list else tuple)
    raise EncodingError(f"no plain form for {kind}")


def _sequence(item: _Codec, build: Callable[[Any], Any]) -> _Codec:
    def encode(values: Any) -> list[Any]:
        return [item.encode(value) for value in values]

    def compare(old: Any, new: Any, path: Path, found: list[Change]) -> None:
        if len(old) != len(new):
            found.append((path, encode(new)))
            return
        for place, (before, after) in enumerate(zip(old, new, strict=True)):
            if before is not after:
                item.note(before, after, (*path, place), found)

    def patch(values: Any, patches: _Patches) -> Any:
        changed = list(values)
        for place, change in patches.items():
            changed[int(place)] = item.changed(changed[int(place)], change)
        return build(changed)

    return _Codec(encode, lambda plain: build(item.decode(value) for value in plain), compare, patch)


def _tuple(args: tuple[Any, ...]) -> _Codec:
    if len(args) == 2 and args[1] is Ellipsis:
        return _sequence(_codec(args[0]), tuple)
    items = [_codec(arg) for arg in args]
    return _Codec(
        lambda values: [item.encode(value) for item, value in zip(items, values, strict=True)],
        lambda plain: tuple(item.decode(value) for item, value in zip(items, plain, strict=True)),
    )


def _set(build: Callable[[Any], Any], item: _Codec) -> _Codec:
    return _Codec(
        lambda values: sorted((item.encode(value) for value in values), key=str),
        lambda plain: build(item.decode(value) for value in plain),
    )


def _mapping(key_kind: Any, item: _Codec, build: Callable[[Any], Any]) -> _Codec:
    """A dict where the keys are text; else a list of pairs."""
    key = _codec(key_kind)
    if isinstance(key_kind, type) and issubclass(key_kind, str):
        return _dict(key, item, build)
    return _Codec(
        lambda values: [[key.encode(name), item.encode(value)] for name, value in values.items()],
        lambda plain: build({key.decode(name): item.decode(value) for name, value in plain}),
    )


def _dict(key: _Codec, item: _Codec, build: Callable[[Any], Any]) -> _Codec:
    def encode(values: Any) -> dict[str, Any]:
        return {key.encode(name): item.encode(value) for name, value in values.items()}

    def compare(old: Any, new: Any, path: Path, found: list[Change]) -> None:
        if list(old) != list(new):
            found.append((path, encode(new)))
            return
        for name, after in new.items():
            before = old[name]
            if before is not after:
                item.note(before, after, (*path, key.encode(name)), found)

    def patch(values: Any, patches: _Patches) -> Any:
        names = {name: key.decode(name) for name in patches}
        made = {names[name]: item.changed(values[names[name]], change) for name, change in patches.items()}
        return build({**values, **made})

    return _Codec(
        encode, lambda plain: build({key.decode(k): item.decode(v) for k, v in plain.items()}), compare, patch
    )


def _union(args: tuple[Any, ...]) -> _Codec:
    kinds = [arg for arg in args if arg is not NoneType]
    if len(kinds) == 1:
        return _optional(_codec(kinds[0]))
    if all(kind in _PLAIN for kind in kinds):
        return _Codec(_encode_by_value, _same)
    return _optional(_tagged({kind.__name__: kind for kind in kinds}))


def _optional(codec: _Codec) -> _Codec:
    within = codec.compare

    def encode(value: Any) -> Any:
        return None if value is None else codec.encode(value)

    def decode(plain: Any) -> Any:
        return None if plain is None else codec.decode(plain)

    if within is None:
        return _Codec(encode, decode)

    def compare(old: Any, new: Any, path: Path, found: list[Change]) -> None:
        if old is None or new is None:
            found.append((path, encode(new)))
        else:
            within(old, new, path, found)

    return _Codec(encode, decode, compare, codec.patch)


def _tagged(kinds: dict[str, Any]) -> _Codec:
    def encode(value: Any) -> dict[str, Any]:
        name = type(value).__name__
        if name not in kinds:
            raise EncodingError(f"{name} is none of {', '.join(kinds)}")
        plain = _codec(kinds[name]).encode(value)
        return {TAG: name, **plain} if isinstance(plain, dict) else {TAG: name, "value": plain}

    def decode(plain: Any) -> Any:
        if not isinstance(plain, Mapping) or plain.get(TAG) not in kinds:
            raise EncodingError(f"{plain!r} is none of {', '.join(kinds)}")
        kind = kinds[plain[TAG]]
        return _codec(kind).decode(plain if is_dataclass(kind) else plain["value"])

    def compare(old: Any, new: Any, path: Path, found: list[Change]) -> None:
        kind: Any = type(new)
        if type(old) is kind and is_dataclass(kind):
            _codec(kind).note(old, new, path, found)
        elif _differ(old, new):
            found.append((path, encode(new)))

    def patch(value: Any, patches: _Patches) -> Any:
        kind: Any = type(value)
        return _codec(kind).changed(value, patches)

    return _Codec(encode, decode, compare, patch)
