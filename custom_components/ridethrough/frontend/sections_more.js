/** Sections about events, driving, the past, the devices, and many chargers. */

import { has } from "./registries.js";
import {
  bar, CHARGERS_SHOWN, choice, heading, history, isNot, known, line, NAME, news, NOTHING, offered, plain, section,
  slider, there, tile, to, toggle, told, trend, why, WIDE, wide,
} from "./cards.js";
import { coming } from "./sections_now.js";

export function theNext(tools, program) {
  return section(heading(program.name, "mdi:calendar-clock"), [
    wide(program, "sensor.event_status"),
    coming(tools, program),
    told(program, "sensor.event_limited_by", WIDE),
    toggle(program, "switch.participation"),
    slider(program, "number.event_floor"),
  ]);
}

/** Of the event that runs, or of the last one; nothing before the first. */
export function delivered({ hass, t }, site, program) {
  const energy = program.id("sensor.event_energy");
  const asked = line(program, "sensor.event_power", t("asked"));
  const given = site.chargers.map((one) => line(one, "sensor.power", [{ type: "device" }]));
  const cards = [
    known(program, "sensor.event_energy", { name: t("energy_given") }),
    known(program, "sensor.event_average_power", { name: t("on_average") }),
    known(program, "sensor.event_earnings", { name: t("earned") }),
    news(program, "event.peak_event", t("last_news")),
    asked && history(hass, undefined, 6, asked, ...given),
  ];
  const visibility = energy && { visibility: [isNot(energy, ...NOTHING)] };
  return section(heading(t("delivered"), "mdi:home-export-outline"), cards, visibility);
}

export function season({ t }, program) {
  const earned = program.id("sensor.season_earnings");
  const cards = [
    known(program, "sensor.season_earnings", { name: t("earned") }),
    known(program, "sensor.season_projection", { name: t("expected") }),
    known(program, "sensor.season_power", { name: t("on_average") }),
    known(program, "sensor.season_site_power", { name: t("at_the_meter") }),
    known(program, "sensor.season_events", { name: t("events") }),
    known(program, "sensor.season_opt_outs", { name: t("opted_out") }),
  ];
  const visibility = earned && { visibility: [isNot(earned, ...NOTHING)] };
  return section(heading(t("season"), "mdi:cash-multiple"), cards, visibility);
}

export function calendar({ t }, { programs }) {
  const entities = programs.flatMap((program) => program.of("calendar"));
  const card = { type: "calendar", entities, initial_view: "listWeek", ...WIDE };
  return entities.length ? section(heading(t("calendar"), "mdi:calendar"), [card]) : undefined;
}

export function vehicle({ t }, charger) {
  return [
    section(heading(charger.name, "mdi:car-electric"), [
      bar(charger, "sensor.vehicle_battery"),
      tile(charger, "binary_sensor.vehicle_connected"),
      tile(charger, "sensor.status"),
      tile(charger, "sensor.power"),
      told(charger, "sensor.limited_by"),
      told(charger, "sensor.blocked_by", WIDE),
      why(charger),
      known(charger, "sensor.manual_until"),
      offered(charger, "button.resume_automatic"),
      offered(charger, "button.clear_fault"),
      choice(charger, "select.charge_mode"),
    ]),
    section(heading(t("ready_to_drive"), "mdi:car-clock"), [
      toggle(charger, "switch.ready_by"),
      wide(charger, "time.ready_by"),
      slider(charger, "number.target_charge"),
      known(charger, "sensor.next_departure"),
      tile(charger, "sensor.departure_status"),
      known(charger, "sensor.departure_target"),
      known(charger, "sensor.departure_charge"),
      offered(charger, "button.skip_departure", {}, t("skip_question")),
    ]),
    section(heading(t("limits"), "mdi:battery-lock"), [
      slider(charger, "number.drivers_reserve"),
      known(charger, "sensor.drivers_reserve_now", { name: t("reserve_now") }),
      slider(charger, "number.max_charge_power"),
      slider(charger, "number.max_discharge_power"),
      tile(charger, "number.miles_per_kwh"),
      known(charger, "sensor.charging_available"),
      known(charger, "sensor.discharging_available"),
    ]),
  ];
}

export function energyOf({ hass, t }, { hub, chargers }) {
  const entities = there([
    ...chargers.flatMap((charger) => charger.ids("sensor.energy_charged", "sensor.energy_discharged")),
    ...chargers.flatMap((charger) => charger.ids("sensor.energy_backup", "sensor.energy_events")),
    ...hub.ids("sensor.grid_energy_imported", "sensor.grid_energy_exported"),
  ]);
  if (!has(hass, "recorder") || !entities.length) return undefined;
  const shown = { chart_type: "bar", period: "day", days_to_show: 14, stat_types: ["change"] };
  const card = { type: "statistics-graph", entities, ...shown };
  return section(heading(t("energy"), "mdi:chart-bar"), [{ ...card, ...WIDE }], { column_span: 2 });
}

export function lastOutage({ t }, { hub }) {
  const last = hub.id("sensor.last_outage_duration");
  const cards = [
    known(hub, "sensor.last_outage_duration", { name: t("lasted") }),
    known(hub, "sensor.outage_transfer_time", { name: t("taken_over_after") }),
    known(hub, "sensor.outage_dark_time", { name: t("dark_for") }),
    known(hub, "sensor.outage_energy", { name: t("energy_given") }),
    known(hub, "sensor.outage_lowest_charge", { name: t("lowest_charge") }),
    known(hub, "sensor.last_backup_test"),
    known(hub, "sensor.outages"),
    news(hub, "event.outage", t("last_news")),
  ];
  const visibility = last && { visibility: [isNot(last, ...NOTHING)] };
  return section(heading(t("last_outage"), "mdi:history"), cards, visibility);
}

export function course({ hass, t }, { hub, chargers }) {
  return section(heading(t("last_24_hours"), "mdi:chart-timeline-variant"), [
    history(hass, undefined, 24, line(hub, "sensor.grid_status"), line(hub, "sensor.supply"),
      ...chargers.map((charger) => line(charger, "sensor.status", [{ type: "device" }]))),
    history(hass, undefined, 24, ...chargers.map((one) => line(one, "sensor.vehicle_battery", [{ type: "device" }]))),
  ]);
}

export function diary({ hass, t }, site) {
  const events = site.parts.flatMap((part) => part.of("event"));
  const entities = [...events, ...site.ids("sensor.why"), ...site.hub.ids("sensor.supply")];
  if (!has(hass, "logbook") || !entities.length) return undefined;
  const card = { type: "logbook", target: { entity_id: entities }, hours_to_show: 72 };
  const size = { grid_options: { columns: "full", rows: 8 } };
  return section(heading(t("what_happened"), "mdi:format-list-bulleted"), [{ ...card, ...size }]);
}

const ICONS = {
  site: "mdi:home-lightning-bolt",
  charger: "mdi:ev-station",
  program: "mdi:transmission-tower",
  load: "mdi:power-plug",
};

/** A device: how it is doing, and the way to all of it. */
export function deviceSection({ hass }, part) {
  const all = [...part.entities.values()].flat();
  const diagnostic = all.filter((id) => hass.entities[id].entity_category === "diagnostic");
  const title = heading(part.name, ICONS[part.kind], to(`/config/devices/device/${part.device.id}`));
  const updates = part.of("update").map((entity) => ({ type: "tile", entity, name: NAME, ...WIDE }));
  const states = ["binary_sensor.connection", "binary_sensor.controller", "sensor.status", "sensor.load_state"];
  const first = states.map((key) => tile(part, key));
  const elsewhere = part.ids("sensor.last_backup_test", "sensor.island_switch", "sensor.island_switch_command");
  const shown = new Set([...elsewhere, ...there(first).map((card) => card.entity)]);
  const rest = diagnostic.filter((id) => !shown.has(id)).sort().map((entity) => ({ entity, name: NAME }));
  return section(title, [updates, first, rest.length ? { type: "entities", entities: rest, ...WIDE } : undefined]);
}

const QUARTER = { grid_options: { columns: 3 } };

/** One charger as a row of a table. */
function row(charger) {
  return [
    heading(charger.name, "mdi:ev-station", { heading_style: "subtitle" }),
    tile(charger, "sensor.status", QUARTER),
    tile(charger, "sensor.vehicle_battery", QUARTER),
    tile(charger, "sensor.power", QUARTER),
    tile(charger, "sensor.departure_status", QUARTER) ?? tile(charger, "sensor.next_departure", QUARTER),
  ];
}

export function depot({ t, named }, { hub, chargers }) {
  if (chargers.length <= CHARGERS_SHOWN) return [];
  return [
    section(heading(named(t("site"), hub), "mdi:garage"), [
      tile(hub, "sensor.grid_status"),
      trend(hub, "sensor.grid_power"),
      hub.ids("sensor.leg_power", "binary_sensor.export_permitted").map(plain),
      why(hub),
      choice(hub, "select.operating_mode"),
    ]),
    section(heading(t("chargers"), "mdi:ev-station"), chargers.map(row), { column_span: 2 }),
  ];
}
