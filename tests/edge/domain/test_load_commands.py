"""What people may ask of load groups, and what is refused with what would be allowed."""

from collections.abc import Mapping
from typing import Any

import pytest

from edge_service.domain.asked import Asked, CommandRefusedError
from edge_service.domain.commands import carry_out
from edge_service.domain.memory import LoadMemory, LoadsMemory, Memory
from edge_service.domain.model import LoadGroup, LoadOrder, Settings, SiteFacts, Tier, frozen_map
from edge_service.journal.encoding import from_plain, to_plain
from tests.edge.domain.houses import a_site, after

OVEN: dict[str, Any] = {
    "id": "oven",
    "name": "Oven",
    "tier": "nice_to_have",
    "power_w": 4000,
    "legs": [2, 1],
    "shed_below_pct": 60,
}
ZONE, EVENING = "America/New_York", (("17:00", "21:00"),)


def ask(
    command: str,
    args: Mapping[str, Any],
    settings: Settings | None = None,
    memory: Memory | None = None,
    facts: SiteFacts | None = None,
) -> Settings:
    return carry_out(command, Asked(args, settings or Settings(), facts or a_site(), memory or Memory(), after(0)))


def refused(command: str, args: Mapping[str, Any], **others: Any) -> CommandRefusedError:
    with pytest.raises(CommandRefusedError) as caught:
        ask(command, args, **others)
    return caught.value


def test_a_group_is_made_changed_and_removed() -> None:
    settings = ask("set_load_group", OVEN)
    assert settings.load_groups["oven"] == LoadGroup("oven", "Oven", Tier.NICE_TO_HAVE, 4000, (1, 2), 60)
    settings = ask("set_load_group", {"id": "oven", "tier": "non_essential"}, settings)
    assert settings.load_groups["oven"] == LoadGroup("oven", "oven", Tier.NON_ESSENTIAL)
    assert ask("remove_load_group", {"id": "oven"}, settings).load_groups == {}


def test_what_somebodys_health_depends_on_is_a_must_have_and_shed_with_a_confirmation_only() -> None:
    settings = ask("set_load_group", {"id": "bed", "tier": "non_essential", "medical": True})
    assert settings.load_groups["bed"].tier is Tier.MUST_HAVE
    assert refused("set_load", {"group": "bed", "order": "shed"}, settings=settings).code == "medical_confirm_needed"
    settings = ask("set_load", {"group": "bed", "order": "shed", "confirm": True}, settings)
    assert settings.loads_by_hand == {"bed": LoadOrder.SHED}


@pytest.mark.parametrize(
    ("changes", "argument"),
    [
        ({"id": "Oven!"}, "id"),
        ({"id": "site"}, "id"),
        ({"id": "car"}, "id"),
        ({"tier": "nice"}, "tier"),
        ({"power_w": -1}, "power_w"),
        ({"legs": [3]}, "legs"),
        ({"legs": [1, 1]}, "legs"),
        ({"legs": 1}, "legs"),
        ({"legs": [True]}, "legs"),
        ({"shed_below_pct": 101}, "shed_below_pct"),
        ({"medical": "yes"}, "medical"),
        ({"name": ""}, "name"),
        ({"hours": "17:00-21:00"}, "hours"),
        ({"hours": [["17:00"]]}, "hours"),
        ({"hours": [["17:00", "17:00"]]}, "hours"),
        ({"hours": [["17:00", "24:00"]]}, "hours"),
        ({"hours": [["5 pm", "9 pm"]]}, "hours"),
        ({"hours": [[17, 21]]}, "hours"),
        ({"hours": [["01:00", "02:00"]] * 5}, "hours"),
        ({"hours": [["17:00", "21:00"]], "tier": "must_have"}, "hours"),
        ({"hours": [["17:00", "21:00"]], "medical": True}, "hours"),
    ],
)
def test_a_wrong_argument_is_named(changes: dict[str, Any], argument: str) -> None:
    facts = a_site(leg_max_w=(12000, 12000), time_zone=ZONE)
    refusal = refused("set_load_group", OVEN | changes, facts=facts)
    assert (refusal.code, refusal.data["argument"]) == ("bad_argument", argument)


def test_hours_are_kept_as_given_and_need_a_time_zone() -> None:
    spans = [["06:00", "09:00"], ["22:00", "02:30"]]
    assert refused("set_load_group", OVEN | {"hours": spans}).code == "time_zone_needed"
    settings = ask("set_load_group", OVEN | {"hours": spans}, facts=a_site(time_zone=ZONE))
    assert settings.load_groups["oven"].hours == (("06:00", "09:00"), ("22:00", "02:30"))
    assert from_plain(Settings, to_plain(settings)) == settings


@pytest.mark.parametrize("none", [[], None])
def test_hours_are_taken_away_by_saying_so_and_at_any_site(none: Any) -> None:
    settings = Settings(load_groups=frozen_map({"oven": LoadGroup("oven", "Oven", hours=EVENING)}))
    assert ask("set_load_group", OVEN | {"hours": none}, settings).load_groups["oven"].hours == ()


def test_an_older_client_that_says_nothing_of_hours_leaves_them_as_they_are() -> None:
    settings = Settings(load_groups=frozen_map({"oven": LoadGroup("oven", "Oven", hours=EVENING)}))
    assert ask("set_load_group", OVEN, settings).load_groups["oven"].hours == EVENING
    assert ask("set_load_group", OVEN | {"tier": "must_have"}, settings).load_groups["oven"].hours == ()
    facts = a_site(relays=frozen_map({"oven": LoadGroup("oven", "Oven", hours=EVENING)}))
    assert ask("set_load_group", OVEN, facts=facts).load_groups["oven"].hours == EVENING


def test_a_group_that_is_shed_is_put_back_before_it_is_removed() -> None:
    settings = ask("set_load_group", OVEN)
    shed = Memory(loads=LoadsMemory(frozen_map({"oven": LoadMemory(LoadOrder.SHED, after(0), "overload")})))
    assert refused("remove_load_group", {"id": "oven"}, settings=settings, memory=shed).code == "load_is_shed"


def test_the_group_of_a_relay_is_changed_by_command_and_taken_back_to_what_the_file_says() -> None:
    facts = a_site(relays=frozen_map({"pump": LoadGroup("pump", "Pump", Tier.NON_ESSENTIAL)}))
    settings = ask("set_load_group", {"id": "pump", "name": "Pump", "tier": "must_have"}, facts=facts)
    assert settings.load_groups["pump"].tier is Tier.MUST_HAVE
    assert ask("remove_load_group", {"id": "pump"}, settings, facts=facts).load_groups == {}
    assert refused("remove_load_group", {"id": "pump"}, facts=facts).code == "unknown_load"


def test_a_word_by_hand_is_dated_and_taken_back_with_auto() -> None:
    settings = ask("set_load_group", OVEN)
    settings = ask("set_load", {"group": "oven", "order": "on"}, settings)
    assert settings.loads_by_hand == {"oven": LoadOrder.ON}
    assert settings.loads_by_hand_at == {"oven": after(0)}
    assert from_plain(Settings, to_plain(settings)) == settings
    settings = ask("set_load", {"group": "oven", "order": "auto"}, settings)
    assert settings.loads_by_hand == settings.loads_by_hand_at == {}


def test_an_unknown_group_or_order_is_refused() -> None:
    assert refused("set_load", {"group": "oven", "order": "on"}).code == "unknown_load"
    settings = ask("set_load_group", OVEN)
    assert refused("set_load", {"group": "oven", "order": "off"}, settings=settings).data["argument"] == "order"


def test_no_more_groups_than_a_panel_has_breakers() -> None:
    groups = {f"g{number}": LoadGroup(f"g{number}", "G") for number in range(64)}
    settings = Settings(load_groups=frozen_map(groups))
    assert refused("set_load_group", OVEN, settings=settings).code == "too_many_load_groups"
    assert len(ask("set_load_group", {"id": "g7", "tier": "must_have"}, settings).load_groups) == 64
