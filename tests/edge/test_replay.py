"""Recorded time is decided again: the same by the same policies, and by others the difference is shown."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_service.command_line import main
from edge_service.domain.decide import decide
from edge_service.domain.memory import (
    HISTORY_H,
    DrillMemory,
    DrillStage,
    EventMemory,
    EventStage,
    GridMemory,
    GroupUse,
    IslandMemory,
    LoadMemory,
    LoadsMemory,
    Memory,
    OutageMemory,
    RuntimeMemory,
    Track,
)
from edge_service.domain.model import (
    Alert,
    AlertKind,
    ChargerState,
    CompanionFacts,
    CompanionReading,
    CompanionState,
    Confidence,
    Departure,
    DeparturePlan,
    DrillRequest,
    Evidence,
    GridEvidence,
    Happening,
    LoadGroup,
    LoadOrder,
    LoadReading,
    LoadState,
    ManualKind,
    ManualOrder,
    Observation,
    Position,
    Power,
    Settings,
    SiteFacts,
    Storm,
    Supply,
    SwitchReading,
    Tier,
    frozen_map,
)
from edge_service.domain.policies import LADDER
from edge_service.domain.tally import Tally as SeasonTally
from edge_service.journal.recording import CycleRecorder, RecordedCycle, kept_stretches, keyframed_parts, read_stretch
from edge_service.journal.store import SqliteJournal
from edge_service.ports import Mark
from edge_service.replay import (
    Difference,
    Replay,
    Run,
    Tally,
    WhatIf,
    WhatIfError,
    differences,
    runs,
    summed,
    tally,
    tally_part,
)
from edge_service.scenario_export import ScenarioError, cut, document, documents_in, export, recorded_cycles, text_of
from edge_service.simulation import acts
from edge_service.simulation.site import SimulatedSite
from tests.edge.domain.houses import T0, a_meter, a_reading, a_site, after, an_event, an_observation
from tests.edge.edge_kit import QUICK_SITE, a_house, config_of, running, soon

WITHOUT_EVENTS = tuple(rung for rung in LADDER if rung.name != "demand_response")
HOUR = timedelta(hours=1)


class House:
    """Decides and records as the edge does, a second at a time."""

    def __init__(self, recorder: CycleRecorder) -> None:
        self.recorder = recorder
        self.memory, self.settings = Memory(), Settings()
        self.facts: SiteFacts = a_site("car", name="Twelve Elm Street")
        self.events = (replace(an_event("peak-1", 100, 200), name="Hot evening"),)

    def lives(self, first: int, last: int, *, mark: Mark | None = None) -> None:
        for second in range(first, last):
            self.sees(self.seen(second), [mark] if mark and mark.at == after(second) else [])

    def seen(self, second: int) -> Observation:
        now = after(second)
        power_w = -5000 + second % 7 if 100 <= second < 200 else 0
        reading = a_reading(now, power_w=power_w, soc_pct=70.0 - second / 1000)
        meter = a_meter(now, power_w=1200 + second % 5 + power_w)
        return replace(an_observation(second), chargers=frozen_map({"car": reading}), meter=meter, events=self.events)

    def sees(self, observation: Observation, marks: Sequence[Mark] = ()) -> None:
        decision = decide(observation, self.memory, self.settings, self.facts)
        self.recorder.add(observation, self.memory, self.settings, self.facts, decision, marks)
        self.memory = decision.memory


@asynccontextmanager
async def a_recording(folder: Path) -> AsyncIterator[House]:
    recorder = await CycleRecorder.open(folder)
    yield House(recorder)
    await recorder.close()


def recorded(folder: Path) -> list[RecordedCycle[Memory]]:
    return list(read_stretch(folder, T0 - HOUR, T0 + 24 * HOUR, Memory))


def different(cycles: list[RecordedCycle[Memory]], replay: Replay) -> list[tuple[str, int]]:
    return [(run.first.what, run.cycles) for run in runs(differences(cycles, replay))]


# ----------------------------------------------------------------------------------------------------------- the answer


async def test_the_same_policies_decide_the_same_and_others_are_told_in_runs(tmp_path: Path) -> None:
    async with a_recording(tmp_path) as house:
        house.lives(0, 300)
    cycles = recorded(tmp_path)
    replay = Replay()
    assert different(cycles, replay) == []
    assert (replay.cycles, replay.skipped, replay.first_at, replay.last_at) == (300, 0, after(0), after(299))
    assert ("orders.car", 100) in different(cycles, Replay(WITHOUT_EVENTS))


async def test_a_restart_and_a_clock_that_was_set_are_no_differences(tmp_path: Path) -> None:
    async with a_recording(tmp_path) as house:
        house.lives(0, 150)
        house.memory = house.memory.after_restart()
        house.lives(150, 160)
        house.memory = house.memory.shifted(timedelta(seconds=30))
        house.lives(190, 260)
    assert different(recorded(tmp_path), Replay()) == []


async def test_after_a_difference_the_recorded_memory_is_taken_at_the_next_keyframe_but_not_under_a_what_if(
    tmp_path: Path,
) -> None:
    async with a_recording(tmp_path) as house:
        house.lives(0, 90)
    first, *rest = recorded(tmp_path)
    account = EventMemory(EventStage.OPTED_OUT, T0, "Ghost", "peak", after(0), after(5000))
    haunted = [replace(first, memory=Memory(events=frozen_map({"ghost": account}))), *rest]
    of_the_ghost = [run for run in runs(differences(haunted, Replay())) if run.first.what == "events.ghost"]
    assert [(run.first.at, run.last_at) for run in of_the_ghost] == [(after(0), after(59))]
    what_if = runs(differences(haunted, Replay(what_if=WhatIf())))
    assert [run.last_at for run in what_if if run.first.what == "events.ghost"] == [after(89)]


async def test_a_setting_is_tried_out(tmp_path: Path) -> None:
    async with a_recording(tmp_path) as house:
        house.lives(0, 300)
    found = different(recorded(tmp_path), Replay(what_if=WhatIf.of(["backup_reserve_pct=90"], json.loads)))
    assert "orders.car" in [what for what, _ in found]
    unharmed = Replay(what_if=WhatIf.of(["backup_reserve_pct=31"], json.loads))
    assert different(recorded(tmp_path), unharmed) == []


def test_a_setting_of_one_charger_is_tried_out() -> None:
    tried = WhatIf.of(["drivers_reserve_pct.car=40", 'mode="paused"'], json.loads).settings(Settings(stopped=True))
    assert tried == Settings(stopped=True, mode=tried.mode, drivers_reserve_pct=frozen_map({"car": 40}))
    assert tried.mode == "paused"


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("backup_reserve=50", "there is no setting backup_reserve; there are mode, "),
        ("backup_reserve_pct", "allowed: a setting and its value"),
        ('backup_reserve_pct="much"', "Settings.backup_reserve_pct"),
        ('mode="sideways"', "Settings.mode"),
        ("mode.car=1", "mode holds nothing named car"),
    ],
)
def test_a_setting_that_cannot_be_is_told(word: str, complaint: str) -> None:
    with pytest.raises(WhatIfError, match=complaint):
        WhatIf.of([word], json.loads)


def test_a_difference_that_comes_and_goes_is_one_run_and_one_that_comes_back_late_another() -> None:
    found = [Difference(after(second), "grid", "on", "off") for second in (1, 2, 60, 400)]
    found.insert(2, Difference(after(2), "reason", "a", "b"))
    told = [(run.first.what, run.first.at, run.cycles, run.last_at) for run in runs(found)]
    assert told == [
        ("grid", after(1), 3, after(60)),
        ("reason", after(2), 1, after(2)),
        ("grid", after(400), 1, after(400)),
    ]


# ------------------------------------------------------------------------------------------------------------ documents


async def test_a_document_holds_cycles_exactly_and_no_name(tmp_path: Path) -> None:
    async with a_recording(tmp_path) as house:
        house.lives(0, 130)
        house.settings = Settings(stopped=True)
        house.memory = house.memory.after_restart()
        house.lives(131, 220)
    cycles = recorded(tmp_path)
    text = text_of(document(cycles, "1.2.3"))
    back = recorded_cycles(json.loads(text))
    events = (replace(cycles[0].observation.events[0], name="(name)", uid="event_1", program_id="program_2"),)
    assert [one.observation for one in back] == [
        replace(one.observation, events=events, chargers=frozen_map({"charger_1": one.observation.chargers["car"]}))
        for one in cycles
    ]
    assert [one.settings for one in back] == [one.settings for one in cycles]
    told = json.dumps([one.decision for one in cycles]).replace('"car"', '"charger_1"').replace("peak-1", "event_1")
    assert [one.decision for one in back] == json.loads(told)
    assert [number for number, one in enumerate(back) if one.memory is not None] == [0, 130]
    assert different(back, Replay()) == []
    assert "Hot evening" not in text
    assert "Elm" not in text
    assert len(text) < 30_000


async def test_what_people_call_their_departures_and_storms_is_not_in_a_document(tmp_path: Path) -> None:
    work, doctor = DeparturePlan("night shift", at=after(9000), soc_pct=80.0), DeparturePlan("doctor", at=after(20000))
    leaves = Departure("night shift", after(9000), 80.0)
    async with a_recording(tmp_path) as house:
        for second in range(60):
            both = (work, doctor) if second > 20 else (doctor,)
            house.settings = Settings(
                departures=frozen_map({"car": both if second < 50 else (doctor, work)}),
                storm=Storm(after(9000), 90.0, "Nor'easter at the cabin"),
            )
            seen = house.seen(second)
            house.sees(replace(seen, departures=frozen_map({"car": leaves})) if second > 20 else seen)
    cycles = recorded(tmp_path)
    text = text_of(document(cycles, "1.2.3"))
    for name in ("night shift", "doctor", "cabin"):
        assert name not in text
    back = recorded_cycles(json.loads(text))
    names = [[plan.id for plan in one.settings.departures["charger_1"]] for one in back]
    assert (names[0], names[30], names[59]) == (["plan_1"], ["plan_2", "plan_1"], ["plan_1", "plan_2"])
    assert back[30].observation.departures["charger_1"].plan_id == "plan_2"
    assert different(back, Replay()) == []


async def test_no_id_that_a_person_or_a_utility_gave_is_in_a_document_and_it_is_decided_the_same(
    tmp_path: Path,
) -> None:
    """Twelve vehicles share what an event asks and what the house may draw; where all is equal, by their ids."""
    names = [
        f"{colour}_leaf"
        for colour in (
            "amber",
            "blue",
            "coral",
            "drab",
            "ebony",
            "fawn",
            "gold",
            "hazel",
            "ivory",
            "jade",
            "lime",
            "mint",
        )
    ]
    site = a_site(*names, import_max_w=20000)
    programs = {"mill_road_peak": replace(site.programs["peak"], id="mill_road_peak")}
    event = replace(an_event("vtn-4711", 30, 90), program_id="mill_road_peak")
    opted_out = replace(an_event("vtn-4712", 40, 100), program_id="mill_road_peak")
    mark = Mark(after(60), "fault_raised", "amber_leaf", after(0), after(100))
    alerts = tuple(
        Alert(f"mill_road_peak:vtn-{number}/{kind}", "mill_road_peak", kind, "vtn", after(0), after(1000 + number))
        for number, kind in ((98, AlertKind.GRID_EMERGENCY), (99, AlertKind.FIRE))
    )
    async with a_recording(tmp_path) as house:
        companion = CompanionFacts("attic_leaf", "Attic")
        house.facts = replace(site, programs=frozen_map(programs), companions=frozen_map({"attic_leaf": companion}))
        season = SeasonTally("2026-01-01", "2026-12-31", 1, average_w=900.0)
        house.settings = Settings(
            drivers_reserve_pct=frozen_map({"mint_leaf": 40.0}),
            manual=frozen_map({"blue_leaf": ManualOrder(ManualKind.CHARGE, after(0), after(60))}),
            opted_out=frozenset({"vtn-4712"}),
            event_floor_pct=frozen_map({"mill_road_peak": 20.0}),
            drivers_reserve_miles=frozen_map({"lime_leaf": 40.0}),
            alerts_opted_out=frozen_map({"mill_road_peak:vtn-99/fire": after(900)}),
            not_participating=frozenset({"mill_road_net"}),
            miles_per_kwh=frozen_map({"coral_leaf": 3.0}),
            charge_limit_w=frozen_map({"coral_leaf": 4000}),
            discharge_limit_w=frozen_map({"coral_leaf": 0}),
        )
        for second in range(120):
            now, grid_there = after(second), second < 58
            silent = {"drab_leaf"} if second > 20 else set()
            readings = {
                name: a_reading(now, soc_pct=50.0, grid_present=grid_there) for name in names if name not in silent
            }
            alarmed = (
                replace(readings["amber_leaf"], state=ChargerState.FAULT) if second >= 60 else readings["amber_leaf"]
            )
            seen = Observation(
                now,
                frozen_map({**dict.fromkeys(silent), **readings, "amber_leaf": alarmed}),
                a_meter(now, power_w=9000, voltage_v=240.0 if grid_there else None),
                SwitchReading(now, commanded_open=False, open_proven=False, closed_proven=True),
                events=(event, opted_out),
                seasons=frozen_map({"mill_road_peak": season}),
                alerts=alerts if second < 110 else (),
                companions=frozen_map(
                    {
                        "attic_leaf": CompanionReading(
                            now, CompanionState.ON_GRID if grid_there else CompanionState.OUTAGE
                        )
                    }
                ),
                stopped=frozen_map({"ebony_leaf": after(0)}),
                contested=frozen_map({"fawn_leaf": after(10)} if second > 10 else {}),
                departures=frozen_map({"gold_leaf": Departure("work", after(3000), 80.0)}),
                orders=frozen_map({"hazel_leaf": Evidence(Power(-1000), after(0), astray_since=after(0))}),
            )
            house.sees(seen, [mark] if second == 60 else [])
    cycles = recorded(tmp_path)
    text = text_of(document(cycles, "1.2.3", mark))
    adjusted = replace(cycles[60], decision={**cycles[60].decision, "adjusted": {"amber_leaf": "guard_time"}})
    text_of_late = text_of(document([adjusted, *cycles[61:]], "1.2.3", mark))
    assert [word for word in ("leaf", "vtn", "4711", "mill", "amber", "peak-") if word in text + text_of_late] == []
    back = recorded_cycles(json.loads(text))
    assert different(back, Replay()) == []
    assert different(cycles, Replay()) == []
    assert len(back) == len(cycles) == 120
    assert json.loads(text)["mark"]["subject"] == "charger_01"
    assert list(back[0].facts.chargers) == [f"charger_{number:02}" for number in range(1, 13)]
    assert back[0].settings.opted_out == {"event_2"}
    kept = recorded_cycles(json.loads(text_of_late))[0].memory
    assert kept is not None
    assert any(key.startswith("alert:alert_1:") for key in kept.notices)
    assert set(back[0].settings.alerts_opted_out) == {"alert_2"}
    assert {"contested:charger_06", "offline:charger_04", "event:event_1"} <= set(kept.notices)
    assert set(kept.events) == {"event_1", "event_2"}
    assert "charger_01: grid lost" in kept.grid.evidence
    again = text_of(document(back, "1.2.3", mark))
    assert json.loads(again)["observation"] == json.loads(text)["observation"]


def a_lived_in_house(now: datetime, *, lost: bool, drill_id: str) -> tuple[Memory, Settings, Observation]:
    """Each place that an id or a name of a load group, of an entity, a warning or a drill may stand in."""
    groups = {name: LoadGroup(name, f"Canary {name}", power_w=900) for name in ("canary_bird", "canary_seed")}
    groups["canary_seed"] = replace(groups["canary_seed"], hours=(("17:00", "21:00"),))
    warning = Alert("canary:nws-1", "home_assistant", AlertKind.WIND, "Canary gale", after(0), after(900))
    words = "binary_sensor.canary: grid there (a canary (sings)); car: grid there; canary_gone: grid lost"
    drill = DrillMemory(
        drill_id,
        DrillStage.PASSED,
        after(-90),
        after(-80),
        transfer=True,
        island_s=60.0,
        ended_at=after(-80),
        loads_shed=("canary_bird",),
        loads_unproven=("canary_seed",),
    )
    memory = Memory(
        island=IslandMemory(tried=frozenset({"car"})),
        grid=GridMemory(evidence=words, islanders=frozenset({"car"})),
        outage=OutageMemory(after(-99), after(-80), evidence=words, former="car", loads_shed=("canary_bird",)),
        notices=frozen_map({f"drill:{drill_id}": "drill_passed", "drill:canary-old": "drill_passed"}),
        loads=LoadsMemory(frozen_map({"canary_bird": LoadMemory(power_w=800), "canary_seed": LoadMemory()})),
        runtime=RuntimeMemory(
            minute_at=after(-20),
            load=Track(hours=(4711,) * HISTORY_H),
            groups=frozen_map({"canary_bird": GroupUse(800.0, 30)}),
            groups_w=frozen_map({"canary_bird": 800}),
            gains_h=frozen_map({"canary_bird": 1.5}),
        ),
        drill=drill,
    )
    settings = Settings(
        load_groups=frozen_map(groups),
        loads_by_hand=frozen_map({"canary_seed": LoadOrder.SHED}),
        loads_by_hand_at=frozen_map({"canary_seed": after(-5)}),
        storm=Storm(after(900), 90.0, "Canary gale", "canary:nws-1"),
        drill=DrillRequest(drill_id, after(-90), transfer=True, at_switch=True),
        drill_cancelled=drill_id,
    )
    street = GridEvidence("binary_sensor.canary", now, True, Position.GRID_SIDE, "canary", Confidence.LIKELY, 45.0)
    seen = an_observation((now - T0).total_seconds(), {"car": {"grid_present": not lost, "forming": lost}})
    seen = replace(
        seen,
        evidence=() if lost else (street,),
        loads=frozen_map({name: LoadReading(now, LoadState.ON, 800, 45.0) for name in groups}),
        alerts=(warning,),
        brought=frozenset({f"drill:{drill_id}"}),
        out_of_hours=frozenset({"canary_seed"}),
        meter=a_meter(now, voltage_v=0.0 if lost else 240.0),
        switch=SwitchReading(now, commanded_open=lost, open_proven=lost, closed_proven=not lost),
    )
    return memory, settings, seen


@pytest.mark.parametrize("drill_id", ["canary-7", after(-90).isoformat()])
@pytest.mark.parametrize("outage", [False, True])
async def test_no_load_group_entity_warning_or_drill_is_named_in_a_document(
    tmp_path: Path, drill_id: str, outage: bool
) -> None:
    relay = LoadGroup("canary_pump", "Canary pump", Tier.NON_ESSENTIAL)
    async with a_recording(tmp_path) as house:
        house.facts = a_site("car", relays=frozen_map({"canary_pump": relay}))
        for second in range(60):
            memory, house.settings, seen = a_lived_in_house(
                after(second), lost=outage and second > 20, drill_id=drill_id
            )
            house.memory = house.memory if second else memory
            house.sees(seen)
    cycles = recorded(tmp_path)
    text = text_of(document(cycles, "1.2.3"))
    assert "canary" not in text.lower()
    back = recorded_cycles(json.loads(text))
    assert different(back, Replay()) == different(cycles, Replay()) == []
    assert set(back[0].settings.load_groups) == {"load_1", "load_3"}
    kept = back[0].memory
    assert kept is not None
    assert kept.grid.evidence == "source_1: grid there; charger_1: grid there; source: grid lost"
    drill = kept.drill
    assert drill is not None
    assert (drill.id, drill.id == back[0].settings.drill_cancelled) == (
        "drill_1" if drill_id == "canary-7" else drill_id,
        True,
    )
    assert ("4711" in text) is (str(Supply.ISLAND) in {one.decision["supply"] for one in cycles}) is outage


async def test_what_is_too_much_is_cut_around_what_it_is_about(tmp_path: Path) -> None:
    mark = Mark(after(1900), "fault_raised", "car", after(1000), after(2800))
    async with a_recording(tmp_path) as house:
        house.lives(0, 2600, mark=mark)
    await_text = export(tmp_path, after(2600), "1.2.3")
    around, late = documents_in(json.loads(await_text))
    assert around["mark"]["what"] == "fault_raised"
    first, *_, last = recorded_cycles(around)
    assert (first.at, last.at) == (after(1560), after(2199))
    assert late["mark"] is None
    assert recorded_cycles(late)[-1].at == after(2599)
    assert len(await_text) < 1_000_000


async def test_the_last_mark_and_now_are_one_recording_when_they_are_close(tmp_path: Path) -> None:
    mark = Mark(after(500), "fault_raised", "car", after(0), after(1400))
    async with a_recording(tmp_path) as house:
        house.lives(0, 700, mark=mark)
    (only,) = documents_in(json.loads(export(tmp_path, after(700), "1.2.3")))
    cycles = recorded_cycles(only)
    assert (cycles[0].at, cycles[-1].at) == (after(180), after(699))


async def test_a_cut_begins_where_memory_is_known(tmp_path: Path) -> None:
    async with a_recording(tmp_path) as house:
        house.lives(0, 200)
    cycles = recorded(tmp_path)
    assert [one.at for one in cut(cycles, after(130), after(140))] == [after(second) for second in range(120, 140)]
    assert cut(cycles[5:], after(6), after(62))[0].at == after(60)
    assert cut(cycles, after(300), after(400)) != []


def test_what_is_no_recording_is_told() -> None:
    with pytest.raises(ScenarioError, match="nothing is recorded"):
        document([], "1")
    with pytest.raises(ScenarioError, match="format 2"):
        recorded_cycles({"recorded": 2})
    with pytest.raises(ScenarioError, match="cannot be read"):
        recorded_cycles({"recorded": 1, "observation": {}})
    assert documents_in([]) == documents_in({"data": {"recording": None}}) == []


# --------------------------------------------------------------------------------------------------------- command line

SITE = """
site: {name: Home, import_max_a: 100}
chargers:
  car: {name: Car, model: sunspec_der, address: "127.0.0.1:1"}
data: data
"""


RECORDED = Path(__file__).parent / "scenarios" / "recorded" / "outage-in-an-event.json"
A_CHARGER = ("facts", "chargers", "driveway")
CHANGED_NOW: dict[str, Any] = {"path": ["observation", "now"]}


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("cycles",), 10**9, "cycles: found 1000000000; allowed: a whole number from 1 to 100000"),
        (("cycles",), True, "cycles: found True"),
        (("changes",), [CHANGED_NOW | {"at": "0-3000000000", "values": [1]}], "changes.0.at: found '0-3000000000'"),
        (("changes",), [CHANGED_NOW | {"at": "0-90000", "values": [1]}], "changes.0.at: found 90000; allowed"),
        (("changes",), [CHANGED_NOW | {"at": "0-9", "values": [1]}], "changes.0.values: found '1 values'"),
        (("changes",), [CHANGED_NOW | {"at": [-1], "values": [1]}], "changes.0.at: found -1"),
        (
            ("changes",),
            [CHANGED_NOW | {"at": [1, 2], "since": "2026-07-01T00:00:00+00:00", "us": [10**30]}],
            "changes.0.us: found 1000",
        ),
        (("changes",), [{"path": ["observation"] * 10**5, "at": [1], "values": [1]}], "changes.0.path: found"),
        (("observation", "now"), "9999-12-31T23:59:59+00:00", "observation.now: found '9999"),
        (
            ("observation", "now"),
            "2026-07-01T00:00:00",
            "observation.now: found '2026-07-01T00:00:00'; allowed: a time",
        ),
        (("observation", "chargers", "driveway", "soc_pct"), float("nan"), "soc_pct: found nan; allowed: a number"),
        (("observation", "chargers", "driveway", "power_w"), 10**30, "power_w: found 10000"),
        ((*A_CHARGER, "capability", "charge_rating_w"), -5, "charge_rating_w: found -5; allowed: 0 to 10000000"),
        ((*A_CHARGER, "capability", "step_w"), 0, "facts.chargers.driveway.capability.step_w: found 0; allowed: 1"),
        ((*A_CHARGER, "legs"), [77], "legs.0: found 77; allowed: 1 to 3"),
        ((*A_CHARGER, "id"), "\x1b[2J", r"driveway.id: found '\\x1b\[2J'; allowed: driveway"),
        (("facts", "import_max_w"), -(10**12), "import_max_w: found -1000000000000; allowed: 0 to 10000000"),
        (("facts", "export_max_w"), -1, "export_max_w: found -1"),
        (("facts", "stale_after_s"), 1e308, "stale_after_s: found 1e"),
        (("facts", "chargers"), {}, "observation.chargers: found 'driveway'; allowed: the chargers of facts: none"),
        (("settings", "backup_reserve_pct"), 101, "backup_reserve_pct: found 101; allowed: 0 to 100"),
        (("memory", "island", "former"), "boat", "memory.island.former: found 'boat'; allowed: the chargers"),
        (("memory", "at"), "2026-07-01T00:00:00", "memory.at: found"),
        (("recorded",), "\x1b", "found format '.x1b'"),
    ],
)
def test_a_crafted_recording_is_refused_by_the_key_that_is_wrong(
    path: tuple[str, ...], value: object, complaint: str
) -> None:
    made: Any = json.loads(RECORDED.read_text(encoding="utf-8"))
    node = made
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    with pytest.raises(ScenarioError, match=complaint) as refused:
        recorded_cycles(made)
    assert str(refused.value).isprintable()


def test_a_wrapping_without_end_holds_no_recording() -> None:
    wrapped: Any = {"recorded": 1}
    for _ in range(5000):
        wrapped = {"recordings": [wrapped]}
    assert documents_in(wrapped) == []


@pytest.mark.parametrize(
    ("changed", "words", "told"),
    [
        ({"title": "\x1b]0;mine\x07\x1b[2J"}, ("run",), "?]0;mine??[2J"),
        ({"title": "x" * 10_000}, ("run",), "xxx..."),
        ({"mark": {"at": "x"}}, ("make", "--out", "out.json"), "mark: found {'at': 'x'}; allowed: null, or at, what"),
        ({"mark": {"at": "x", "what": "y", "subject": "z"}}, ("make", "--out", "out.json"), "mark.at: found 'x'"),
        ({"decision": {"grid": "\x1b[2J"}}, ("run",), "grid: expected ?[2J, now unknown"),
        ({"decision": 1}, ("run",), "decision: found 1; allowed: an object"),
    ],
)
def test_a_crafted_file_moves_no_terminal_and_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, Any], words: tuple[str, ...], told: str
) -> None:
    file = tmp_path / "crafted.json"
    file.write_text(json.dumps({**json.loads(RECORDED.read_text(encoding="utf-8")), **changed}), encoding="utf-8")
    act, *more = (str(tmp_path / word) if word.endswith(".json") else word for word in words)
    main(["scenario", act, str(file), *more])
    said = "".join(capsys.readouterr())
    assert told in said
    assert all(line.isprintable() and len(line) < 500 for line in said.splitlines())


def test_a_recording_that_cannot_be_decided_is_an_answer_and_no_crash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("no charger")

    monkeypatch.setattr("edge_service.replay.decide", fails)
    for words in (["run", str(RECORDED)], ["make", str(RECORDED), "--expect", "today", "--out", str(tmp_path / "x")]):
        assert main(["scenario", *words]) == 1
        assert "cannot decide this recording: ZeroDivisionError('no charger')" in capsys.readouterr().err


@pytest.fixture
async def site(tmp_path: Path) -> Path:
    """A site's folder with a recording of an event and a fault in it."""
    (tmp_path / "site.yaml").write_text(SITE.replace("data: data\n", ""), encoding="utf-8")
    from edge_service.config import load  # noqa: PLC0415

    data = load(tmp_path / "site.yaml").data
    data.mkdir(parents=True)
    async with a_recording(data) as house:
        house.lives(0, 400, mark=Mark(after(150), "fault_raised", "car", after(100), after(250)))
    assert len(kept_stretches(data)) == 1
    return tmp_path


def ridethrough(site: Path, *words: str) -> int:
    return main([*words, "--config", str(site / "site.yaml")])


SPAN = ("--from", after(0).isoformat(), "--to", after(400).isoformat())


def test_replay_says_in_a_line_that_nothing_differs(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ridethrough(site, "replay", *SPAN) == 0
    expected = "400 cycles decided again, 2026-07-15T20:00:00Z to 2026-07-15T20:06:39Z: no differences\n"
    assert capsys.readouterr().out == expected


async def test_a_long_time_is_decided_in_parts_to_the_same_as_in_one(tmp_path: Path) -> None:
    async with a_recording(tmp_path) as house:
        house.lives(0, 700)
    parts = keyframed_parts(tmp_path, T0, after(650), least=2)
    assert len(parts) == 6
    whole = summed(tally_part(tmp_path, part, after(650)) for part in parts)
    assert whole == tally(read_stretch(tmp_path, T0, after(650), Memory), Replay())
    assert (whole.cycles, whole.runs, whole.first_at, whole.last_at) == (650, [], after(0), after(649))


def test_a_difference_that_lasts_over_two_parts_is_one_run() -> None:
    pieces = [Run(Difference(after(at), "grid", "on", "off"), 5, after(at + 4)) for at in (0, 5, 500)]
    told = summed(Tally([piece], 5, 1, piece.first.at, piece.last_at) for piece in pieces)
    assert [(run.first.at, run.cycles, run.last_at) for run in told.runs] == [
        (after(0), 10, after(9)),
        (after(500), 5, after(504)),
    ]
    assert (told.cycles, told.skipped, told.first_at, told.last_at) == (15, 3, after(0), after(504))


def test_replay_tells_what_would_differ_and_fails(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ridethrough(site, "replay", *SPAN, "--with", "backup_reserve_pct=90") == 1
    lines = capsys.readouterr().out.splitlines()
    order = next(line for line in lines if "  orders.car: recorded " in line)
    assert ", now power w=" in order
    assert order.endswith(" cycles to 2026-07-15T20:06:39Z")
    assert lines[-1].endswith(f"{len(lines) - 1} differences")


def test_replay_lists_what_is_kept_and_takes_one_of_it(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ridethrough(site, "replay", "--list") == 0
    assert capsys.readouterr().out.splitlines() == [
        "   1  2026-07-15T20:01:00Z to 2026-07-15T20:04:10Z",
        "      2026-07-15T20:02:30Z  fault_raised (car)",
    ]
    assert ridethrough(site, "replay", "--stretch", "1") == 0
    assert capsys.readouterr().out.startswith("190 cycles decided again, 2026-07-15T20:01:00Z")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--stretch", "7"], "there is no stretch 7; see them with: ridethrough replay --list"),
        (["--with", "moon=1"], "--with: there is no setting moon"),
    ],
)
def test_replay_says_what_cannot_be(
    site: Path, words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ridethrough(site, "replay", *words) == 1
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("year", [2020, 2030])
def test_replay_of_a_time_without_a_recording_says_so(
    site: Path, year: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ridethrough(site, "replay", "--from", f"{year}-01-01T00:00:00Z", "--to", f"{year}-01-02T00:00:00Z") == 0
    assert capsys.readouterr().out == "Nothing is recorded there.\n"


def test_a_scenario_is_made_of_this_sites_recording_and_played(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = site / "scenario.json"
    assert ridethrough(site, "scenario", "make", "--stretch", "1", "--title", "A fault", "--out", str(out)) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["title"] == "A fault"
    assert main(["scenario", "run", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("no differences")


def test_a_scenario_expects_what_was_decided_or_what_is_decided_today(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = site / "scenario.json"
    assert ridethrough(site, "scenario", "make", "--stretch", "1", "--out", str(out)) == 0
    other = json.loads(out.read_text(encoding="utf-8"))
    other["decision"]["reason"] = "whim"
    out.write_text(json.dumps(other), encoding="utf-8")
    capsys.readouterr()
    assert main(["scenario", "run", str(out)]) == 1
    assert "reason: expected whim, now " in capsys.readouterr().out
    again = site / "again.json"
    assert main(["scenario", "make", str(out), "--expect", "today", "--out", str(again)]) == 0
    assert main(["scenario", "run", str(again)]) == 0


def test_a_file_that_holds_no_recording_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text("{}", encoding="utf-8")
    assert main(["scenario", "make", str(tmp_path / "a.json"), "--out", str(tmp_path / "b.json")]) == 1
    assert "holds no recording" in capsys.readouterr().err
    assert main(["scenario", "run", str(tmp_path / "a.json")]) == 1
    assert main(["scenario", "run", str(tmp_path / "none.json")]) == 1


# ------------------------------------------------------------------------------------------------------------- for real


async def test_a_real_edge_records_what_is_decided_the_same_again_and_otherwise_by_other_policies(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path) as (site, edge):
        await edge.command("charge", charger="driveway", power_w=3000, until=soon())
        await edge.until(lambda state: state["chargers"]["driveway"]["power_w"] == 3000)
        await asyncio.to_thread(acts.outage, site.control_url)
        await edge.until(lambda state: state["site"]["supply"] == "island")
        now = edge.edge.clock.now()
        text = await edge.edge.recording()
    cycles = list(read_stretch(edge.edge.config.data, now - HOUR, now + HOUR, Memory))
    assert len(cycles) > 10
    assert different(cycles, Replay()) == []
    without_people = Replay(tuple(rung for rung in LADDER if rung.name != "manual"))
    assert "orders.driveway" in [what for what, _ in different(cycles, without_people)]
    (stretch,) = kept_stretches(edge.edge.config.data)
    assert [mark.what for mark in stretch.marks][:1] == ["outage_started"]
    made: Any = documents_in(json.loads(text))[0]
    assert made["mark"]["what"] == "outage_started"
    assert different(recorded_cycles(made), Replay()) == []


async def test_what_the_last_run_told_and_did_not_mark_is_kept_from_the_next_start_on(tmp_path: Path) -> None:
    async with SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        config.data.mkdir()
        journal = await SqliteJournal.open(config.data)
        now = datetime.now(UTC)
        told = [
            (timedelta(days=8), "fault_raised"),
            (timedelta(minutes=1), "fault_raised"),
            (HOUR, "vehicle_connected"),
        ]
        await journal.append_happenings([Happening(kind, "driveway", now - ago, frozen_map()) for ago, kind in told])
        await journal.close()
        for _ in range(2):
            async with running(config) as edge:
                await edge.edge.recorder.flush()
            (stretch,) = kept_stretches(config.data)
            assert [(mark.what, mark.at) for mark in stretch.marks] == [("fault_raised", now - timedelta(minutes=1))]
