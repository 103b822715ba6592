// What the pipeline declares, as the page shows it: tiles, the choice of the chart, tables of the largest values.

import { count, money, narrow } from "./format.js";
import { fill } from "./tables.js";

export const words = (measure, number) => (measure.money ? money(number) : count(number));
export const unit = (measure) => measure.money || measure.label;
const short = (measure, number) => narrow(measure.money ? number / 100 : number);
const named = (measure) => (measure.money ? `${measure.label}, ${measure.money}` : measure.label);
const made = (name, parent, text = "") => {
  const element = document.createElement(name);
  element.textContent = text;
  parent?.append(element);
  return element;
};

export class Declared {
  constructor({ tiles, users, choice, before }) {
    Object.assign(this, { tiles, users, choice, before });
    this.pipeline = null;
  }

  // once, with the first board: a page is of one pipeline
  build(pipeline) {
    if (this.pipeline) return false;
    this.pipeline = pipeline;
    this.headlines = pipeline.measures.filter((measure) => !measure.detail).slice(0, 4);
    this.buildTiles();
    this.headlines.forEach((measure, place) => {
      const label = made("label", this.choice);
      const input = made("input", label);
      Object.assign(input, { type: "radio", name: "measure", value: measure.name, checked: place === 0 });
      label.append(` ${measure.label}`);
    });
    for (const dimension of pipeline.dimensions) this.buildTop(dimension);
    this.users.hidden = !pipeline.users;
    this.users.firstElementChild.textContent = `${pipeline.users}, 15 min`;
    return true;
  }

  buildTiles() {
    for (const tile of this.tiles.querySelectorAll(".big")) tile.remove();
    this.tiles.dataset.big = this.headlines.length;
    const tiles = this.headlines.map((measure) => {
      const tile = document.createElement("div");
      tile.className = "big";
      made("dt", tile, named(measure));
      made("dd", tile, "–").id = `total-${measure.name}`;
      return tile;
    });
    this.tiles.prepend(...tiles);
  }

  buildTop({ name, label }) {
    const section = document.createElement("section");
    section.className = "card top later";
    section.setAttribute("aria-labelledby", `${name}-title`);
    made("h2", section, label).id = `${name}-title`;
    const table = made("table", section);
    table.id = `top-${name}`;
    const caption = made("caption", table, `The largest ${label.toLowerCase()}`);
    caption.className = "unseen";
    this.before.before(section);
  }

  measure(name) {
    return this.pipeline.measures.find((measure) => measure.name === name);
  }

  // how many events a cell counts, as far as its measures tell
  events(cell) {
    return this.pipeline.counted.reduce((sum, name) => sum + cell[name], 0);
  }

  show(totals, top) {
    for (const measure of this.headlines) {
      const place = document.getElementById(`total-${measure.name}`), text = words(measure, totals[measure.name]);
      if (place.textContent !== text) place.textContent = text;
      place.dataset.long = text.length > 9 ? "yes" : "no";
    }
    for (const { name } of this.pipeline.dimensions) {
      fill(document.getElementById(`top-${name}`), [
        { title: name, of: (row) => row.value, head: true },
        ...this.headlines.map((measure) => (
          { title: measure.column, of: (row) => short(measure, row[measure.name]), number: true }
        )),
      ], top?.[name] ?? []);
    }
  }
}
