"""Programs of a running edge: which it takes, and what people hear when a utility refuses its credentials."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_service.api.pairing import Role
from edge_service.app import opened
from edge_service.domain.asked import CommandRefusedError
from edge_service.domain.model import CapacityLimit, Slot
from edge_service.domain.program import Direction
from edge_service.simulation.site import SimulatedSite
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions
from tests.edge.domain.houses import after, an_event
from tests.edge.edge_kit import QUICK_SITE, RunningEdge, a_house, config_of, running


def an_entry(utility: SimulatedUtility, **changes: Any) -> dict[str, Any]:
    """A program of the simulated utility, with credentials that it knows."""
    plain = {"kind": "openadr3", "name": "Peak power", "url": utility.base_url, "poll_s": 1.0}
    return plain | {"client_id": "ven-client", "client_secret": "ven-secret"} | changes


def standing(state: Any) -> dict[str, Any]:
    """The notices that stand, by kind."""
    return {notice["kind"]: notice for notice in state["notices"]}


async def refusal(edge: RunningEdge, role: Role = Role.LOCAL, **args: Any) -> str:
    """The code with which a program is refused."""
    with pytest.raises(CommandRefusedError) as refused:
        await edge.edge.execute("set_program", args, command_id="test", deadline=after(0), role=role)
    return refused.value.code


async def test_a_program_that_cannot_be_is_refused_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, a_house(tmp_path) as (_, edge):
        entry = an_entry(utility)
        for name in ("manual", "hand", "driveway", "site", "Peak", "peak power", "", "p" * 33, "peak-1", "spitz€"):
            assert await refusal(edge, id=name, program=entry) == "bad_argument", name
        assert await refusal(edge, program=entry) == "bad_argument"
        for wrong in ({"kind": "openadr9"}, {"url": ""}, {"poll_s": "often"}, {"scope": "town"}, {"season_events": -1}):
            assert await refusal(edge, id="peak", program=entry | wrong) == "bad_argument", wrong
        by_hand = {"kind": "manual", "name": "By letter"}
        for wrong in ({"scope": "town"}, {"pay_usd_per_kw": "much"}, {"season_events": "some"}):
            assert await refusal(edge, id="letter", program=by_hand | wrong) == "bad_argument", wrong
        assert await refusal(edge, Role.READ, id="peak", program=entry) == "not_permitted"
        assert await edge.edge.journal.load_document("programs") is None
        assert set(edge.edge.programs) == set(edge.edge.runner.facts.programs) == {"manual"}
        assert utility.requests == type(utility.requests)()


async def test_refused_credentials_are_a_notice_until_the_utility_lets_us_in(tmp_path: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, a_house(tmp_path) as (_, edge):
        await edge.command("set_program", id="peak", program=an_entry(utility, client_secret="wrong"))
        state = await edge.until(lambda state: "credentials_refused" in standing(state))
        notice = standing(state)["credentials_refused"]
        assert (notice["level"], notice["data"]) == ("warning", {"program": "Peak power"})
        assert state["programs"]["peak"]["connected"] is False
        await edge.command("set_program", id="peak", program=an_entry(utility))
        state = await edge.until(lambda state: "credentials_refused" not in standing(state))
        await edge.until(lambda state: state["programs"]["peak"]["connected"])
        kept = await edge.edge.journal.standing_notices()
        assert not [notice for notice in kept if notice.kind == "credentials_refused"]


async def test_a_removed_program_takes_its_events_and_its_notice_with_it(tmp_path: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, a_house(tmp_path) as (_, edge):
        await edge.command("set_program", id="peak", program=an_entry(utility))
        utility.dispatch.call_event(start_in_s=0, duration_s=600, power_kw=3)
        await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -3000)
        await edge.command("set_program", id="peak", program=an_entry(utility, client_secret="wrong"))
        await edge.until(lambda state: "credentials_refused" in standing(state))
        await edge.command("remove_program", id="peak")
        await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == 0)
        await edge.until(lambda state: "credentials_refused" not in standing(state))
        assert await edge.edge.journal.load_events() == ()


async def test_refused_credentials_are_forgiven_also_when_the_edge_was_restarted_meanwhile(tmp_path: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        async with running(config) as edge:
            await edge.command("set_program", id="peak", program=an_entry(utility, client_secret="wrong"))
            await edge.until(lambda state: "credentials_refused" in standing(state))
            await edge.edge.journal.save_document("programs", {"programs": {"peak": an_entry(utility)}})
        async with running(config) as edge:
            await edge.until(lambda state: state["programs"]["peak"]["connected"])
            await edge.until(lambda state: "credentials_refused" not in standing(state))


async def test_the_version_of_a_server_is_shown_and_what_it_pushes_is_served_long_before_the_next_poll(
    tmp_path: Path,
) -> None:
    async with SimulatedUtility(UtilityOptions(mqtt="own")) as utility, a_house(tmp_path) as (_, edge):
        assert utility.push is not None
        assert utility.push.broker is not None
        broker = utility.push.broker
        await edge.command("set_program", id="peak", program=an_entry(utility, poll_s=3600.0))
        state = await edge.until(lambda state: state["programs"]["peak"]["connected"])
        assert state["programs"]["peak"]["version"] == "3.1"
        await edge.until(lambda _: broker.subscriptions)
        utility.dispatch.call_event(start_in_s=0, duration_s=600, power_kw=3)
        await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == -3000)


async def test_what_a_program_said_that_is_followed_no_more_does_not_come_back_with_a_restart(tmp_path: Path) -> None:
    """As a crash leaves it between the end of a program and of its words."""
    begins = datetime.now(UTC)
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        async with running(config) as edge:
            await edge.command("set_program", id="peak", program=an_entry(utility))
            events = [an_event(f"{name}:1", 0, 0, program=name) for name in ("peak", "gone", "manual")]
            slot = Slot(begins, begins + timedelta(hours=1), power_w=-1000)
            await edge.edge.journal.save_events([replace(event, slots=(slot,)) for event in events])
            limits = [CapacityLimit(name, name, Direction.IMPORT, 1000, begins) for name in ("peak", "gone")]
            await edge.edge.journal.save_limits(limits)
        async with opened(config) as later:
            assert {event.program_id for event in later.intake.events()} == {"peak", "manual"}
            assert {limit.program_id for limit in later.intake.limits()} == {"peak"}


# ---------------------------------------------------------------------------------------- by a paired Home Assistant


async def refused(edge: RunningEdge, role: Role = Role.CONTROL, **args: Any) -> dict[str, Any]:
    """With which data a program is refused."""
    with pytest.raises(CommandRefusedError) as error:
        await edge.edge.execute("set_program", args, command_id="test", deadline=after(0), role=role)
    assert "ven-secret" not in f"{error.value}{error.value.data}"
    return error.value.data


async def asked(edge: RunningEdge, name: str, role: Role = Role.CONTROL, **args: Any) -> Any:
    return await edge.edge.execute(name, args, command_id="test", deadline=after(0), role=role)


async def test_a_paired_home_assistant_sets_lists_tries_and_removes_a_program_and_sees_no_secret(
    tmp_path: Path,
) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, a_house(tmp_path) as (_, edge):
        await asked(edge, "set_program", id="peak", program=an_entry(utility, preset="generic"))
        await edge.until(lambda state: state["programs"].get("peak", {"connected": False})["connected"])
        listed = await asked(edge, "list_programs")
        assert listed["data"]["programs"]["peak"]["client_secret"] == "***"
        assert "ven-secret" not in str(listed)
        tried = await asked(edge, "test_program", id="peak")
        before = await asked(edge, "test_program", id="other", program=an_entry(utility, client_secret="wrong"))
        assert len(tried["data"]["checks"]) > len([one for one in before["data"]["checks"] if one["ok"]])
        assert "ven-secret" not in f"{tried}{before}"
        assert "other" not in edge.edge.programs
        offered = await asked(edge, "list_presets")
        assert offered["data"]["presets"]["connected_solutions_ma"]["kind"] == "manual"
        await asked(edge, "remove_program", id="peak")
        await edge.until(lambda state: "peak" not in state["programs"])


async def test_who_may_only_look_sees_no_programs(tmp_path: Path) -> None:
    async with a_house(tmp_path) as (_, edge):
        for name in ("set_program", "remove_program", "list_programs", "test_program", "list_presets"):
            with pytest.raises(CommandRefusedError) as error:
                await asked(edge, name, Role.READ, id="manual", program={"kind": "manual", "name": "Mine"})
            assert error.value.code == "not_permitted"


async def test_a_refusal_names_every_field_that_is_wrong(tmp_path: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, a_house(tmp_path) as (_, edge):
        entry = an_entry(utility)
        wrong = await refused(edge, id="peak", program=entry | {"url": "ftp://x", "poll_s": "often"})
        assert set(wrong["fields"]) == {"url", "poll_s"}
        assert wrong["argument"] in ("program.url", "program.poll_s")
        wrong = await refused(edge, id="peak", program=entry | {"rules": {"window": "noon"}, "floor_pct": 101})
        assert set(wrong["fields"]) == {"rules.window", "floor_pct"}
        assert (await refused(edge, id="Peak!", program=entry))["argument"] == "id"
        assert (await refused(edge, id="peak", program=entry | {"kind": "telex"}))["argument"] == "program.kind"
        assert (await refused(edge, id="peak", program=entry | {"preset": "mars"}))["argument"] == "program.preset"
        assert (await refused(edge, id="peak", program=entry | {"url": ""}))["argument"] == "program.url"


async def test_files_of_the_edges_machine_are_named_there_only(tmp_path: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, a_house(tmp_path) as (_, edge):
        entry = an_entry(utility)
        found = await refused(edge, id="peak", program=entry | {"ca_file": "/etc/passwd"})
        assert found["argument"] == "program.ca_file"
        calendar = {"kind": "calendar", "name": "Peak", "url": " File:///etc/passwd"}
        assert (await refused(edge, id="peak", program=calendar))["argument"] == "program.url"
        await edge.command("set_program", id="peak", program=entry | {"ca_file": "/nowhere/ca.pem"})
        await asked(edge, "set_program", id="peak", program=entry | {"ca_file": "/nowhere/ca.pem", "name": "Mine"})
        assert edge.edge.programs["peak"]["name"] == "Mine"


async def test_a_kept_secret_stays_when_the_rest_is_edited_and_never_goes_to_another_address(tmp_path: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility, a_house(tmp_path) as (_, edge):
        await asked(edge, "set_program", id="peak", program=an_entry(utility))
        shown = (await asked(edge, "list_programs"))["data"]["programs"]["peak"]
        await asked(edge, "set_program", id="peak", program=shown | {"name": "Mine"})
        assert edge.edge.programs["peak"]["client_secret"] == "ven-secret"
        assert edge.edge.programs["peak"]["name"] == "Mine"
        elsewhere = (
            {"url": "https://thief.example/3.1.0"},
            {"token_hosts": ["thief.example"]},
            {"broker_hosts": ["t"]},
        )
        for other in elsewhere:
            assert (await refused(edge, id="peak", program=shown | other))["argument"] == "program.client_secret"
        assert (await refused(edge, id="other", program=shown))["argument"] == "program.client_secret"


async def test_the_address_of_a_private_calendar_is_kept_and_not_shown(tmp_path: Path) -> None:
    async with a_house(tmp_path) as (_, edge):
        entry = {"kind": "calendar", "name": "Peak", "url": "https://calendar.invalid/private-key/basic.ics"}
        await asked(edge, "set_program", id="peak", program=entry)
        shown = (await asked(edge, "list_programs"))["data"]["programs"]["peak"]
        assert shown["url"] == "https://calendar.invalid/***"
        await asked(edge, "set_program", id="peak", program=shown | {"name": "Mine"})
        assert edge.edge.programs["peak"] == entry | {"name": "Mine"}
        other = await refused(edge, id="peak", program=shown | {"url": "https://other.invalid/***"})
        assert other["argument"] == "program.url"
