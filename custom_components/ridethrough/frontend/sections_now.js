/** Sections about the present: house, vehicle, what comes, what waits for a person. */

import { has } from "./registries.js";
import {
  ACROSS, bar, CHARGERS_SHOWN, choice, during, FIRST, heading, history, is, known, line, NAME, offered, plain, or,
  section, sentence, slider, there, THIRD, tile, to, toggle, trend, why, WIDE, wide,
} from "./cards.js";

/** True in an outage and until the house is back on the grid. */
function inOutage(hub) {
  const grid = hub.id("sensor.grid_status");
  const supply = hub.id("sensor.supply");
  return or(
    ...there([
      grid && is(grid, "checking", "outage", "islanded", "reconnecting", "generator"),
      supply && is(supply, "transfer", "island", "vendor_backup", "none"),
    ]),
  );
}

const onGrid = (hub) => ({ condition: "not", conditions: [inOutage(hub)] });

// Where the state alone would leave a person asking what it is.
const SAYS_MORE = {
  "binary_sensor.site_problem": { state_content: ["state", "notices"] },
  "binary_sensor.problem": { state_content: ["state", "alarms"] },
  "sensor.backup_readiness": { state_content: ["state", "reasons"] },
};

/** What waits for a person, and nothing at all when nothing does. */
export function needsAPerson({ t }, { hub, chargers, programs }) {
  const wanted = [
    [hub, "binary_sensor.controller", ["off"], "red"],
    [hub, "binary_sensor.stopped", ["on"], "red"],
    [hub, "binary_sensor.site_problem", ["on"], "red"],
    ...chargers.map((charger) => [charger, "binary_sensor.problem", ["on"], "red"]),
    [hub, "sensor.backup_readiness", ["not_ready", "degraded"], "orange"],
    [hub, "binary_sensor.alert", ["on"], "orange"],
    ...programs.map((program) => [program, "binary_sensor.program_problem", ["on"], "orange"]),
    ...programs.map((program) => [program, "sensor.event_status", ["asks"], "orange"]),
  ].filter(([part, key]) => part.id(key));
  const cards = wanted.map(([part, key, states, color]) => {
    const name = part === hub ? NAME : [{ type: "device" }, NAME];
    return during(part, key, states, { color, name, ...SAYS_MORE[key], ...ACROSS });
  });
  const visibility = [or(...wanted.map(([part, key, states]) => is(part.id(key), ...states)))];
  const repairs = { type: "repairs", hide_empty: true, ...ACROSS };
  const title = heading(t("needs_you"), "mdi:account-alert");
  const gone = sentence(hub, "binary_sensor.controller", "off", t("controller_gone"));
  return wanted.length ? section(title, [cards, gone, repairs], { ...FIRST, visibility }) : undefined;
}

/** How long it lasts: at least, probably, at best. */
export const runtimes = ({ t }, hub) => [
  known(hub, "sensor.backup_runtime_low", { name: t("at_least"), ...THIRD }),
  known(hub, "sensor.backup_runtime", { name: t("probably"), ...THIRD }),
  known(hub, "sensor.backup_runtime_high", { name: t("at_best"), ...THIRD }),
];

/** What counts while the power is out, before all else. */
export function outageNow({ t, path }, { hub, chargers }) {
  const cards = [
    tile(hub, "sensor.grid_status", { color: "red", ...ACROSS }),
    runtimes({ t }, hub),
    known(hub, "sensor.returning_at", ACROSS),
    chargers.map((charger) => bar(charger, "sensor.vehicle_battery", { name: { type: "device" }, ...ACROSS })),
  ];
  const title = heading(t("power_is_out"), "mdi:transmission-tower-off", to(path("outage")));
  return hub.id("sensor.grid_status") && section(title, cards, { ...FIRST, visibility: [inOutage(hub)] });
}

export function house({ t, named }, { hub, chargers }) {
  return section(heading(named(t("house"), hub), "mdi:home"), [
    tile(hub, "sensor.grid_status"),
    tile(hub, "sensor.supply"),
    trend(hub, "sensor.house_power"),
    trend(hub, "sensor.grid_power"),
    known(hub, "sensor.solar_power", WIDE),
    chargers.length > CHARGERS_SHOWN ? undefined : why(hub),
    choice(hub, "select.operating_mode"),
    toggle(hub, "switch.storm_hold"),
    known(hub, "sensor.storm_until", WIDE),
  ]);
}

export function backup({ t, path }, { hub }) {
  const title = heading(t("backup"), "mdi:home-battery", to(path("outage")));
  return section(title, [
    tile(hub, "sensor.backup_readiness"),
    known(hub, "sensor.backup_energy"),
    runtimes({ t }, hub),
    slider(hub, "number.backup_reserve"),
    known(hub, "sensor.backup_reserve_now", WIDE),
  ]);
}

export function vehicleNow({ path }, charger) {
  const title = heading(charger.name, "mdi:car-electric", to(path("vehicle")));
  return section(title, [
    bar(charger, "sensor.vehicle_battery"),
    tile(charger, "sensor.status"),
    tile(charger, "sensor.power"),
    why(charger),
    known(charger, "sensor.next_departure"),
    during(charger, "sensor.departure_status", ["ready", "waits", "charges", "late"]),
    known(charger, "sensor.manual_until"),
    offered(charger, "button.resume_automatic"),
    slider(charger, "number.drivers_reserve"),
  ]);
}

/** The event that is next, or runs. */
export const coming = ({ t }, program) => [
  known(program, "sensor.next_event_start", { name: t("starts") }),
  known(program, "sensor.next_event_end", { name: t("ends") }),
  known(program, "sensor.event_power", { name: t("asked") }),
  known(program, "sensor.event_feasible_power", { name: t("possible") }),
  known(program, "sensor.event_stake", { name: t("at_stake") }),
  offered(program, "button.opt_out", { name: t("opt_out") }),
  offered(program, "button.opt_in", { name: t("take_part") }),
];

export function nextEvent(tools, { programs }) {
  const { t, path } = tools;
  const cards = programs.map((program) => [
    wide(program, "sensor.event_status", { name: { type: "device" } }),
    coming(tools, program),
    known(program, "sensor.season_earnings", { name: t("earned_this_season") }),
  ]);
  return section(heading(t("peak_events"), "mdi:calendar-clock", to(path("events"))), cards);
}

const powers = ({ hub, chargers }) => [
  ...chargers.map((charger) => line(charger, "sensor.power", [{ type: "device" }])),
  line(hub, "sensor.house_power"),
  line(hub, "sensor.grid_power"),
  line(hub, "sensor.solar_power"),
];

export function today({ hass, t }, site) {
  return section(heading(t("last_24_hours"), "mdi:chart-line"), [history(hass, undefined, 24, ...powers(site))]);
}

export function sources({ t }, { hub, chargers }) {
  const entities = there([
    ...chargers.map((charger) => line(charger, "sensor.power", [{ type: "device" }])),
    line(hub, "sensor.grid_power"),
    line(hub, "sensor.solar_power"),
  ]);
  return section(heading(t("power_comes_from"), "mdi:lightning-bolt"), [
    entities.length > 1 ? { type: "distribution", entities, ...WIDE } : undefined,
    chargers.map((charger) => trend(charger, "sensor.power", { name: { type: "device" } })),
    trend(hub, "sensor.grid_power"),
    trend(hub, "sensor.house_power"),
    known(hub, "sensor.solar_power"),
    hub.ids("sensor.leg_power").map(plain),
  ]);
}

export function hours({ hass, t }, site) {
  return section(heading(t("last_hours"), "mdi:chart-line"), [history(hass, undefined, 6, ...powers(site))]);
}

function offerEnergy({ hass, t }, { entry }) {
  const action = { perform_action: "ridethrough.fill_energy_dashboard", data: { config_entry_id: entry } };
  const tap = { tap_action: { action: "perform-action", ...action } };
  const button = { type: "button", name: t("fill_energy"), icon: "mdi:transmission-tower-import", ...tap, ...WIDE };
  const title = heading(t("power_flow"), "mdi:transit-connection-variant");
  return hass.user?.is_admin ? section(title, [button]) : undefined;
}

/** The cards of the Energy dashboard; while it knows no live power, a way to fill it in. */
export function energyCards({ hass, t, preferences }, site) {
  if (!has(hass, "energy")) return undefined;
  const source = preferences?.energy_sources ?? [];
  if (!source.some((one) => one.stat_rate || one.power_config)) return offerEnergy({ hass, t }, site);
  const options = { collection_key: "energy_ridethrough", ...WIDE };
  const cards = [{ type: "power-sankey", ...options }, { type: "power-sources-graph", ...options }];
  return section(heading(t("power_flow"), "mdi:transit-connection-variant", to("/energy")), cards, { column_span: 2 });
}
