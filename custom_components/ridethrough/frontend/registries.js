/** What there is: installations, their devices and their entities, from what Home Assistant's registries say. */

export const DOMAIN = "ridethrough";
// A device's identifier: the installation, and what it is there; the installation alone is the site.
const PART = /^[0-9a-f-]+-(charger|program|load)-/;

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
    // Those that a utility calls stand before the one for calls by hand.
    this.programs = this.of("program").sort((one, other) => isCalled(other) - isCalled(one));
    this.loads = this.of("load");
  }

  of(kind) {
    return this.parts.filter((part) => part.kind === kind);
  }

  ids(...keys) {
    return this.parts.flatMap((part) => part.ids(...keys));
  }
}

const isCalled = (program) => Number(program.entities.has("binary_sensor.connection"));

function kindOf(device) {
  const ours = (device.identifiers ?? []).find(([domain]) => domain === DOMAIN);
  return ours && (PART.exec(ours[1])?.[1] ?? "site");
}

/** The installations that Home Assistant knows, or the one of this config entry. */
export function sitesOf(hass, entry) {
  const parts = new Map();
  for (const device of Object.values(hass.devices)) {
    const kind = kindOf(device);
    if (kind) parts.set(device.id, new Part(device, kind));
  }
  for (const entity of Object.values(hass.entities)) {
    const isShown = entity.platform === DOMAIN && entity.translation_key && !entity.hidden;
    if (isShown) parts.get(entity.device_id)?.add(entity);
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
export async function words(hass) {
  const localize = (await hass.loadBackendTranslation?.("common", DOMAIN)) ?? hass.localize;
  return (name) => {
    const plain = name.replaceAll("_", " ");
    return localize(`component.${DOMAIN}.common.dashboard_${name}`) || plain[0].toUpperCase() + plain.slice(1);
  };
}

export const has = (hass, component) => hass.config.components.includes(component);
