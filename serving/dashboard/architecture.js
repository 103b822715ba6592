// The picture of the architecture: only the parts that the mode has, and how each one is now. A state is a mark and words,
// not a colour alone.

const SVG = "http://www.w3.org/2000/svg";
export const TITLES = {
  produce: "Producers", kafka: "Kafka", process: "Workers", redis: "Redis", batch: "Batch", lake: "Parquet", serve: "Serving",
};
const WHAT = {
  kafka: "the log", process: "speed layer", redis: "speed view", batch: "batch layer",
  lake: "batch view", serve: "merges and answers",
};
// a, b and c
const listed = (names) => [names.slice(0, -1).join(", "), names.at(-1)].filter(Boolean).join(" and ");
const MARKS = { ok: "●", quiet: "○", slow: "▲", down: "✕", unknown: "?" };
const LINKS = [
  ["produce", "kafka"], ["kafka", "process"], ["process", "redis"], ["redis", "serve"],
  ["kafka", "batch"], ["batch", "lake"], ["lake", "serve"],
];
const W = 172, H = 84;

function places(names, tall) {
  const both = names.includes("process") && names.includes("batch");
  const at = {};
  const lane = (name) => (name === "process" || name === "redis" ? 0 : 1);
  const step = { produce: 0, kafka: 1, process: 2, batch: 2, redis: 3, lake: 3, serve: 4 };
  for (const name of names) {
    const along = step[name], across = both ? (along === 2 || along === 3 ? lane(name) : 0.5) : 0;
    at[name] = tall ? [across * (W + 14), along * (H + 34)] : [along * (W + 36), across * (H + 30)];
  }
  const width = tall ? (both ? 2 * W + 14 : W) : 5 * W + 4 * 36;
  const height = tall ? 5 * H + 4 * 34 : both ? 2 * H + 30 : H;
  return { at, width, height };
}

function element(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
}

// a state that is longer than its box is set closer
function fit(place, text) {
  place.textContent = text;
  place.removeAttribute("textLength");
  if (place.getComputedTextLength() > W - 24) {
    place.setAttribute("lengthAdjust", "spacingAndGlyphs");
    place.setAttribute("textLength", W - 24);
  }
}

export class Architecture {
  constructor(svg, list) {
    this.svg = svg;
    this.list = list;
    this.narrow = matchMedia("(max-width: 760px)");
    this.drawn = "";
    this.nodes = {};
    this.shown = null;
    this.narrow.addEventListener("change", () => this.again());
  }

  show(parts, mode, streams) {
    const names = parts.map((part) => part.name);
    const key = `${names} ${this.narrow.matches} ${mode.kafka_keeps}`;
    if (key !== this.drawn) this.draw(names, mode, streams);
    this.drawn = key;
    for (const part of parts) {
      const node = this.nodes[part.name];
      const state = `${MARKS[part.state]} ${part.says}`, item = `${TITLES[part.name]}: ${part.state}, ${part.says}`;
      node.group.dataset.state = part.state;
      if (node.state.textContent !== state) fit(node.state, state);
      if (node.item.textContent !== item) node.item.textContent = item;
      for (const link of node.links) link.dataset.flow = part.state === "ok" ? "yes" : "no";
    }
    this.shown = { parts, mode, streams };
  }

  // nothing is heard any more: nobody knows how any part is
  forget() {
    if (!this.shown) return;
    const parts = this.shown.parts.map((part) => ({ ...part, state: "unknown", says: "not known" }));
    this.show(parts, this.shown.mode, this.shown.streams);
  }

  again() {
    if (this.shown) this.show(this.shown.parts, this.shown.mode, this.shown.streams);
  }

  draw(names, mode, streams) {
    const tall = this.narrow.matches;
    const { at, width, height } = places(names, tall);
    this.svg.replaceChildren();
    this.list.replaceChildren();
    this.svg.setAttribute("viewBox", `-3 -3 ${width + 6} ${height + 6}`);
    this.svg.dataset.shape = tall ? "tall" : "wide";
    const marker = element("marker", { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" },
      element("defs", {}, this.svg));
    element("path", { d: "M0 0 L8 4 L0 8 z" }, marker);
    this.nodes = {};
    for (const name of names) this.nodes[name] = { links: [] };
    for (const [from, to] of LINKS) {
      if (!at[from] || !at[to]) continue;
      const [x1, y1] = at[from], [x2, y2] = at[to];
      const start = tall ? [x1 + W / 2, y1 + H] : [x1 + W, y1 + H / 2];
      const end = tall ? [x2 + W / 2, y2 - 2] : [x2 - 2, y2 + H / 2];
      const middle = tall ? (start[1] + end[1]) / 2 : (start[0] + end[0]) / 2;
      const path = tall
        ? `M${start} C${start[0]} ${middle} ${end[0]} ${middle} ${end}`
        : `M${start} C${middle} ${start[1]} ${middle} ${end[1]} ${end}`;
      const link = element("path", { d: path, class: "link", "marker-end": "url(#tip)" }, this.svg);
      this.nodes[from].links.push(link);
    }
    for (const name of names) {
      const [x, y] = at[name];
      const group = element("g", { class: "node", transform: `translate(${x} ${y})` }, this.svg);
      element("rect", { width: W, height: H, rx: 10 }, group);
      element("text", { x: 14, y: 25, class: "name" }, group, TITLES[name]);
      const what = name === "kafka" && mode.job_versions ? "the log, kept for good" : WHAT[name] ?? listed(streams);
      element("text", { x: 14, y: 44, class: "what" }, group, what);
      const state = element("text", { x: 14, y: 67, class: "state" }, group);
      const item = document.createElement("li");
      this.list.append(item);
      Object.assign(this.nodes[name], { group, state, item });
    }
  }
}
