// The last five minutes of one GPU: the exporter's at first, then what has come since.

export const SECONDS = 300;
export const METRICS = [
  "gpu_utilization_ratio",
  "gpu_memory_used_bytes",
  "gpu_power_watts",
  "gpu_temperature_celsius",
  "gpu_clock_hertz",
  "gpu_fan_speed_ratio",
];

const GAP = Symbol("gap");

export class History {
  constructor() {
    this.times = [];
    this.values = Object.fromEntries(METRICS.map((name) => [name, []]));
  }

  /** Takes what the exporter has kept; points of our own from before that stay. */
  merge(kept, now) {
    const times = kept.age.map((age) => now - age);
    const first = times[0] ?? Infinity;
    const older = this.times.findIndex((time) => time >= first);
    const count = older < 0 ? (times.length ? this.times.length : null) : older;
    if (count === null) return;
    this.times = [...this.times.slice(0, count), ...times];
    for (const name of METRICS) {
      const own = this.values[name].slice(0, count);
      this.values[name] = [...own, ...(kept[name] ?? times.map(() => null))];
    }
    this.forget(now);
  }

  /** Takes one reading, unless it is the one before. */
  add(time, point, interval) {
    const last = this.times.at(-1);
    if (last !== undefined && time - last < 0.5) return;
    // Where nothing was read for a while, the line is broken.
    if (last !== undefined && time - last > 3 * Math.max(1, interval) + 1) this.push(last + 1, GAP);
    this.push(time, point);
    this.forget(time);
  }

  push(time, point) {
    this.times.push(time);
    for (const name of METRICS) this.values[name].push(point === GAP ? null : (point[name] ?? null));
  }

  forget(now) {
    const first = this.times.findIndex((time) => time >= now - SECONDS - 2);
    if (first <= 0) return;
    this.times.splice(0, first);
    for (const name of METRICS) this.values[name].splice(0, first);
  }
}
