// Numbers and times as people read them. Always the same, whatever the browser's language.

const whole = new Intl.NumberFormat("en-US");
const money = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const count = (number) => (number === null || number === undefined ? "–" : whole.format(Math.round(number)));
export const euros = (cents) => money.format(cents / 100);
export const clock = (ms) => new Date(ms).toISOString().slice(11, 19);
export const minute = (ms) => new Date(ms).toISOString().slice(11, 16);
export const percent = (part) => `${(100 * part).toFixed(part < 0.0995 ? 1 : 0)} %`;

export function seconds(s) {
  if (s === null || s === undefined) return "–";
  if (s < 1) return `${Math.round(1000 * s)} ms`;
  if (s < 120) return `${s.toFixed(1)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return `${Math.round(s / 3600)} h`;
}
