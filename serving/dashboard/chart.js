// The last minutes, as many as there are events of, up to an hour. The batch view's part is drawn over the whole: what shows
// above it is the speed view's.

import { brief, minute } from "./format.js";
import { unit, words as wordsOf } from "./measures.js";

const HEIGHT = 220;
const SPANS = [5, 15, 30, 60];
//: a few events that come late, or are of long ago, make no span
const FEW = 0.02;

// the shortest span that has nearly all events
function spanOf(series, counted) {
  const events = series[counted[0]].map((_, place) => counted.reduce((sum, name) => sum + series[name][place], 0));
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
  const whole = sum(events);
  return SPANS.find((span) => sum(events.slice(0, -span)) <= FEW * whole) ?? events.length;
}

export class Chart {
  constructor(declared, place, title, summary, table) {
    this.declared = declared;
    this.place = place;
    this.title = title;
    this.summary = summary;
    this.table = table;
    this.plot = null;
    this.cut = null;
    this.measure = null;
    new ResizeObserver(() => this.plot?.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
    for (const query of ["(prefers-color-scheme: dark)", "print", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => this.again());
    }
  }

  show(hour, cutMs, hasBatch) {
    this.shown = { hour, cutMs, hasBatch };
    const measure = this.declared.measure(this.measure);
    const value = (number) => (measure.money ? number / 100 : number);
    const words = (number) => wordsOf(measure, number);
    const minutes = hour.all[this.measure].map((_, place) => hour.start_ms + 60000 * place);
    const all = hour.all[this.measure], batch = hour.batch[this.measure];
    const span = spanOf(hour.all, this.declared.pipeline.ranked_by);
    this.cut = hasBatch ? cutMs : null;
    this.data = [minutes.map((ms) => ms / 1000), all.map(value), batch.map(value)].map((numbers) => numbers.slice(-span));
    if (this.plot) this.plot.setData(this.data); else this.draw();
    const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
    const recent = (numbers) => sum(numbers.slice(-span));
    const covered = recent(batch), whole = recent(all), older = sum(all) - whole;
    const name = unit(measure);
    const time = span === 60 ? "hour" : `${span} minutes`;
    const parts = [`${words(whole)} ${name} in the last ${time}`];
    if (hasBatch) parts[0] += `: ${words(covered)} from the batch view, ${words(whole - covered)} from the speed view`;
    if (hasBatch && cutMs) parts.push(`the cut is at ${minute(cutMs)} UTC`);
    if (older) parts.push(`${words(older)} more in the hour before`);
    const said = parts.join("; ");
    if (this.summary.textContent !== said) this.summary.textContent = said;
    if (this.title.textContent !== `The last ${time}`) this.title.textContent = `The last ${time}`;
    if (this.table.open) this.list(minutes, all, batch, words);
  }

  // after a choice of somebody who looks, or in other colours
  again() {
    this.plot?.destroy();
    this.plot = null;
    if (this.shown) this.show(this.shown.hour, this.shown.cutMs, this.shown.hasBatch);
  }

  list(minutes, all, batch, words) {
    const rows = [];
    for (let place = minutes.length - 1; place >= 0; place -= 1) {
      if (!all[place]) continue;
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = minute(minutes[place]);
      row.append(head, ...[batch[place], all[place] - batch[place]].map((number) => {
        const cell = document.createElement("td");
        cell.className = "n";
        cell.textContent = words(number);
        return cell;
      }));
      rows.push(row);
    }
    this.table.querySelector("tbody").replaceChildren(...rows);
  }

  draw() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const bars = window.uPlot.paths.bars({ size: [0.8, 120] });
    const axis = { stroke: color("--dim"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    this.plot = new window.uPlot({
      width: this.place.clientWidth,
      height: HEIGHT,
      tzDate: (s) => window.uPlot.tzDate(new Date(1000 * s), "UTC"),
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { range: (_, low, high) => [low - 30, high + 30] }, y: { range: (_, low, high) => [0, Math.max(1, high * 1.08)] } },
      axes: [
        { ...axis, values: (_, splits) => splits.map((s) => minute(1000 * s)), incrs: [60, 120, 300, 600, 900], grid: { show: false } },
        { ...axis, size: 64, values: (_, splits) => splits.map(brief) },
      ],
      series: [
        {},
        { paths: bars, fill: color("--speed"), stroke: color("--speed"), width: 0, points: { show: false } },
        { paths: bars, fill: color("--batch"), stroke: color("--batch"), width: 0, points: { show: false } },
      ],
      hooks: { draw: [(plot) => this.mark(plot, color("--cut"))] },
    }, this.data, this.place);
  }

  mark(plot, color) {
    if (!this.cut) return;
    // bars stand on their minute's middle
    const x = plot.valToPos(this.cut / 1000 - 30, "x", true);
    const { left, top, width, height } = plot.bbox;
    if (x < left || x > left + width) return;
    const context = plot.ctx;
    context.save();
    context.strokeStyle = color;
    context.fillStyle = color;
    context.lineWidth = 2 * devicePixelRatio;
    context.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    context.beginPath();
    context.moveTo(x, top);
    context.lineTo(x, top + height);
    context.stroke();
    context.restore();
  }
}
