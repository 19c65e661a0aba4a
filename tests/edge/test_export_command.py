"""``ridethrough export`` and ``verify`` as a person types them, beside an edge that runs."""

import asyncio
import csv
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_service.simulation.site import SimulatedSite
from tests.edge.edge_kit import QUICK_SITE, SITE, config_of, running

ROOT = Path(__file__).parents[2]


def ridethrough(*words: str, cwd: Path, without: str = "") -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.modules.update(dict.fromkeys({without.split()!r})); "
    program += "from edge_service.command_line import main; sys.exit(main())"
    command = [sys.executable, "-c", program, *words]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
async def house(tmp_path: Path) -> Path:
    """A site whose edge has run and has written the first minute."""
    async with SimulatedSite(QUICK_SITE) as site:
        config = config_of(site, tmp_path)
        text = SITE.format(host="127.0.0.1", charger=site.charger_port, meter=site.meter_port, switch=site.switch_port)
        (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
        async with running(config) as edge:
            await edge.until(lambda state: state["site"]["grid"] == "on")
            image = edge.edge.runner.image
            assert image is not None
            now = datetime.now(UTC).replace(second=0, microsecond=0)
            edge.edge.recorder.add_minute(now - timedelta(days=1), {"grid_w": 1, "house_w": 1, "n": 60})
            await edge.edge.recorder.flush()
            yesterday = (now - timedelta(days=1)).date().isoformat()
            words = ("export", "--from", yesterday, "--to", yesterday, "--out", "beside")
            done = await asyncio.to_thread(ridethrough, *words, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
    return tmp_path


def yesterday() -> str:
    return (datetime.now(UTC) - timedelta(days=1)).date().isoformat()


async def test_an_export_is_made_beside_a_running_edge_and_after_it(house: Path) -> None:
    done = ridethrough("export", "--from", yesterday(), "--to", yesterday(), cwd=house)
    assert done.returncode == 0, done.stderr
    made = house / f"ridethrough-{yesterday()}-to-{yesterday()}"
    assert (made / "minutes.csv").read_bytes() == (house / "beside" / "minutes.csv").read_bytes()
    with (made / "minutes.csv").open(encoding="utf-8", newline="") as file:
        assert [row["site_net_w"] for row in csv.DictReader(file) if row["samples"] == "60"] == ["1"]
    manifest = json.loads((made / "manifest.json").read_text())
    assert manifest["site"]["chargers"] == {"driveway": {"name": "Driveway charger", "driver": "sunspec_der"}}
    checked = ridethrough("verify", str(made), cwd=house)
    assert checked.returncode == 0, checked.stderr
    digest = done.stdout.split()[-1]
    assert digest in checked.stdout
    assert ridethrough("verify", str(made), "--sha256", digest, cwd=house).returncode == 0
    assert ridethrough("verify", str(made), "--sha256", "0" * 64, cwd=house).returncode == 1
    (made / "events.csv").write_text("")
    wrong = ridethrough("verify", str(made), cwd=house)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == "ridethrough: events.csv: it was changed\n"


async def test_what_cannot_be_done_is_one_line(house: Path) -> None:
    period = ("--from", yesterday(), "--to", yesterday())
    again = ridethrough("export", *period, "--out", "beside", cwd=house)
    assert (again.returncode, again.stderr) == (
        1,
        "ridethrough: beside is there already; name another folder with --out\n",
    )
    bare = ridethrough("export", *period, "--format", "parquet", "--out", "p", cwd=house, without="pyarrow")
    assert bare.returncode == 1
    assert bare.stderr == (
        "ridethrough: Parquet needs the extra parquet; in the project's folder: scripts/extra parquet. "
        "Or use --format csv\n"
    )
    assert not (house / "p").exists()
    wrong = ridethrough("export", "--from", "June", "--to", "2026-07-01", cwd=house)
    assert wrong.returncode == 2
    assert "found June; allowed: a day such as 2026-06-01" in wrong.stderr
    nobody = ridethrough("verify", "nowhere", cwd=house)
    assert (nobody.returncode, nobody.stderr) == (1, "ridethrough: manifest.json is missing\n")


def test_nothing_heavy_is_loaded_for_csv_and_no_parquet_in_the_edge(tmp_path: Path) -> None:
    program = (
        "import sys; import edge_service.app, edge_service.export.writing, edge_service.export.verifying\n"
        "sys.exit('pyarrow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_who_exports_is_told_what_is_not_in_it(house: Path) -> None:
    ahead = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    done = ridethrough("export", "--from", yesterday(), "--to", ahead, "--program", "nix", "--out", "made", cwd=house)
    assert done.returncode == 0, done.stderr
    assert "warning: it ends with the last quarter hour that is over: " in done.stderr
    assert "warning: no event of nix is in it; its programs are named by: ridethrough program list" in done.stderr
    whole = ridethrough("export", "--from", yesterday(), "--to", yesterday(), "--out", "whole", cwd=house)
    assert whole.stderr == ""
