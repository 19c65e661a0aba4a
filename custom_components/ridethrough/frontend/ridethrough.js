/**
 * The dashboard that Ridethrough offers: made of Home Assistant's own cards, from what its registries say.
 *
 * An entity is found by integration and translation key, never by its id, so people may rename, move, hide or disable
 * what they like: a card is there when its entity is. Texts are those of the integration's translations.
 */

const DOMAIN = "ridethrough";
// A device's identifier: the installation, and what it is there; the installation alone is the site.
const PART = /^(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(charger|program|load)-/;
// With more, the views of single chargers make room for one that compares them.
const CHARGERS_SHOWN = 2;
const NOTHING = ["unknown", "unavailable"];
const NAME = { type: "entity" };
const WIDE = { grid_options: { columns: "full" } };
const THIRD = { grid_options: { columns: 4 } };

// ------------------------------------------------------------------------------------------------------- what there is

/** One device with its entities. */
class Part {
  constructor(device, kind) {
    this.device = device;
    this.kind = kind;
    this.name = device.name_by_user || device.name || "";
    this.entities = new Map();
  }

  add(entity) {
    const key = `${entity.entity_id.split(".")[0]}.${entity.translation_key}`;
    this.entities.set(key, [...(this.entities.get(key) ?? []), entity.entity_id]);
  }

  /** The id of the entity "platform.translation_key"; undefined: the person or the house has none. */
  id(key) {
    return this.entities.get(key)?.[0];
  }

  ids(...keys) {
    return keys.flatMap((key) => this.entities.get(key) ?? []);
  }

  /** Those of this platform, in the order of their ids. */
  of(platform) {
    const mine = [...this.entities].filter(([key]) => key.startsWith(`${platform}.`));
    return mine.flatMap(([, ids]) => ids).sort();
  }
}

/** One installation: its own device, and those behind it. */
class Site {
  constructor(entry, parts) {
    this.entry = entry;
    this.parts = parts.sort((one, other) => one.name.localeCompare(other.name));
    this.hub = parts.find((part) => part.kind === "site") ?? new Part({ id: "" }, "site");
    this.chargers = this.of("charger");
    this.programs = this.of("program");
    this.loads = this.of("load");
  }

  of(kind) {
    return this.parts.filter((part) => part.kind === kind);
  }

  ids(...keys) {
    return this.parts.flatMap((part) => part.ids(...keys));
  }
}

function kindOf(device) {
  const ours = (device.identifiers ?? []).find(([domain]) => domain === DOMAIN);
  return ours && (PART.exec(ours[1])?.[1] ?? "site");
}

/** The installations that Home Assistant knows, or the one of this config entry. */
function sitesOf(hass, entry) {
  const parts = new Map();
  for (const device of Object.values(hass.devices)) {
    const kind = kindOf(device);
    if (kind) parts.set(device.id, new Part(device, kind));
  }
  for (const entity of Object.values(hass.entities)) {
    if (entity.platform === DOMAIN && entity.translation_key && !entity.hidden) parts.get(entity.device_id)?.add(entity);
  }
  const entries = new Map();
  for (const part of parts.values()) {
    const id = part.device.primary_config_entry ?? part.device.config_entries[0];
    if (!entry || id === entry) entries.set(id, [...(entries.get(id) ?? []), part]);
  }
  const sites = [...entries].map(([id, mine]) => new Site(id, mine));
  return sites.sort((one, other) => one.hub.name.localeCompare(other.hub.name));
}

/** A function from a short name to its text in the person's language; the name itself where there is none. */
async function words(hass) {
  const localize = (await hass.loadBackendTranslation?.("common", DOMAIN)) ?? hass.localize;
  return (name) => {
    const plain = name.replaceAll("_", " ");
    return localize(`component.${DOMAIN}.common.dashboard_${name}`) || plain[0].toUpperCase() + plain.slice(1);
  };
}

const has = (hass, component) => hass.config.components.includes(component);

// --------------------------------------------------------------------------------------------------------------- cards

const is = (entity, ...state) => ({ condition: "state", entity, state });
const isNot = (entity, ...state) => ({ condition: "state", entity, state_not: state });
const or = (...conditions) => ({ condition: "or", conditions });

/** Cards and sections are left out by being undefined. */
const there = (list) => list.flat().filter(Boolean);
const when = (card, ...visibility) => card && { ...card, visibility: [...(card.visibility ?? []), ...visibility] };

function tile(part, key, options = {}) {
  const entity = part.id(key);
  return entity && { type: "tile", entity, name: NAME, ...options };
}

/** A tile that is there only while its entity says something. */
const known = (part, key, options) => when(tile(part, key, options), isNot(part.id(key), ...NOTHING));

/** A tile that is there only in these states. */
const during = (part, key, states, options) => when(tile(part, key, options), is(part.id(key), ...states));

const wide = (part, key, options) => tile(part, key, { ...WIDE, ...options });

const slider = (part, key) => wide(part, key, { features: [{ type: "numeric-input", style: "slider" }] });

const choice = (part, key) => wide(part, key, { features: [{ type: "select-options" }] });

const toggle = (part, key, options) =>
  tile(part, key, { features: [{ type: "toggle" }], features_position: "inline", ...WIDE, ...options });

const bar = (part, key, options) => wide(part, key, { features: [{ type: "bar-gauge", min: 0, max: 100 }], ...options });

const trend = (part, key) => tile(part, key, { features: [{ type: "trend-graph", hours_to_show: 3 }] });

/** A button that asks before it acts, if there is something to ask. */
function press(part, key, options = {}, question = undefined) {
  const entity = part.id(key);
  const action = { action: "perform-action", perform_action: "button.press", target: { entity_id: entity } };
  const confirmation = question && { text: question };
  return tile(part, key, { hide_state: true, tap_action: { ...action, confirmation }, icon_tap_action: { ...action, confirmation }, ...options });
}

/** A button that is there only while it can be pressed. */
const offered = (part, key, options, question) =>
  when(press(part, key, options, question), isNot(part.id(key), "unavailable"));

function heading(text, icon, options = {}) {
  return { type: "heading", heading: text, icon, ...options };
}

/** A heading with what it is about; none without cards. */
function section(title, cards, options = {}) {
  const mine = there(cards);
  return mine.length ? { type: "grid", cards: [title, ...mine], ...options } : undefined;
}

const to = (path) => ({ tap_action: { action: "navigate", navigation_path: path } });

/** In words, for what a tile would cut off. */
function why(part, key = "sensor.why") {
  const entity = part.id(key);
  if (!entity) return undefined;
  const text = `{{ state_attr('${entity}', 'text') or state_translated('${entity}') }}`;
  return when({ type: "markdown", content: text, text_only: false, ...WIDE }, isNot(entity, ...NOTHING));
}

function history(hass, title, hours, ...entities) {
  const mine = there(entities);
  if (!has(hass, "history") || !mine.length) return undefined;
  return { type: "history-graph", title, hours_to_show: hours, entities: mine, ...WIDE };
}

const line = (part, key, name = NAME) => part.id(key) && { entity: part.id(key), name };

// ------------------------------------------------------------------------------------------------------------ sections

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

/** What waits for a person, and nothing at all when nothing does. */
function needsAPerson({ t }, { hub, programs }) {
  const wanted = [
    [hub, "binary_sensor.controller", ["off"], "red"],
    [hub, "binary_sensor.stopped", ["on"], "red"],
    [hub, "binary_sensor.problem", ["on"], "red"],
    [hub, "sensor.backup_readiness", ["not_ready", "degraded"], "orange"],
    [hub, "binary_sensor.alert", ["on"], "orange"],
    ...programs.map((program) => [program, "sensor.event_status", ["asks"], "orange"]),
  ].filter(([part, key]) => part.id(key));
  const cards = wanted.map(([part, key, states, color]) => during(part, key, states, { color, ...WIDE }));
  const visibility = [or(...wanted.map(([part, key, states]) => is(part.id(key), ...states)))];
  const repairs = { type: "repairs", hide_empty: true, ...WIDE };
  return wanted.length ? section(heading(t("needs_you"), "mdi:account-alert"), [cards, repairs], { visibility }) : undefined;
}

/** What counts while the power is out, before all else. */
function outageNow({ t, path }, { hub, chargers }) {
  const cards = [
    wide(hub, "sensor.grid_status", { color: "red" }),
    known(hub, "sensor.backup_runtime_low", THIRD),
    known(hub, "sensor.backup_runtime", THIRD),
    known(hub, "sensor.backup_runtime_high", THIRD),
    known(hub, "sensor.returning_at", WIDE),
    chargers.map((charger) => bar(charger, "sensor.vehicle_battery", { name: [{ type: "device" }, NAME] })),
  ];
  const title = heading(t("power_is_out"), "mdi:transmission-tower-off", to(path("outage")));
  return hub.id("sensor.grid_status") && section(title, cards, { visibility: [inOutage(hub)] });
}

function house({ t, named }, { hub, chargers }) {
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

function backup({ t, path }, { hub }) {
  const title = heading(t("backup"), "mdi:home-battery", to(path("outage")));
  return section(title, [
    tile(hub, "sensor.backup_readiness"),
    known(hub, "sensor.backup_energy"),
    known(hub, "sensor.backup_runtime_low", THIRD),
    known(hub, "sensor.backup_runtime", THIRD),
    known(hub, "sensor.backup_runtime_high", THIRD),
    slider(hub, "number.backup_reserve"),
    known(hub, "sensor.backup_reserve_now", WIDE),
  ]);
}

function vehicleNow({ path }, charger) {
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

function nextEvent({ t, path, several }, { programs }) {
  const name = several(programs) ? [{ type: "device" }, NAME] : NAME;
  const cards = programs.map((program) => [
    wide(program, "sensor.event_status", { name }),
    known(program, "sensor.next_event_start"),
    known(program, "sensor.next_event_end"),
    known(program, "sensor.event_power"),
    known(program, "sensor.event_stake"),
    offered(program, "button.opt_out"),
    offered(program, "button.opt_in"),
    known(program, "sensor.season_earnings", WIDE),
  ]);
  return section(heading(t("peak_events"), "mdi:calendar-clock", to(path("events"))), cards);
}

const powers = ({ hub, chargers }) => [
  ...chargers.map((charger) => line(charger, "sensor.power", [{ type: "device" }])),
  line(hub, "sensor.house_power"),
  line(hub, "sensor.grid_power"),
  line(hub, "sensor.solar_power"),
];

function today({ hass, t }, site) {
  return section(heading(t("last_24_hours"), "mdi:chart-line"), [history(hass, undefined, 24, ...powers(site))]);
}

function sources({ t }, site) {
  const entities = there([
    ...site.chargers.map((charger) => line(charger, "sensor.power", [{ type: "device" }])),
    line(site.hub, "sensor.grid_power"),
    line(site.hub, "sensor.solar_power"),
  ]);
  const card = entities.length > 1 && { type: "distribution", title: t("power_comes_from"), entities, ...WIDE };
  return section(heading(t("right_now"), "mdi:lightning-bolt"), [
    card || undefined,
    trend(site.hub, "sensor.house_power"),
    trend(site.hub, "sensor.grid_power"),
    known(site.hub, "sensor.solar_power"),
    site.chargers.map((charger) => tile(charger, "sensor.power", { name: [{ type: "device" }] })),
    site.hub.ids("sensor.leg_power").map((entity) => ({ type: "tile", entity, name: NAME })),
  ]);
}

function hours({ hass, t }, site) {
  return section(heading(t("last_hours"), "mdi:chart-line"), [history(hass, undefined, 6, ...powers(site))]);
}

/** The cards of the Energy dashboard, when the person has set it up with live power. */
function energyCards({ t }, preferences) {
  const source = preferences?.energy_sources ?? [];
  if (!source.some((one) => one.stat_rate || one.power_config)) return undefined;
  const options = { collection_key: "energy_ridethrough", ...WIDE };
  const cards = [{ type: "power-sankey", ...options }, { type: "power-sources-graph", ...options }];
  return section(heading(t("power_flow"), "mdi:transit-connection-variant", to("/energy")), cards, { column_span: 2 });
}

// -------------------------------------------------------------------------------------------------------------- outage

function isItOn({ t, named }, { hub }) {
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
    wide(hub, "event.outage", { state_content: ["event_type", "last_changed"] }),
  ]);
}

function howLong({ t }, { hub, chargers }) {
  return section(heading(t("how_long"), "mdi:battery-clock"), [
    tile(hub, "sensor.backup_runtime_low", THIRD),
    tile(hub, "sensor.backup_runtime", THIRD),
    tile(hub, "sensor.backup_runtime_high", THIRD),
    tile(hub, "sensor.backup_energy"),
    tile(hub, "sensor.house_power"),
    chargers.map((charger) => [
      bar(charger, "sensor.vehicle_battery", { name: [{ type: "device" }, NAME] }),
      slider(charger, "number.drivers_reserve"),
      known(charger, "sensor.lent"),
    ]),
    choice(hub, "select.at_end"),
    known(hub, "sensor.dark_start", WIDE),
    offered(hub, "button.take_back_lent", WIDE),
  ]);
}

function loads({ t }, { loads }) {
  const cards = loads.map((load) => [
    wide(load, "sensor.load_state", { name: [{ type: "device" }], state_content: ["state", "last_changed"] }),
    tile(load, "switch.shed", { features: [{ type: "toggle" }], features_position: "inline" }),
    tile(load, "sensor.runtime_gain"),
  ]);
  return section(heading(t("loads"), "mdi:power-plug"), cards);
}

function stopAndSwitch({ t }, { hub }) {
  return section(heading(t("switch_and_stop"), "mdi:electric-switch"), [
    tile(hub, "sensor.island_switch"),
    tile(hub, "sensor.island_switch_command"),
    tile(hub, "binary_sensor.stopped"),
    press(hub, "button.stop", { color: "red" }, t("stop_question")),
    during(hub, "binary_sensor.backup_given_up", ["on"], { color: "red" }),
    known(hub, "sensor.backup_retry"),
    offered(hub, "button.retry_backup"),
  ]);
}

function wouldItWork({ t }, { hub }) {
  return section(heading(t("would_backup_work"), "mdi:shield-check"), [
    tile(hub, "sensor.backup_readiness"),
    tile(hub, "sensor.backup_kind"),
    tile(hub, "sensor.drill_status"),
    known(hub, "sensor.drill_score"),
    known(hub, "sensor.last_backup_test"),
    known(hub, "sensor.next_drill"),
    offered(hub, "button.start_drill", {}, t("drill_question")),
    offered(hub, "button.cancel_drill"),
    offered(hub, "button.check_readiness"),
  ]);
}

// -------------------------------------------------------------------------------------------------------------- events

function theNext({ named }, program) {
  return section(heading(program.name, "mdi:calendar-clock"), [
    wide(program, "sensor.event_status"),
    known(program, "sensor.next_event_start"),
    known(program, "sensor.next_event_end"),
    known(program, "sensor.event_power"),
    known(program, "sensor.event_feasible_power"),
    known(program, "sensor.event_stake"),
    when(tile(program, "sensor.event_limited_by"), isNot(program.id("sensor.event_limited_by"), "none", ...NOTHING)),
    offered(program, "button.opt_out"),
    offered(program, "button.opt_in"),
    toggle(program, "switch.participation"),
    slider(program, "number.event_floor"),
  ]);
}

function delivered({ hass, t }, site, program) {
  const asked = line(program, "sensor.event_power");
  return section(heading(t("delivered"), "mdi:home-export-outline"), [
    known(program, "sensor.event_energy"),
    known(program, "sensor.event_average_power"),
    known(program, "sensor.event_earnings"),
    wide(program, "event.peak_event", { state_content: ["event_type", "last_changed"] }),
    asked && history(hass, undefined, 6, asked, ...site.chargers.map((one) => line(one, "sensor.power", [{ type: "device" }]))),
  ]);
}

function season({ t }, program) {
  return section(heading(t("season"), "mdi:cash-multiple"), [
    known(program, "sensor.season_earnings"),
    known(program, "sensor.season_projection"),
    known(program, "sensor.season_power"),
    known(program, "sensor.season_site_power"),
    known(program, "sensor.season_events"),
    known(program, "sensor.season_opt_outs"),
  ]);
}

function calendar({ t }, { programs }) {
  const entities = programs.flatMap((program) => program.of("calendar"));
  const card = { type: "calendar", entities, initial_view: "listWeek", ...WIDE };
  return entities.length ? section(heading(t("calendar"), "mdi:calendar"), [card]) : undefined;
}

// ------------------------------------------------------------------------------------------------------------- vehicle

function vehicle({ t }, charger) {
  return [
    section(heading(charger.name, "mdi:car-electric"), [
      bar(charger, "sensor.vehicle_battery"),
      tile(charger, "binary_sensor.vehicle_connected"),
      tile(charger, "sensor.status"),
      tile(charger, "sensor.power"),
      when(tile(charger, "sensor.limited_by"), isNot(charger.id("sensor.limited_by"), "none", ...NOTHING)),
      why(charger),
      known(charger, "sensor.manual_until"),
      offered(charger, "button.resume_automatic"),
    ]),
    section(heading(t("ready_to_drive"), "mdi:car-clock"), [
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
      known(charger, "sensor.drivers_reserve_now"),
      slider(charger, "number.charge_limit"),
      slider(charger, "number.max_charge_power"),
      slider(charger, "number.max_discharge_power"),
      tile(charger, "number.miles_per_kwh"),
      known(charger, "sensor.charge_limit"),
      known(charger, "sensor.discharge_limit"),
    ]),
  ];
}

// ------------------------------------------------------------------------------------------------- history and devices

function energyOf({ hass, t }, { hub, chargers }) {
  const entities = there([
    ...chargers.flatMap((charger) => charger.ids("sensor.energy_charged", "sensor.energy_discharged")),
    ...hub.ids("sensor.grid_energy_imported", "sensor.grid_energy_exported"),
  ]);
  if (!has(hass, "recorder") || !entities.length) return undefined;
  const card = { type: "statistics-graph", entities, chart_type: "bar", period: "day", days_to_show: 14, stat_types: ["change"] };
  return section(heading(t("energy"), "mdi:chart-bar"), [{ ...card, ...WIDE }], { column_span: 2 });
}

function lastOutage({ t }, { hub }) {
  return section(heading(t("last_outage"), "mdi:history"), [
    known(hub, "sensor.last_outage_duration"),
    known(hub, "sensor.outage_transfer_time"),
    known(hub, "sensor.outage_dark_time"),
    known(hub, "sensor.outage_energy"),
    known(hub, "sensor.outage_lowest_charge"),
    known(hub, "sensor.last_backup_test"),
    known(hub, "sensor.outages"),
    wide(hub, "event.outage", { state_content: ["event_type", "last_changed"] }),
  ]);
}

function course({ hass, t }, { hub, chargers }) {
  return section(heading(t("last_24_hours"), "mdi:chart-timeline-variant"), [
    history(hass, undefined, 24, line(hub, "sensor.grid_status"), line(hub, "sensor.supply"),
      ...chargers.map((charger) => line(charger, "sensor.status", [{ type: "device" }]))),
    history(hass, undefined, 24, ...chargers.map((charger) => line(charger, "sensor.vehicle_battery", [{ type: "device" }]))),
  ]);
}

function diary({ hass, t }, site) {
  const entities = there([...site.parts.flatMap((part) => part.of("event")), ...site.ids("sensor.why"), site.hub.id("sensor.supply")]);
  if (!has(hass, "logbook") || !entities.length) return undefined;
  const card = { type: "logbook", target: { entity_id: entities }, hours_to_show: 72 };
  return section(heading(t("what_happened"), "mdi:format-list-bulleted"), [{ ...card, grid_options: { columns: "full", rows: 8 } }]);
}

const ICONS = { site: "mdi:home-lightning-bolt", charger: "mdi:ev-station", program: "mdi:transmission-tower", load: "mdi:power-plug" };

/** A device: how it is doing, and the way to all of it. */
function deviceSection({ hass }, part) {
  const diagnostic = [...part.entities.values()].flat().filter((id) => hass.entities[id].entity_category === "diagnostic");
  const title = heading(part.name, ICONS[part.kind], to(`/config/devices/device/${part.device.id}`));
  const updates = part.of("update").map((entity) => ({ type: "tile", entity, name: NAME, features: [{ type: "update-actions" }], ...WIDE }));
  const first = [tile(part, "binary_sensor.connection"), tile(part, "binary_sensor.controller"), tile(part, "sensor.status"), tile(part, "sensor.load_state")];
  const shown = new Set(there(first).map((card) => card.entity));
  const rest = diagnostic.filter((id) => !shown.has(id)).sort().map((entity) => ({ entity, name: NAME }));
  return section(title, [updates, first, rest.length ? { type: "entities", entities: rest, ...WIDE } : undefined]);
}

// --------------------------------------------------------------------------------------------------------------- depot

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

function depot({ t, named }, { hub, chargers }) {
  if (chargers.length <= CHARGERS_SHOWN) return [];
  return [
    section(heading(named(t("site"), hub), "mdi:garage"), [
      tile(hub, "sensor.grid_status"),
      trend(hub, "sensor.grid_power"),
      hub.ids("sensor.import_limit", "sensor.export_limit", "sensor.leg_power").map((entity) => ({ type: "tile", entity, name: NAME })),
      why(hub),
      choice(hub, "select.operating_mode"),
    ]),
    section(heading(t("chargers"), "mdi:ev-station"), chargers.map(row), { column_span: 2 }),
  ];
}

// --------------------------------------------------------------------------------------------------------------- views

const few = (site) => (site.chargers.length > CHARGERS_SHOWN ? [] : site.chargers);

/** Each view: its path, its icon, and its sections for one site. */
const VIEWS = [
  ["now", "mdi:home-battery", (tools, site) => [
    needsAPerson(tools, site), outageNow(tools, site), house(tools, site), few(site).map((one) => vehicleNow(tools, one)),
    backup(tools, site), nextEvent(tools, site), today(tools, site),
  ]],
  ["power_flow", "mdi:transit-connection-variant", (tools, site) => [
    sources(tools, site), energyCards(tools, tools.preferences), hours(tools, site),
  ]],
  ["outage", "mdi:transmission-tower-off", (tools, site) => [
    isItOn(tools, site), howLong(tools, site), loads(tools, site), stopAndSwitch(tools, site), wouldItWork(tools, site),
  ]],
  ["peak_events", "mdi:cash-clock", (tools, site) => [
    site.programs.map((one) => [theNext(tools, one), delivered(tools, site, one), season(tools, one)]), calendar(tools, site),
  ]],
  ["vehicle", "mdi:car-electric", (tools, site) => site.chargers.map((one) => vehicle(tools, one))],
  ["depot", "mdi:garage", depot],
  ["history", "mdi:history", (tools, site) => [
    lastOutage(tools, site), course(tools, site), diary(tools, site), energyOf(tools, site),
  ]],
  ["devices", "mdi:devices", (tools, site) => site.parts.map((part) => deviceSection(tools, part))],
];

async function energyPreferences(hass) {
  if (!has(hass, "energy")) return undefined;
  // Refused while nobody has set up the Energy dashboard.
  return hass.callWS({ type: "energy/get_prefs" }).catch(() => undefined);
}

function base() {
  const [, board] = window.location.pathname.split("/");
  return `/${board}`;
}

async function dashboard(config, hass) {
  const sites = sitesOf(hass, config.entry);
  const t = await words(hass);
  if (!sites.length) return { views: [empty(t)] };
  const tools = {
    hass,
    t,
    preferences: await energyPreferences(hass),
    path: (view) => `${base()}/${view}`,
    named: (text, part) => (sites.length > 1 ? `${part.name}: ${text}` : text),
    several: (parts) => parts.length > 1 || sites.length > 1,
  };
  const views = VIEWS.map(([name, icon, make]) => view(name, t(name), icon, there(sites.map((site) => make(tools, site)).flat(3))));
  return { title: t("title"), views: there(views) };
}

function view(name, title, icon, sections) {
  const path = { power_flow: "power", peak_events: "events" }[name] ?? name;
  return sections.length ? { type: "sections", path, title, icon, max_columns: 4, dense_section_placement: true, sections } : undefined;
}

function empty(t) {
  const card = { type: "markdown", content: t("nothing_yet") };
  return { title: t("title"), path: "now", type: "sections", sections: [{ type: "grid", cards: [card] }] };
}

class RidethroughDashboard extends HTMLElement {
  static registryDependencies = ["entities", "devices"];

  static async generate(config, hass) {
    return dashboard(config, hass);
  }

  /** What the dialog for a new dashboard fills in. */
  static async getCreateSuggestions(hass) {
    const t = await words(hass);
    return { title: t("title"), icon: "mdi:home-battery" };
  }

  static getConfigElement() {
    return document.createElement(`${DOMAIN}-dashboard-editor`);
  }
}

/** Which installation to show, for those who have several. */
class RidethroughDashboardEditor extends HTMLElement {
  setConfig(config) {
    this.config = config;
    this.draw();
  }

  set hass(hass) {
    this.known = hass;
    this.draw();
  }

  async draw() {
    if (!this.known || !this.config) return;
    if (!this.form) {
      this.form = document.createElement("ha-form");
      this.form.addEventListener("value-changed", (event) => this.changed(event));
      const t = await words(this.known);
      this.form.computeLabel = () => t("which_site");
      this.form.schema = [{ name: "entry", selector: { config_entry: { integration: DOMAIN } } }];
      this.append(this.form);
    }
    this.form.hass = this.known;
    this.form.data = this.config;
  }

  changed(event) {
    event.stopPropagation();
    const config = { ...this.config, ...event.detail.value };
    if (!config.entry) delete config.entry;
    this.dispatchEvent(new CustomEvent("config-changed", { detail: { config }, bubbles: true, composed: true }));
  }
}

/** One view of the dashboard, for a dashboard of one's own: `strategy: {type: custom:ridethrough, view: outage}`. */
class RidethroughView extends HTMLElement {
  static registryDependencies = ["entities", "devices"];

  static async generate(config, hass) {
    const { views } = await dashboard(config, hass);
    return views.find((one) => one.path === (config.view ?? "now")) ?? views[0];
  }
}

const define = (name, element) => customElements.get(name) ?? customElements.define(name, element);
define(`ll-strategy-dashboard-${DOMAIN}`, RidethroughDashboard);
define(`ll-strategy-view-${DOMAIN}`, RidethroughView);
define(`${DOMAIN}-dashboard-editor`, RidethroughDashboardEditor);

window.customStrategies ??= [];
if (!window.customStrategies.some((one) => one.type === DOMAIN)) {
  window.customStrategies.push({
    type: DOMAIN,
    strategyType: "dashboard",
    name: "Ridethrough",
    description: "Backup power, peak events and the car: what is so now, why, and what comes.",
  });
}
