"""Our dataclasses survive the way to JSON and back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, cast

import pytest
from hypothesis import given, strategies as st

from edge_service.domain.model import (
    Event,
    Hold,
    Limits,
    ManualKind,
    ManualOrder,
    Mode,
    Order,
    Power,
    Settings,
    Slot,
    SlotKind,
    Stop,
    SwitchOrder,
    frozen_map,
)
from edge_service.journal.encoding import EncodingError, from_plain, to_plain

AT = datetime(2026, 7, 1, 17, 0, 0, 123456, tzinfo=UTC)
AN_ORDER = cast("Any", Order)


def through_json(plain: Any) -> Any:
    return json.loads(json.dumps(plain, allow_nan=False))


@dataclass(frozen=True, slots=True)
class Everything:
    """Each kind of field that the domain may use."""

    order: Order | None
    orders: Mapping[str, Order]
    act: Power | SwitchOrder | None
    pair: tuple[int, str]
    since: Mapping[str, datetime]
    by_mode: Mapping[Mode, float]
    by_number: Mapping[int, str]
    wait: timedelta
    names: frozenset[str]
    either: int | str
    anything: Any = None
    later: int = field(default=7)


EVERYTHING = Everything(
    order=Limits(1000, 0),
    orders=frozen_map({"b": Power(-5), "a": Hold(), "c": Stop()}),
    act=SwitchOrder.OPEN,
    pair=(1, "x"),
    since=frozen_map({"a": AT}),
    by_mode=frozen_map({Mode.PAUSED: 1.5}),
    by_number=frozen_map({3: "c"}),
    wait=timedelta(seconds=1.5),
    names=frozenset({"y", "x"}),
    either="text",
    anything={"k": [1, None]},
)


def test_every_kind_of_field_survives() -> None:
    back = from_plain(Everything, through_json(to_plain(EVERYTHING)))
    assert back == EVERYTHING
    assert isinstance(back.act, SwitchOrder)
    assert list(back.orders) == ["b", "a", "c"]


def test_maps_come_back_read_only() -> None:
    assert isinstance(from_plain(Settings, to_plain(Settings())).manual, MappingProxyType)


@pytest.mark.parametrize("order", [Power(-4200), Limits(7000, 0), Hold(), Stop()])
def test_an_order_keeps_its_kind(order: Order) -> None:
    assert from_plain(AN_ORDER, through_json(to_plain(order, AN_ORDER))) == order


@given(
    st.builds(
        Settings,
        drivers_reserve_pct=st.dictionaries(st.text(), st.floats(0, 100)).map(frozen_map),
        manual=st.dictionaries(
            st.text(),
            st.builds(
                ManualOrder,
                kind=st.sampled_from(ManualKind),
                placed_at=st.datetimes(timezones=st.just(UTC)),
                until=st.datetimes(timezones=st.just(UTC)),
                power_w=st.none() | st.integers(0, 20000),
            ),
        ).map(frozen_map),
        opted_out=st.frozensets(st.text()),
        event_floor_pct=st.dictionaries(st.text(), st.floats(allow_nan=False)).map(frozen_map),
    )
)
def test_settings_survive(settings: Settings) -> None:
    assert from_plain(Settings, through_json(to_plain(settings))) == settings


def test_an_event_survives() -> None:
    event = Event("u", "p", "Peak", AT, (Slot(AT, AT + timedelta(hours=1), SlotKind.COVER_HOUSE),), priority=1)
    assert from_plain(Event, through_json(to_plain(event))) == event


def test_a_missing_key_takes_the_default_and_an_unknown_one_is_ignored() -> None:
    assert from_plain(Settings, {"mode": "paused", "of_a_later_version": 1}) == Settings(mode=Mode.PAUSED)


@pytest.mark.parametrize(
    ("plain", "word"),
    [
        ({"mode": "sideways"}, "Settings.mode"),
        ({"stopped": "yes"}, "Settings.stopped"),
        ({"manual": {"a": {"kind": "hold"}}}, "placed_at"),
        ({"backup_reserve_pct": "much"}, "backup_reserve_pct"),
        ([], "Settings"),
    ],
)
def test_a_wrong_form_is_refused_with_the_field_named(plain: Any, word: str) -> None:
    with pytest.raises(EncodingError, match=word):
        from_plain(Settings, plain)


def test_an_unknown_member_of_a_union_is_refused() -> None:
    with pytest.raises(EncodingError, match="none of"):
        from_plain(AN_ORDER, {"$type": "Surge", "w": 1})
