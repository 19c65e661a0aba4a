/** Cards of Home Assistant, made so that a missing entity leaves its card out. */

import { has } from "./registries.js";

// With more, the views of single chargers make room for one that compares them.
export const CHARGERS_SHOWN = 2;
export const NOTHING = ["unknown", "unavailable"];
export const NAME = { type: "entity" };
export const WIDE = { grid_options: { columns: "full" } };
export const THIRD = { vertical: true, grid_options: { columns: 4 } };
// Before all else, and across the whole screen.
export const FIRST = { column_span: 4 };
export const ACROSS = { grid_options: { columns: 12 } };

export const is = (entity, ...state) => ({ condition: "state", entity, state });
export const isNot = (entity, ...state) => ({ condition: "state", entity, state_not: state });
export const or = (...conditions) => ({ condition: "or", conditions });

/** Cards and sections are left out by being undefined. */
export const there = (list) => list.flat(Infinity).filter(Boolean);
export const when = (card, ...visibility) =>
  card && { ...card, visibility: [...(card.visibility ?? []), ...visibility] };

export function tile(part, key, options = {}) {
  const entity = part.id(key);
  return entity && { type: "tile", entity, name: NAME, ...options };
}

/** An entity among several of one key. */
export const plain = (entity) => ({ type: "tile", entity, name: NAME });

/** A tile that is there only while its entity says something. */
export const known = (part, key, options) => when(tile(part, key, options), isNot(part.id(key), ...NOTHING));

/** A tile that is there only while something is the matter. */
export const told = (part, key, options) => when(tile(part, key, options), isNot(part.id(key), "none", ...NOTHING));

/** A tile that is there only while its number is above zero. */
export const some = (part, key, options) =>
  when(tile(part, key, options), { condition: "numeric_state", entity: part.id(key), above: 0 });

/** A tile that is there only in these states. */
export const during = (part, key, states, options) => when(tile(part, key, options), is(part.id(key), ...states));

export const wide = (part, key, options) => tile(part, key, { ...WIDE, ...options });

export const slider = (part, key) => wide(part, key, { features: [{ type: "numeric-input", style: "slider" }] });

export const choice = (part, key) => wide(part, key, { features: [{ type: "select-options" }] });

export const toggle = (part, key, options) =>
  tile(part, key, { features: [{ type: "toggle" }], features_position: "inline", ...WIDE, ...options });

const BAR = { features: [{ type: "bar-gauge", min: 0, max: 100 }] };

/** How full it is; left out while nobody knows, as without a vehicle. */
export const bar = (part, key, options) => known(part, key, { ...WIDE, ...BAR, ...options });

export const trend = (part, key, options) =>
  tile(part, key, { features: [{ type: "trend-graph", hours_to_show: 3 }], ...options });

/** A button that asks before it acts, if there is something to ask. */
export function press(part, key, options = {}, question = undefined) {
  const entity = part.id(key);
  const action = { action: "perform-action", perform_action: "button.press", target: { entity_id: entity } };
  const asked = { ...action, confirmation: question && { text: question } };
  return tile(part, key, { hide_state: true, tap_action: asked, icon_tap_action: asked, ...options });
}

/** A button that is there only while it can be pressed. */
export const offered = (part, key, options, question) =>
  when(press(part, key, options, question), isNot(part.id(key), "unavailable"));

export function heading(text, icon, options = {}) {
  return { type: "heading", heading: text, icon, ...options };
}

/** A heading with what it is about; none without cards. */
export function section(title, cards, options = {}) {
  const mine = there(cards);
  return mine.length ? { type: "grid", cards: [title, ...mine], ...options } : undefined;
}

export const to = (path) => ({ tap_action: { action: "navigate", navigation_path: path } });

/** What an event entity told last; nothing before it told anything. */
export const news = (part, key, name) =>
  known(part, key, { name, state_content: ["event_type", "last_changed"], ...WIDE });

/** In words, for what a tile would cut off. */
export function why(part, key = "sensor.why") {
  const entity = part.id(key);
  if (!entity) return undefined;
  const text = `{{ state_attr('${entity}', 'text') or state_translated('${entity}') }}
{% set next = state_attr('${entity}', 'next_step') %}{% if next %}

**{{ next }}**{% endif %}`;
  return when({ type: "markdown", content: text, text_only: false, ...WIDE }, isNot(entity, ...NOTHING));
}

/** A sentence that is there only in this state of an entity. */
export const sentence = (part, key, state, text) =>
  part.id(key) && when({ type: "markdown", content: text, text_only: false, ...WIDE }, is(part.id(key), state));

export function history(hass, title, span, ...entities) {
  const mine = there(entities);
  if (!has(hass, "history") || !mine.length) return undefined;
  return { type: "history-graph", title, hours_to_show: span, entities: mine, ...WIDE };
}

export const line = (part, key, name = NAME) => part.id(key) && { entity: part.id(key), name };
