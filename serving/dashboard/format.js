// Numbers and times as people read them. Always the same, whatever the browser's language.

const whole = new Intl.NumberFormat("en-US");
const amount = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export const count = (number) => (number === null || number === undefined ? "–" : whole.format(Math.round(number)));
export const money = (cents) => amount.format(cents / 100);
// for a table's cell; above ten millions the whole number needs more room than there is
const rounded = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 4 });
export const narrow = (number) => (number < 1e7 ? count(number) : rounded.format(number));
// for an axis
export const brief = (number) => (number < 10000 ? whole.format(number) : short.format(number));
export const clock = (ms) => new Date(ms).toISOString().slice(11, 19);
export const minute = (ms) => new Date(ms).toISOString().slice(11, 16);
// all is said of all only
export const percent = (part) => `${part < 0.0995 ? (100 * part).toFixed(1) : Math.floor(100 * part + (part < 0.99 ? 0.5 : 0))} %`;

export function seconds(s) {
  if (s === null || s === undefined) return "–";
  if (s < 1) return `${Math.round(1000 * s)} ms`;
  if (s < 120) return `${s.toFixed(1)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return `${Math.round(s / 3600)} h`;
}
