"""The ``ridethrough`` command, as a person runs it: a process of its own, with its words and exit codes."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from edge_service.journal.store import SqliteJournal
from edge_service.programs.openadr3_options import OpenAdr3Options

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-for-this-machine"
WITHIN_S = 30

SITE = """\
site: {{name: Home, import_max_a: 100}}
chargers:
  garage: {{name: Garage, model: sunspec_der, address: 127.0.0.1}}
meter: {{model: sunspec_meter, address: 127.0.0.1}}
api: {{port: {port}}}
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


def ridethrough(*words: str, cwd: Path, said: str = "", **environment: str) -> Outcome:
    """Run the command; it must end within half a minute and never show a traceback."""
    command = [sys.executable, "-m", "edge_service", *words]
    surroundings = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **environment}
    done = subprocess.run(
        command, cwd=cwd, env=surroundings, input=said, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert "Traceback" not in done.stderr
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with a right ``site.yaml`` whose edge does not run: its port is held, and closed again."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        (tmp_path / "site.yaml").write_text(SITE.format(port=server.server_port), encoding="utf-8")
    return tmp_path


@dataclass
class FakeEdge:
    """The local API as the contract says it, and what it was asked."""

    answers: dict[str, Any] = field(default_factory=dict)
    commands: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, path: str, body: Mapping[str, Any] | None) -> Any:
        if body is None:
            return self.answers[path]
        self.commands.append(dict(body))
        return {"type": "result", "id": body["id"], "ok": True, "stage": "accepted"} | self.answers[body["name"]]


@contextmanager
def serving(edge: FakeEdge) -> Iterator[int]:
    """Serve the fake on loopback; yields its port."""

    class Talk(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.tell(None)

        def do_POST(self) -> None:
            self.tell(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def tell(self, body: Mapping[str, Any] | None) -> None:
            known = self.headers["Authorization"] == f"Bearer {TOKEN}"
            answer = edge.answer(self.path, body) if known else {}
            content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(401 if not known else 503 if isinstance(answer, str) else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Talk) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(WITHIN_S)


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[FakeEdge]:
    """A running edge of the site in ``tmp_path``."""
    fake = FakeEdge()
    with serving(fake) as port:
        (tmp_path / "site.yaml").write_text(SITE.format(port=port), encoding="utf-8")
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "local.token").write_text(f"{TOKEN}\n", encoding="ascii")
        yield fake


# --------------------------------------------------------------------------------------------------- the command itself


def test_the_version_is_one_line(tmp_path: Path) -> None:
    done = ridethrough("version", cwd=tmp_path)
    assert done.code == 0
    assert done.out.startswith("ridethrough ")
    assert done.out.count("\n") == 1


def test_help_names_every_command(tmp_path: Path) -> None:
    done = ridethrough("--help", cwd=tmp_path)
    commands = ["run", "check", "simulate", "replay", "scenario", "pair", "program", "reset-stop", "state", "version"]
    assert done.code == 0
    assert [name for name in commands if f"\n    {name} " not in done.out] == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["rnu"], "invalid choice: 'rnu'"),
        (["simulate"], "the following arguments are required: WHAT"),
        (["simulate", "load", "much"], "invalid float value: 'much'"),
        (["replay", "--from", "2026-07-04"], "found 2026-07-04; allowed: a time with its zone"),
        (["program", "add", "openadr3", "--name", "X", "--url", "http://vtn.example.org"], "must be https"),
        (["program", "add", "manual", "--name", "X", "--id", "A b"], "allowed: 1 to 32 characters"),
        (["program", "add", "manual", "--name", "X", "--id", "site"], "but not site, hand or manual"),
        (
            ["program", "add", "openadr3", "--name", "X", "--url", "https://a:b@vtn.example.org"],
            "address of the server",
        ),
        (["program", "add", "manual", "--name", "X", "--pay-usd-per-kw", "nan"], "allowed: dollars from 0"),
        (
            ["program", "add", "openadr3", "--poll-s", "0"],
            "--poll-s: found 0; it is a number of seconds from 1 to 3600",
        ),
        (
            ["program", "add", "openadr3", "--token-host", "https://x"],
            "--token-host: found https://x; it is a host name, without scheme",
        ),
    ],
)
def test_a_wrong_command_line_is_one_line_and_code_2(words: list[str], complaint: str, tmp_path: Path) -> None:
    done = ridethrough(*words, cwd=tmp_path)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert done.err.startswith("ridethrough")
    assert complaint in done.err


@pytest.mark.parametrize("words", [["run"], ["check"], ["state"], ["pair"], ["reset-stop"], ["program", "list"]])
def test_a_wrong_configuration_is_told_whole_and_nothing_starts(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("site: {nmae: x}\nchargers: {}\n", encoding="utf-8")
    done = ridethrough(*words, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[0] == "ridethrough: site.yaml has 4 mistakes; nothing of it is used"
    assert "  site.yaml:1: site.nmae: found x, but there is no such key; did you mean name?; allowed:" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["site.yaml"]


def test_a_missing_configuration_is_told_with_the_remedy(tmp_path: Path) -> None:
    done = ridethrough("run", "--config", "other.yaml", cwd=tmp_path)
    assert done.code == 2
    assert done.err == (
        "ridethrough: other.yaml cannot be read: No such file or directory; say which file with --config\n"
    )


def test_a_site_has_one_edge_at_a_time(house: Path) -> None:
    (house / "data").mkdir()
    with (house / "data" / "edge.lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = ridethrough("run", cwd=house)
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("ridethrough: an edge already runs for this site")
    assert [path.name for path in (house / "data").iterdir()] == ["edge.lock"]


def test_a_command_loads_only_what_it_uses(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from edge_service.command_line import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "ours = ('edge_service.simulation', 'edge_service.app', 'edge_service.config')\n"
        "heavy = (*ours, 'asyncio', 'aiohttp', 'pymodbus', 'voluptuous', 'yaml')\n"
        "sys.exit(str([name for name in heavy if name in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert done.stderr.strip() == "[]"


# ----------------------------------------------------------------------------------------------------- a running edge


@pytest.mark.parametrize(
    "finding", [{"device": "garage", "ok": True, "text": "Acme DER, serial 7"}, ["garage", True, "Acme DER, serial 7"]]
)
def test_check_asks_the_edge_that_runs(finding: object, edge: FakeEdge, tmp_path: Path) -> None:
    edge.answers["/api/v1/check"] = {"findings": [finding]}
    done = ridethrough("check", cwd=tmp_path)
    assert done.code == 0
    assert done.out.splitlines() == [
        "site.yaml: in order, 1 charger",
        "The edge is running; it says:",
        "  ok   garage: Acme DER, serial 7",
    ]


def test_check_fails_when_a_device_needs_attention(edge: FakeEdge, tmp_path: Path) -> None:
    edge.answers["/api/v1/check"] = {"findings": [{"device": "garage", "ok": False, "text": "does not answer"}]}
    done = ridethrough("check", cwd=tmp_path)
    assert done.code == 1
    assert "  FAIL garage: does not answer" in done.out
    assert done.err == "ridethrough: 1 of 1 findings need attention\n"


def test_an_edge_that_gives_no_findings_is_said(edge: FakeEdge, tmp_path: Path) -> None:
    edge.answers["/api/v1/check"] = {"error": "not_found"}
    done = ridethrough("check", cwd=tmp_path)
    assert (done.code, "gave no findings" in done.err) == (1, True)


def test_a_pairing_code_is_shown_with_what_to_do_with_it(edge: FakeEdge, tmp_path: Path) -> None:
    edge.answers["new_pairing_code"] = {"data": {"code": "482 913"}}
    done = ridethrough("pair", cwd=tmp_path)
    assert done.code == 0
    assert "│  Pairing code:  482 913 " in done.out
    assert "In Home Assistant open Settings" in done.out
    assert "Home Assistant must run on this machine" in done.out
    (command,) = edge.commands
    assert (command["type"], command["name"], command["args"]) == ("command", "new_pairing_code", {})
    assert command["deadline"].endswith("Z")


def test_a_stop_is_reset_on_site(edge: FakeEdge, tmp_path: Path) -> None:
    edge.answers["reset_stop"] = {}
    assert ridethrough("reset-stop", cwd=tmp_path).code == 0
    assert [command["name"] for command in edge.commands] == ["reset_stop"]


def test_a_reset_that_the_disk_did_not_keep_says_what_a_restart_would_bring(edge: FakeEdge, tmp_path: Path) -> None:
    edge.answers["reset_stop"] = {"data": {"stood": True, "kept": False}}
    done = ridethrough("reset-stop", cwd=tmp_path)
    assert done.code == 0
    assert "The stop is lifted" in done.out
    assert "a restart would bring the stop back" in done.out


def test_a_refusal_of_the_edge_is_one_line(edge: FakeEdge, tmp_path: Path) -> None:
    edge.answers["reset_stop"] = {"ok": False, "error": {"code": "not_ready", "message": "the edge is starting"}}
    done = ridethrough("reset-stop", cwd=tmp_path)
    assert (done.code, done.err) == (1, "ridethrough: the edge refused reset_stop: the edge is starting\n")


def test_the_state_is_shown_in_words_and_what_is_not_known_is_said(edge: FakeEdge, tmp_path: Path) -> None:
    site = {"name": "Home", "grid": "outage", "supply": "island", "mode": "automatic", "house_power_w": 1500}
    edge.answers["/api/v1/state"] = {"site": site, "chargers": {"garage": {"name": "Garage", "power_w": -1500}}}
    done = ridethrough("state", cwd=tmp_path)
    assert done.out.splitlines() == [
        "Home: grid outage, supply island",
        "  mode automatic",
        "  power not known, the house uses 1.50 kW",
        "charger garage (Garage): not known",
        "  gives 1.50 kW, charge of the vehicle not known",
        "  driver's reserve not known, why not known",
    ]


def test_the_state_says_whether_backup_would_work_and_who_sees_the_grid(edge: FakeEdge, tmp_path: Path) -> None:
    reasons = [{"code": "vehicle_absent", "subject": "garage"}, {"code": "drill_too_old", "subject": "site"}]
    evidence = [
        {"source": "meter", "present": False, "counts": True},
        {"source": "garage", "present": True, "counts": False},
        {"source": "voltage relay", "present": None, "counts": False},
    ]
    edge.answers["/api/v1/state"] = {
        "site": {"readiness": {"level": "not_ready", "reasons": reasons}, "evidence": evidence}
    }
    assert ridethrough("state", cwd=tmp_path).out.splitlines()[3:] == [
        "  backup not_ready: vehicle_absent (garage), drill_too_old (site)",
        "  meter: grid lost",
        "  garage: grid there (does not count now)",
        "  voltage relay: cannot tell (does not count now)",
    ]


def test_the_state_is_given_whole_to_programs(edge: FakeEdge, tmp_path: Path) -> None:
    edge.answers["/api/v1/state"] = {"site": {"name": "Maß"}}
    assert json.loads(ridethrough("state", "--json", cwd=tmp_path).out) == {"site": {"name": "Maß"}}


@pytest.mark.parametrize("words", [["state"], ["pair"], ["reset-stop"]])
def test_an_edge_that_does_not_run_is_said_with_the_remedy(words: list[str], house: Path) -> None:
    done = ridethrough(*words, cwd=house)
    assert done.code == 1
    assert "no edge is running for this site" in done.err
    assert done.err.endswith("start it with: ridethrough run\n")


def test_an_edge_that_is_not_ready_says_why(edge: FakeEdge, tmp_path: Path) -> None:
    edge.answers["/api/v1/state"] = "the first cycle is not complete\n"
    done = ridethrough("state", cwd=tmp_path)
    assert done.code == 1
    assert done.err.endswith("says: the first cycle is not complete\n")


def test_a_port_that_another_edge_holds_is_said(edge: FakeEdge, tmp_path: Path) -> None:
    (tmp_path / "data" / "local.token").write_text("not-known-there", encoding="ascii")
    done = ridethrough("state", cwd=tmp_path)
    assert done.code == 1
    assert "does not know the token" in done.err
    assert "not-known-there" not in done.err


# ------------------------------------------------------------------------------------------------------------ programs

OPENADR3 = ("program", "add", "openadr3", "--name", "Peak Savers", "--url", "https://vtn.example.org/openadr3")


async def kept(folder: Path) -> Mapping[str, Any]:
    journal = await SqliteJournal.open(folder / "data")
    try:
        document: Mapping[str, Mapping[str, Any]] = await journal.load_document("programs") or {}
        return document.get("programs", {})
    finally:
        await journal.close()


async def test_a_program_is_kept_for_the_next_start_while_no_edge_runs(house: Path) -> None:
    words = ("--client-id", "home-7", "--client-secret-stdin", "--pay-usd-per-kw", "275")
    done = ridethrough(*OPENADR3, *words, cwd=house, said="s3cret\n")
    assert (done.code, done.out) == (
        0,
        "program peak_savers (Peak Savers) is set; it counts from the edge's next start on\n",
    )
    assert (await kept(house))["peak_savers"] == {
        "kind": "openadr3",
        "name": "Peak Savers",
        "scope": "charger",
        "pay_usd_per_kw": 275.0,
        "season_events": 45,
        "url": "https://vtn.example.org/openadr3",
        "client_id": "home-7",
        "client_secret": "s3cret",
    }


async def test_what_a_utility_does_otherwise_can_be_said_and_is_understood_by_its_protocol(house: Path) -> None:
    words = ("--program-name", "Peak 2026", "--program-id", "p1", "--ven-name", "maple", "--poll-s", "30")
    hosts = ("--token-host", "login.example.org", "--token-host", "Id.example.org")
    assert ridethrough(*OPENADR3, *words, *hosts, "--supply-positive", cwd=house).code == 0
    entry = (await kept(house))["peak_savers"]
    own = {name: entry[name] for name in entry if name not in ("kind", "url", "client_id", "client_secret")}
    options = OpenAdr3Options.checked({**own, "id": "peak_savers", "base_url": entry["url"]})
    assert (options.program_name, options.program_id, options.ven_name) == ("Peak 2026", "p1", "maple")
    assert (options.poll_s, options.consumption_positive) == (30.0, False)
    assert options.token_hosts == ("login.example.org", "id.example.org")


def test_the_page_on_openadr_lists_every_option_and_no_other(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "programs" / "openadr3.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`--[^|]*) \|", page, flags=re.MULTILINE)
    told = {flag for row in rows for flag in re.findall(r"--[a-z-]+", row)}
    helped = ridethrough("program", "add", "openadr3", "--help", cwd=tmp_path).out
    assert told == set(re.findall(r"^ +(?:-h, )?(--[a-z0-9-]+)", helped, flags=re.MULTILINE)) - {"--help", "--config"}


async def test_programs_are_listed_without_secrets_and_removed(house: Path) -> None:
    (house / "secret").write_text("s3cret\n", encoding="ascii")
    (house / "secret").chmod(0o600)
    ridethrough(*OPENADR3, "--client-id", "x", "--client-secret-file", "secret", cwd=house)
    ridethrough("program", "add", "manual", "--name", "By hand", "--id", "hand_1", cwd=house)
    listed = ridethrough("program", "list", cwd=house).out
    assert [line for line in listed.splitlines() if not line.startswith(" ")] == [
        "peak_savers  openadr3  Peak Savers",
        "hand_1  manual  By hand",
    ]
    assert "s3cret" not in listed + ridethrough("program", "show", "peak_savers", cwd=house).out
    assert ridethrough("program", "remove", "peak_savers", cwd=house).code == 0
    assert set(await kept(house)) == {"hand_1"}


async def test_a_program_is_replaced_only_when_asked_to(house: Path) -> None:
    first = ("program", "add", "manual", "--id", "peak", "--name")
    ridethrough(*first, "First", cwd=house)
    refused = ridethrough(*first, "Second", cwd=house)
    assert (refused.code, "say --replace" in refused.err) == (1, True)
    assert ridethrough(*first, "Third", "--replace", cwd=house).code == 0
    assert (await kept(house))["peak"]["name"] == "Third"


def test_removing_what_is_not_there_names_what_is(house: Path) -> None:
    done = ridethrough("program", "remove", "peak", cwd=house)
    assert (done.code, done.err) == (1, "ridethrough: there is no program peak; known are: none\n")
    assert not (house / "data").exists()


def test_a_program_goes_through_the_edge_while_it_runs(edge: FakeEdge, tmp_path: Path) -> None:
    edge.answers |= {"/api/v1/state": {"programs": {}}, "set_program": {}}
    words = ("--client-id", "home-7", "--client-secret-stdin")
    done = ridethrough(*OPENADR3, *words, cwd=tmp_path, said="s3cret\n")
    assert (done.code, done.out) == (0, "program peak_savers (Peak Savers) is set; the running edge has it\n")
    (command,) = edge.commands
    assert command["name"] == "set_program"
    assert command["args"]["id"] == "peak_savers"
    assert command["args"]["program"]["client_secret"] == "s3cret"
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["local.token"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--client-id", "x"], ""),
        (["--client-id", "x", "--client-secret-stdin"], ""),
        (["--client-secret-stdin"], "s3cret\n"),
        (["--client-id", "x", "--client-secret-file", "none"], ""),
    ],
)
def test_half_a_pair_of_credentials_is_refused(words: list[str], said: str, house: Path) -> None:
    done = ridethrough(*OPENADR3, *words, cwd=house, said=said)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "secret" in done.err
    assert "s3cret" not in done.err


# ------------------------------------------------------------------------------------------------------------ simulate


@contextmanager
def simulated_site(folder: Path) -> Iterator[str]:
    """A simulated site started by the command; yields its control address once it has announced itself."""
    (folder / ".demo").mkdir()
    command = [sys.executable, "-m", "edge_service", "simulate", "site", "--announce-file", ".demo/site.json"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as site:
        assert site.stdout is not None
        try:
            announced = json.loads(site.stdout.readline().removeprefix("simulated site: "))
            yield announced["control_url"]
        finally:
            site.send_signal(signal.SIGTERM)
            assert site.wait(WITHIN_S) == 0


def truth(control_url: str) -> Any:
    with urlopen(f"{control_url}/truth", timeout=WITHIN_S) as answer:
        return json.load(answer)


def test_things_happen_at_the_simulated_site_when_told(tmp_path: Path) -> None:
    with simulated_site(tmp_path) as url:
        before = json.dumps(truth(url), sort_keys=True)
        for words in (["outage"], ["unplug"], ["load", "4200"]):
            done = ridethrough("simulate", *words, cwd=tmp_path)
            assert (done.code, done.out) == (0, f"{words[0]}: done\n")
        after = json.dumps(truth(url), sort_keys=True)
        assert '"plugged": true' in before
        assert '"plugged": false' in after
        assert "4200" in after
        assert ridethrough("simulate", "plug", "--soc", "40", "--site", url, cwd=tmp_path).code == 0
        assert ridethrough("simulate", "restore", cwd=tmp_path, RIDETHROUGH_SITE=url).code == 0


def test_a_simulated_site_that_does_not_run_is_said(tmp_path: Path) -> None:
    done = ridethrough("simulate", "outage", cwd=tmp_path)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "no simulated site is announced in .demo/site.json" in done.err


def test_a_simulated_utility_that_does_not_run_is_said(house: Path) -> None:
    done = ridethrough("simulate", "event", "--utility", "http://127.0.0.1:9/simulate", cwd=house)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "no answer from the simulated utility at http://127.0.0.1:9/simulate" in done.err
    done = ridethrough("simulate", "cancel", "--utility", "http://127.0.0.1:9", cwd=house)
    assert "no answer from the simulated utility at http://127.0.0.1:9/simulate/cancel" in done.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--seconds", "soon"), "found soon; allowed: seconds from 0.1 to 60"),
        (("--interface", "eth0"), "found eth0; allowed: an address such as 192.168.1.20"),
    ],
)
def test_discovery_refuses_what_it_cannot_ask_by(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    done = ridethrough("program", "discover", *words, cwd=tmp_path)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert told in done.err
