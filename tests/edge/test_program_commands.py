"""``ridethrough program`` with presets and terms, as a person types it."""

import asyncio
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge_service import enrolment
from edge_service.ports import ConfigError
from edge_service.programs import presets
from edge_service.simulation.utility import SimulatedUtility, UtilityOptions
from tests.edge.test_command_line import OPENADR3, SITE, TOKEN, FakeEdge, Outcome, kept, ridethrough, serving

ADD = ("program", "add", "manual", "--name", "Peak")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a right ``site.yaml`` whose edge does not run, and that says where it is."""
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        text = SITE.format(port=held.getsockname()[1])
    located = text.replace("import_max_a: 100", "import_max_a: 100, time_zone: America/New_York")
    (tmp_path / "site.yaml").write_text(located, encoding="utf-8")
    return tmp_path


@pytest.fixture
def running(tmp_path: Path) -> Iterator[FakeEdge]:
    """A running edge of the site in ``tmp_path``."""
    fake = FakeEdge({"/api/v1/state": {"programs": {"peak": {}}}})
    with serving(fake) as port:
        (tmp_path / "site.yaml").write_text(SITE.format(port=port), encoding="utf-8")
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "local.token").write_text(f"{TOKEN}\n", encoding="ascii")
        yield fake


async def test_the_terms_of_a_preset_are_copied_and_what_is_said_counts_before_them(home: Path) -> None:
    words = (
        "--preset",
        "connected_solutions_ma",
        "--pay-usd-per-kw",
        "300",
        "--window",
        "14:00-19:00",
        "--holidays",
        "none",
    )
    done = ridethrough(*ADD, *words, "--exports", "yes", cwd=home)
    assert (done.code, done.err) == (0, "")
    entry = (await kept(home))["peak"]
    preset = presets.load("connected_solutions_ma")
    assert (entry["preset"], entry["preset_date"]) == ("connected_solutions_ma", preset.read)
    assert (entry["pay_usd_per_kw"], entry["season_events"], entry["exports"]) == (300.0, 45, True)
    assert entry["rules"] == {
        "seasons": ["06-01..09-30"],
        "holidays": None,
        "window": "14:00-19:00",
        "shortest_h": 2.0,
        "longest_h": 3.0,
        "most_events": 60,
        "outside": "ask",
    }


def test_a_list_tells_the_terms_as_one_says_them(home: Path) -> None:
    ridethrough(*ADD, "--preset", "connected_solutions_ma", cwd=home)
    listed = [line.strip() for line in ridethrough("program", "list", cwd=home).out.splitlines()]
    assert listed[0] == "peak  manual  Peak"
    for line in (
        "pay       $275 per average kW and season, spread over 45 events",
        "season    1 June to 30 September",
        "not on    holidays of US/MA",
        "hours     15:00 to 20:00, local time",
        "length    2 to 3 h",
        "at most   60 events in a season",
        "export    not wanted: an event covers the house at most",
        "else      you are asked about an event outside of these rules",
    ):
        assert line in listed


async def test_a_list_says_when_a_preset_has_newer_terms_and_keeps_the_old(home: Path) -> None:
    preset = presets.load("connected_solutions_ri")
    ridethrough(*ADD, "--preset", preset.name, "--pay-usd-per-kw", "400", cwd=home)
    listed = ridethrough("program", "list", cwd=home).out
    assert "newer" not in listed
    from edge_service.journal.store import SqliteJournal  # noqa: PLC0415

    journal = await SqliteJournal.open(home / "data")
    entry = {**(await journal.load_document("programs") or {})["programs"]["peak"], "preset_date": "2019-06-01"}
    await journal.save_document("programs", {"programs": {"peak": entry}})
    await journal.close()
    listed = ridethrough("program", "list", cwd=home).out
    assert (
        f"newer     connected_solutions_ri of {preset.read} says otherwise: pay_usd_per_kw 400.0 is now 225.0" in listed
    )
    assert "$400 per average kW" in listed


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--preset", "nowhere"], "--preset: preset: found 'nowhere'; allowed: connected_solutions_ma, "),
        (
            ["--window", "15-20"],
            "--window: found 15-20; allowed: local times of the first and last moment",
        ),
        (
            ["--seasons", "06-31..09-30"],
            "found 06-31..09-30; allowed: a list of seasons in local dates, such as 06-01..09-30, or none",
        ),
        (["--weekdays", "monday"], "--weekdays: found monday; allowed: a list out of mon, tue"),
        (["--holidays", "US/XX"], "--holidays: found US/XX; allowed: a country"),
        (["--longest-h", "many"], "--longest-h: found many; allowed: hours from 0.01 to 48"),
        (["--exports", "maybe"], "--exports: found maybe; allowed: yes or no"),
        (["--floor-pct", "101"], "--floor-pct: found 101; allowed: percent from 0 to 100"),
        (["--baseline", "twenty"], "--baseline: found twenty; allowed: none or ten_of_ten; see"),
        (["--outside", "drop"], "--outside: found drop; allowed: ask or serve"),
    ],
)
def test_a_wrong_term_is_named_with_what_is_allowed(words: list[str], complaint: str, home: Path) -> None:
    done = ridethrough(*ADD, *words, cwd=home)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert complaint in done.err
    assert not (home / "data").exists()


def test_rules_in_local_time_are_warned_of_where_the_site_says_none(running: FakeEdge, tmp_path: Path) -> None:
    running.answers["set_program"] = {}
    done = ridethrough(*ADD, "--preset", "elrp", "--replace", cwd=tmp_path)
    assert done.code == 0
    assert "warning: its season, window and holidays are not looked at: site.yaml says no time_zone" in done.err
    (command,) = running.commands
    assert command["args"]["program"]["pay_usd_per_kwh"] == 2.0


def test_what_the_running_edge_keeps_is_listed_by_it(running: FakeEdge, tmp_path: Path) -> None:
    entry = {"kind": "openadr3", "name": "Peak", "url": "https://vtn.example.org/openadr3", "client_secret": "***"}
    running.answers["list_programs"] = {"data": {"programs": {"peak": entry}}}
    assert ridethrough("program", "list", cwd=tmp_path).out.startswith("peak  openadr3  Peak\n")
    shown = ridethrough("program", "show", "peak", cwd=tmp_path).out
    assert "url       https://vtn.example.org/openadr3" in shown
    done = ridethrough("program", "show", "other", cwd=tmp_path)
    assert (done.code, done.err) == (1, "ridethrough: there is no program other; known are: peak\n")


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_a_test_goes_through_the_edge_that_runs(ok: bool, code: int, running: FakeEdge, tmp_path: Path) -> None:
    running.answers["list_programs"] = {"data": {"programs": {"peak": {"kind": "openadr3", "name": "Peak"}}}}
    checks = [{"what": "address", "ok": True, "text": "it answers"}, {"what": "token", "ok": ok, "text": "as said"}]
    running.answers["test_program"] = {"data": {"checks": checks}}
    done = ridethrough("program", "test", "peak", cwd=tmp_path)
    assert (done.code, done.out) == (code, f"  ok   address: it answers\n  {'ok  ' if ok else 'FAIL'} token: as said\n")


# ------------------------------------------------------------------------------------------------------- a real utility


async def tried(home: Path, utility: SimulatedUtility, secret: str, *words: str) -> Outcome:
    add = [*OPENADR3[:-1], utility.base_url, "--client-id", "ven-client", "--client-secret-stdin", *words]

    def act() -> Outcome:
        assert ridethrough(*add, cwd=home, said=f"{secret}\n").code == 0
        return ridethrough("program", "test", "peak_savers", cwd=home)

    return await asyncio.to_thread(act)


async def test_each_step_to_a_server_is_said(home: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility:
        utility.dispatch.call_event(start_in_s=600, duration_s=600, power_kw=3)
        done = await tried(home, utility, "ven-secret")
        assert done.code == 0
        steps = [line[7:].partition(":")[0] for line in done.out.splitlines()]
        assert steps == ["terms", "address", "token", "programs", "version", "ven", "events", "clock"]
        assert "events: 1 events are listed" in done.out


async def test_a_wrong_secret_fails_the_test_and_is_never_shown(home: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility:
        done = await tried(home, utility, "wr0ng-s3cret")
        assert done.code == 1
        assert done.out.splitlines()[-1].startswith("  FAIL token: ")
        assert "check client id and secret" in done.out
        assert "wr0ng-s3cret" not in done.out + done.err


async def test_a_program_that_is_not_offered_fails_the_test(home: Path) -> None:
    async with SimulatedUtility(UtilityOptions(port=0)) as utility:
        done = await tried(home, utility, "ven-secret", "--program-name", "Elsewhere")
        assert done.code == 1
        assert '"Elsewhere" is not among them' in done.out


def test_nobody_at_the_address_is_said_so(home: Path) -> None:
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
    ridethrough(*OPENADR3[:-1], url, cwd=home)
    done = ridethrough("program", "test", "peak_savers", cwd=home)
    assert done.code == 1
    assert "cannot be reached" in done.out.splitlines()[-1]


def test_events_by_hand_have_no_server_to_try(home: Path) -> None:
    ridethrough(*ADD, cwd=home)
    done = ridethrough("program", "test", "peak", cwd=home)
    assert (done.code, done.out.splitlines()[-1]) == (
        0,
        "  ok   contact: events are entered by hand; there is no server to ask",
    )


# -------------------------------------------------------------------------------------------------------------- presets


def test_presets_are_shown_with_the_source_of_every_value(home: Path) -> None:
    every = ridethrough("program", "presets", cwd=home).out
    for name in presets.names():
        assert f"{name}: {presets.load(name).title}" in every
    one = ridethrough("program", "presets", "ct_ess", cwd=home).out
    assert "rules.window 12:00-21:00: energystoragect.com" in one
    assert "rules.outside ask: our choice, see below" in one


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_has_a_page_and_says_why_it_chose(name: str) -> None:
    preset = presets.load(name)
    root = Path(__file__).parents[2]
    page = (root / preset.page).read_text(encoding="utf-8")
    assert f"--preset {name}" in page
    assert preset.choices or "choice" not in preset.sources.values()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text.replace("value: 275", "value: much"), "pay_usd_per_kw: found much; allowed: dollars"),
        (lambda text: text.replace("source: export", "source: hearsay"), "exports: hearsay is none of its sources"),
        (lambda text: text.replace("rules.window:", "rules.hours:"), "rules.hours is no term; known are"),
        (lambda text: text.replace("read: 2026", "read: soon"), "read: allowed: a day, such as 2026-11-23"),
        (lambda text: text.replace("title:", "heading:"), "heading: allowed:"),
        (
            lambda text: text.replace("{value: 60, source: national_grid}", "60"),
            "rules.most_events has no value and source",
        ),
    ],
)
def test_a_presets_mistake_is_named(change: Callable[[str], str], complaint: str) -> None:
    text = (presets.FOLDER / "connected_solutions_ma.yaml").read_text(encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        presets.read("connected_solutions_ma", change(text))
    assert complaint in str(refused.value)


def test_the_example_for_contributors_is_a_preset() -> None:
    page = (Path(__file__).parents[2] / "docs" / "programs" / "adding-a-preset.md").read_text(encoding="utf-8")
    lines = page[page.index("        title:") : page.index("   `read` is")].splitlines()
    preset = presets.read("example", "\n".join(line.removeprefix(" " * 8) for line in lines))
    assert preset.terms["rules.seasons"] == ["06-01..09-30"]
    assert preset.sources["pay_usd_per_kw"] == "the utility's tariff sheet of 2026, page 3"


def test_a_kept_programs_terms_are_not_filled_twice() -> None:
    entry: dict[str, Any] = {"kind": "manual", "name": "Peak", "preset": "elrp", "rules": {"longest_h": 2}}
    filled = presets.filled(entry)
    assert (filled["rules"]["longest_h"], filled["rules"]["window"]) == (2, "16:00-21:00")
    without = {key: value for key, value in filled.items() if key != "pay_usd_per_kwh"}
    assert presets.filled(without) == without


# ---------------------------------------------------------------------------------------------------------- other kinds


async def test_a_calendar_is_added_read_and_shown_without_its_secret_address(home: Path) -> None:
    calendar = home / "peaks.ics"
    calendar.write_text(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Peak event 5 kW\r\n"
        "DTSTART:20260715T170000\r\nDTEND:20260715T200000\r\nRRULE:FREQ=DAILY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        encoding="utf-8",
    )
    add = ("program", "add", "calendar", "--name", "Peaks", "--preset", "municipal_light_plant", "--url-stdin")
    assert ridethrough(*add, cwd=home, said=f"{calendar.as_uri()}\n").code == 0
    assert (await kept(home))["peaks"]["url"] == calendar.as_uri()
    tested = ridethrough("program", "test", "peaks", cwd=home)
    assert (tested.code, "run or come" in tested.out) == (0, True)
    calendar.write_text("nothing of the kind", encoding="utf-8")
    tested = ridethrough("program", "test", "peaks", cwd=home)
    assert (tested.code, "FAIL contact" in tested.out) == (1, True)
    secret = "https://127.0.0.1:9/private-4711/peaks.ics"
    assert ridethrough(*add, "--replace", cwd=home, said=f"{secret}\n").code == 0
    shown = ridethrough("program", "show", "peaks", cwd=home).out
    assert "https://127.0.0.1:9/***" in shown
    tested = ridethrough("program", "test", "peaks", cwd=home)
    assert (tested.code, "4711" in shown + tested.out) == (1, False)


def test_what_its_protocol_does_not_allow_is_refused_before_it_is_kept(home: Path) -> None:
    done = ridethrough("program", "add", "calendar", "--name", "Peaks", "--url", "ftp://host/x.ics", cwd=home)
    assert (done.code, "ridethrough: url is https://" in done.err) == (2, True)
    words = ("--url", "https://vtn.example.org/OpenADR2/Simple/2.0b", "--certificate-file", "ours.pem")
    done = ridethrough("program", "add", "openadr2b", "--name", "Old", *words, cwd=home)
    assert (done.code, "certificate_file and key_file belong together" in done.err) == (2, True)
    assert not (home / "data").exists()


def test_a_secret_that_a_server_repeats_is_not_shown() -> None:
    entry = {"kind": "openadr3", "url": "https://vtn.example.org/openadr3", "client_id": "x", "client_secret": "s3cret"}
    told = "https://vtn.example.org/openadr3 says: s3cret is wrong"
    assert enrolment.scrubbed(told, entry) == "https://vtn.example.org/openadr3 says: *** is wrong"
    assert enrolment.without_secrets(entry) == {**entry, "client_secret": "***"}
    calendar = {"kind": "calendar", "url": "https://x:pw@cal.example.org/private-1/a.ics?key=2", "key_password": ""}
    assert enrolment.without_secrets(calendar)["url"] == "https://cal.example.org/***"
    assert enrolment.scrubbed(f"GET {calendar['url']} failed", calendar) == "GET *** failed"


async def test_what_an_openadr_server_means_is_said_and_kept(home: Path) -> None:
    words = ("--payload", "SIMPLE:1=cover_house", "--payload", "SIMPLE:2=max_discharge", "--discharge-level", "3")
    done = ridethrough(*OPENADR3, *words, "--no-push", "--currency", "usd", cwd=home)
    assert (done.code, done.err) == (0, "")
    entry = (await kept(home))["peak_savers"]
    assert entry["payload_map"] == {"SIMPLE:1": "cover_house", "SIMPLE:2": "max_discharge"}
    assert (entry["discharge_level"], entry["push"], entry["currency"]) == (3, False, "USD")
    done = ridethrough(*OPENADR3, "--replace", "--payload", "SIMPLE:1=dance", cwd=home)
    assert (done.code, "argument --payload" in done.err) == (2, True)


def test_the_page_on_terms_lists_every_option_and_no_other(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "programs" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`--[^|]*) \|", page, flags=re.MULTILINE)
    told = {flag for row in rows for flag in re.findall(r"--[a-z-]+", row)}
    helped = ridethrough("program", "add", "manual", "--help", cwd=tmp_path).out
    shown = set(re.findall(r"^ +(?:-h, )?(--[a-z0-9-]+)", helped, flags=re.MULTILINE))
    assert told == shown - {"--help", "--config", "--name", "--id", "--replace"}
