/** Sections about an outage: the one that runs, and whether the next would be bridged. */

import {
  bar, choice, during, heading, known, news, offered, press, section, slider, some, tile, why, WIDE, wide,
} from "./cards.js";
import { runtimes } from "./sections_now.js";

export function isItOn({ t, named }, { hub }) {
  return section(heading(named(t("is_the_power_on"), hub), "mdi:transmission-tower"), [
    tile(hub, "sensor.grid_status"),
    tile(hub, "sensor.supply"),
    why(hub),
    known(hub, "sensor.outage_started"),
    known(hub, "sensor.returning_at"),
    tile(hub, "binary_sensor.backup_active"),
    tile(hub, "sensor.grid_sources"),
    during(hub, "binary_sensor.grid_disputed", ["on"], { color: "orange" }),
    during(hub, "binary_sensor.neutral_lost", ["on"], { color: "red" }),
    during(hub, "binary_sensor.generator", ["on"]),
    news(hub, "event.outage", t("last_news")),
  ]);
}

export function howLong({ t }, { hub, chargers }) {
  return section(heading(t("how_long"), "mdi:battery-clock"), [
    runtimes({ t }, hub),
    tile(hub, "sensor.backup_energy"),
    tile(hub, "sensor.house_power"),
    chargers.map((charger) => [
      bar(charger, "sensor.vehicle_battery", { name: { type: "device" } }),
      slider(charger, "number.drivers_reserve"),
      some(charger, "sensor.lent"),
    ]),
    choice(hub, "select.at_end"),
    known(hub, "sensor.dark_start", WIDE),
    offered(hub, "button.take_back_lent", WIDE),
  ]);
}

export function loads({ t }, { loads }) {
  const cards = loads.map((load) => [
    wide(load, "sensor.load_state", { name: { type: "device" }, state_content: ["state", "last_changed"] }),
    known(load, "sensor.runtime_gain", { name: t("off_gives") }),
    tile(load, "switch.shed", { name: t("switch_off"), hide_state: true, tap_action: { action: "toggle" } }),
  ]);
  return section(heading(t("loads"), "mdi:power-plug"), cards);
}

export function stopAndSwitch({ t }, { hub }) {
  return section(heading(t("switch_and_stop"), "mdi:electric-switch"), [
    tile(hub, "sensor.island_switch", { name: t("contacts") }),
    tile(hub, "sensor.island_switch_command", { name: t("command") }),
    tile(hub, "binary_sensor.stopped"),
    press(hub, "button.stop", { name: t("stop_all"), color: "red" }, t("stop_question")),
    during(hub, "binary_sensor.backup_given_up", ["on"], { color: "red" }),
    known(hub, "sensor.backup_retry"),
    offered(hub, "button.retry_backup"),
  ]);
}

export function wouldItWork({ t }, { hub }) {
  return section(heading(t("would_backup_work"), "mdi:shield-check"), [
    tile(hub, "sensor.backup_readiness"),
    tile(hub, "sensor.backup_kind"),
    tile(hub, "sensor.drill_status"),
    known(hub, "sensor.drill_score"),
    known(hub, "sensor.last_backup_test"),
    known(hub, "sensor.next_drill"),
    offered(hub, "button.start_drill", {}, t("drill_question")),
    offered(hub, "button.cancel_drill"),
  ]);
}
