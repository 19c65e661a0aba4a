/**
 * The dashboard that Ridethrough offers: made of Home Assistant's own cards, from what its registries say.
 *
 * An entity is found by integration and translation key, never by its id, so people may rename, move, hide or disable
 * what they like: a card is there when its entity is. Texts are those of the integration's translations.
 */

import { DOMAIN, has, sitesOf, words } from "./registries.js";
import { CHARGERS_SHOWN, there } from "./cards.js";
import {
  backup, energyCards, hours, house, needsAPerson, nextEvent, outageNow, sources, today, vehicleNow,
} from "./sections_now.js";
import { howLong, isItOn, loads, stopAndSwitch, wouldItWork } from "./sections_outage.js";
import {
  calendar, course, delivered, depot, deviceSection, diary, energyOf, lastOutage, season, theNext, vehicle,
} from "./sections_more.js";

const few = (site) => (site.chargers.length > CHARGERS_SHOWN ? [] : site.chargers);

/** Each view: its path, its icon, and its sections for one site. */
const VIEWS = [
  ["now", "mdi:home-battery", (tools, site) => [
    outageNow(tools, site), needsAPerson(tools, site), house(tools, site),
    few(site).map((one) => vehicleNow(tools, one)),
    backup(tools, site), nextEvent(tools, site), today(tools, site),
  ]],
  ["power_flow", "mdi:transit-connection-variant", (tools, site) => [
    sources(tools, site), energyCards(tools, site), hours(tools, site),
  ]],
  ["outage", "mdi:transmission-tower-off", (tools, site) => [
    isItOn(tools, site), howLong(tools, site), loads(tools, site), stopAndSwitch(tools, site), wouldItWork(tools, site),
  ]],
  ["peak_events", "mdi:cash-clock", (tools, site) => [
    site.programs.map((one) => [theNext(tools, one), delivered(tools, site, one), season(tools, one)]),
    calendar(tools, site),
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
  const sections = (make) => there(sites.map((site) => make(tools, site)));
  const views = VIEWS.map(([name, icon, make]) => view(name, t(name), icon, sections(make)));
  return { title: t("title"), views: there(views) };
}

function view(name, title, icon, sections) {
  const path = { power_flow: "power", peak_events: "events" }[name] ?? name;
  const shape = { type: "sections", max_columns: 4, dense_section_placement: true };
  return sections.length ? { ...shape, path, title, icon, sections } : undefined;
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
