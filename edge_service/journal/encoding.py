"""Between our dataclasses and what JSON can hold, driven by the type hints of the dataclasses.

A class may gain fields with defaults without breaking what is on disk: a missing key takes the default, an unknown
key is ignored. Where a hint is a union of several classes (``Order``), the plain form carries the class's name as
``$type``.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeAliasType, Union, get_args, get_origin, get_type_hints

from edge_service.domain.model import frozen_map

TAG = "$type"
_PLAIN = (bool, int, float, str, NoneType)


class EncodingError(ValueError):
    """A value has no plain form, or a plain form does not fit the type; the message names the field."""


@dataclass(frozen=True, slots=True)
class _Codec:
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


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


@cache
def _codec(kind: Any) -> _Codec:
    if isinstance(kind, TypeAliasType):
        return _codec(kind.__value__)
    if kind is Any or kind is object:
        return _Codec(_encode_by_value, _same)
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

    return _Codec(encode, decode)


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
    return _Codec(
        lambda values: [item.encode(value) for value in values],
        lambda plain: build(item.decode(value) for value in plain),
    )


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
        return _Codec(
            lambda values: {key.encode(name): item.encode(value) for name, value in values.items()},
            lambda plain: build({key.decode(name): item.decode(value) for name, value in plain.items()}),
        )
    return _Codec(
        lambda values: [[key.encode(name), item.encode(value)] for name, value in values.items()],
        lambda plain: build({key.decode(name): item.decode(value) for name, value in plain}),
    )


def _union(args: tuple[Any, ...]) -> _Codec:
    kinds = [arg for arg in args if arg is not NoneType]
    if len(kinds) == 1:
        return _optional(_codec(kinds[0]))
    if all(kind in _PLAIN for kind in kinds):
        return _Codec(_encode_by_value, _same)
    return _optional(_tagged({kind.__name__: kind for kind in kinds}))


def _optional(codec: _Codec) -> _Codec:
    return _Codec(
        lambda value: None if value is None else codec.encode(value),
        lambda plain: None if plain is None else codec.decode(plain),
    )


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

    return _Codec(encode, decode)
