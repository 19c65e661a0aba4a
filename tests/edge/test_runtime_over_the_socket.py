"""How long backup would last, asked by a paired client of a running edge."""

from pathlib import Path

from tests.edge.test_departure_over_the_socket import a_house_in, paired


async def test_a_client_asks_what_it_would_gain_and_nothing_changes(tmp_path: Path) -> None:
    async with a_house_in(tmp_path) as (_, edge), paired(edge) as client:
        await edge.until(lambda state: (told := state["site"].get("runtime")) and told["p50_h"])
        settings = (edge.state["site"]["mode"], edge.state["site"]["backup_reserve_pct"])
        now = (await client.command("forecast_runtime"))["data"]
        less = (await client.command("forecast_runtime", without_w=1000, soc_pct=100))["data"]
        assert 0 < now["p10_h"] <= now["p50_h"] <= now["p90_h"]
        assert now["gain_h"] == {}
        assert less["usable_wh"] > now["usable_wh"]
        assert less["p50_h"] > now["p50_h"]
        refused = await client.command("forecast_runtime", without=["pool"])
        assert (refused["ok"], refused["error"]["code"]) == (False, "unknown_load")
        assert (edge.state["site"]["mode"], edge.state["site"]["backup_reserve_pct"]) == settings
