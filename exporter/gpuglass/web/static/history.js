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

export class History {
  constructor() {
    this.times = [];
    this.values = Object.fromEntries(METRICS.map((name) => [name, []]));
  }

  /** Takes what the exporter has kept; points of our own from before that stay. */
  merge(kept, now, interval) {
    const times = kept.age.map((age) => now - age);
    this.cut(times[0] ?? Infinity);
    times.forEach((time, index) => {
      const point = METRICS.map((name) => [name, kept[name]?.[index]]);
      this.extend(time, Object.fromEntries(point), interval);
    });
    this.forget(now);
  }

  /** Takes one reading, unless it is the one before. */
  add(time, point, interval) {
    const last = this.times.at(-1);
    // The machine's clock was set back: what is later than now is not the past.
    if (last - time > 5) this.cut(time);
    else if (time - last < 0.5) return;
    this.extend(time, point, interval);
    this.forget(time);
  }

  /** Where nothing was read for a while, the line is broken. */
  extend(time, point, interval) {
    const last = this.times.at(-1);
    if (time - last > 3 * Math.max(1, interval) + 1) this.push(last + 1, {});
    this.push(time, point);
  }

  push(time, point) {
    this.times.push(time);
    for (const name of METRICS) this.values[name].push(point[name] ?? null);
  }

  /** Forgets what is not before a time. */
  cut(from) {
    const first = this.times.findIndex((time) => time >= from);
    if (first < 0) return;
    this.times.splice(first);
    for (const name of METRICS) this.values[name].splice(first);
  }

  forget(now) {
    const first = this.times.findIndex((time) => time >= now - SECONDS - 2);
    if (first <= 0) return;
    this.times.splice(0, first);
    for (const name of METRICS) this.values[name].splice(0, first);
  }
}
