// Numbers for people. Each function gives "" for what is not there, and a pair of number and unit
// where the two are set apart.

const NARROW = "\u202f";
const formats = new Map();

/** A number with so many decimal places and thousands set apart. */
export function number(value, digits = 0) {
  if (!formats.has(digits)) {
    formats.set(
      digits,
      new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }),
    );
  }
  return formats.get(digits).format(value);
}

const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** Number and unit in one. */
export const joined = ([text, unit]) => (unit ? `${text}${NARROW}${unit}` : text);

export const percent = (ratio) => (known(ratio) ? `${number(ratio * 100)}${NARROW}%` : "");

const GIB = 2 ** 30;
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const DECIMAL = ["", "k", "M", "G", "T", "P"];

/** Bytes as number and unit; `like` chooses the unit of another amount. */
export function bytesPair(value, like) {
  let step = 0;
  for (let size = Math.abs(like ?? value); size >= 1024 && step < BINARY.length - 1; size /= 1024) step++;
  const scaled = value / 1024 ** step;
  return [number(scaled, step === 0 || scaled >= 1000 ? 0 : 1), BINARY[step]];
}

export const bytes = (value) => (known(value) ? joined(bytesPair(value)) : "");
export const gib = (value) => value / GIB;

/** A rate in bytes a second. */
export const rate = (value) => (known(value) ? `${bytes(Math.max(0, value))}/s` : "");

function scaled(value, unit, digits) {
  let step = 0;
  let size = Math.abs(value);
  for (; size >= 1000 && step < DECIMAL.length - 1; size /= 1000) step++;
  const shown = value / 1000 ** step;
  return joined([number(shown, step === 0 ? 0 : digits), DECIMAL[step] + unit]);
}

export const watts = (value) => (known(value) ? scaled(value, "W", 2) : "");
export const wattsShort = (value) => (known(value) ? joined([number(value), "W"]) : "");
export const celsius = (value) => (known(value) ? joined([number(value), "°C"]) : "");
export const megahertz = (value) => (known(value) ? joined([number(value / 1e6), "MHz"]) : "");

/** Joules as kilowatt-hours. */
export const energy = (value) => (known(value) ? joined([number(value / 3.6e6, 1), "kWh"]) : "");

/** Seconds as the two largest units of time. */
export function duration(seconds) {
  if (!known(seconds)) return "";
  const total = Math.max(0, Math.floor(seconds));
  const parts = [
    [Math.floor(total / 86400), "d"],
    [Math.floor(total / 3600) % 24, "h"],
    [Math.floor(total / 60) % 60, "min"],
    [total % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return `0${NARROW}s`;
  return parts
    .slice(first, first + 2)
    .filter(([count], index) => index === 0 || count > 0)
    .map((part) => `${part[0]}${NARROW}${part[1]}`)
    .join(" ");
}

/** A moment, in the browser's time zone: the time of day, with the date if it was another day. */
export function moment(seconds, now) {
  const then = new Date(seconds * 1000);
  const time = then.toLocaleTimeString("en-GB");
  const today = new Date(now * 1000).toDateString() === then.toDateString();
  return today ? time : `${then.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time}`;
}

export { known };
