"""The dashboard's script against other houses: renamed, switched off, two of them, many chargers, none."""

from demo.tour.person import Person

# The script's own element is asked, in the browser, with changed copies of what this Home Assistant's registries say.
CHECK = """async () => {
  const real = document.querySelector("home-assistant").hass;
  const strategy = customElements.get("ll-strategy-dashboard-ridethrough");
  const copy = () => Object.assign(Object.create(real), {
    entities: structuredClone(real.entities), devices: structuredClone(real.devices),
  });
  const build = async (hass, config = {}) => (await strategy.generate(config, hass)).views;
  const text = (views) => JSON.stringify(views);
  const wrong = [];
  const expect = (holds, words) => holds || wrong.push(words);
  const ours = Object.values(real.entities).filter((one) => one.platform === "ridethrough");
  const grid = ours.find((one) => one.translation_key === "grid_status").entity_id;
  const charger = Object.values(real.devices).find((one) => one.identifiers.some(([, id]) => /-charger-/.test(id)));
  const strangers = (hass, views) => {
    const named = text(views).match(/"entity":"[^"]+"/g).map((one) => one.slice(10, -1));
    return named.filter((id) => !hass.entities[id]);
  };
  const clone = (hass, mark, rename) => {
    for (const device of Object.values(real.devices)) {
      if (!device.identifiers.some(([domain]) => domain === "ridethrough")) continue;
      const changed = rename(structuredClone(device));
      if (changed) hass.devices[changed.id] = changed;
    }
    for (const entity of ours) {
      const id = entity.entity_id + mark;
      if (hass.devices[entity.device_id + mark])
        hass.entities[id] = { ...entity, entity_id: id, device_id: entity.device_id + mark };
    }
  };

  let hass = copy();
  hass.entities["sensor.my_own_name"] = { ...hass.entities[grid], entity_id: "sensor.my_own_name" };
  delete hass.entities[grid];
  let views = await build(hass);
  expect(text(views).includes("sensor.my_own_name") && !strangers(hass, views).length, "a renamed entity is lost");

  for (const gone of ours) {
    hass = copy();
    delete hass.entities[gone.entity_id];
    views = await build(hass);
    expect(!strangers(hass, views).length, `without ${gone.entity_id} a card shows ${strangers(hass, views)}`);
    expect(!/null|"type":"tile",(?!"entity":)/.test(text(views)), `without ${gone.entity_id} a card is broken`);
  }

  hass = copy();
  clone(hass, "_2", (device) => {
    const was = device.primary_config_entry ?? device.config_entries[0];
    Object.assign(device, { id: device.id + "_2", primary_config_entry: "second", config_entries: ["second"] });
    return Object.assign(device, { name: `${device.name} 2`, name_by_user: null, was });
  });
  views = await build(hass);
  expect(text(views).includes("Home 2: "), "two sites cannot be told apart");
  views = await build(hass, { entry: "second" });
  expect(!text(views).includes(`"${grid}"`) && text(views).includes(`"${grid}_2"`), "one site cannot be chosen");

  hass = copy();
  for (const mark of ["_b", "_c", "_d"])
    clone(hass, mark, (device) => device.id === charger.id && { ...device, id: device.id + mark });
  views = await build(hass);
  const depot = views.find((one) => one.path === "depot");
  expect(depot && text(depot).includes("_d"), "many chargers have no depot");
  expect(!(await build(copy())).some((one) => one.path === "depot"), "one charger has a depot");

  hass = copy();
  hass.devices = {};
  views = await build(hass);
  expect(views.length === 1 && !text(views).includes("dashboard_"), "an empty Home Assistant is not told what to do");

  hass = copy();
  hass.config = { ...real.config, components: [] };
  views = await build(hass);
  expect(!/history-graph|logbook|statistics-graph|power-sankey/.test(text(views)), "it wants what is not there");
  return wrong;
}"""


async def check(person: Person) -> list[str]:
    """What is wrong; nothing, if all is well."""
    return [f"the dashboard: {words}" for words in await person.ask(CHECK)]
