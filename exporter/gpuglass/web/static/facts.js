// What a snapshot says of a GPU, arranged for the page. What is not there stays undefined.

import { resting, throttling } from "./words.js";

const highest = (values) => {
  const all = Object.values(values ?? {});
  return all.length ? Math.max(...all) : undefined;
};

/** Whether the hardware says why it slows the card down. */
const explained = (reasons) => reasons.includes("hw_thermal") || reasons.includes("hw_power_brake");

/** The card's own limits: where it slows down, and the margin at which that is near. */
const NEAR_CELSIUS = 3;

/** All GPUs. Why one is down is told of all together, and so known only where it is one reason. */
export function views({ gpus, metrics }) {
  const all = gpus.map(view);
  const reason = metrics.gpuglass_collector_failure_info?.find(({ collector }) => collector === "nvml")?.reason;
  const down = all.filter((gpu) => !gpu.up);
  for (const gpu of down) {
    gpu.resting = resting[reason] ?? "";
    gpu.why = gpu.resting || down.length === 1 || down.length === all.length ? reason : undefined;
  }
  return all;
}

function view(gpu) {
  const m = gpu.metrics;
  const limits = m.gpu_power_limit_watts ?? {};
  const heat = m.gpu_temperature_limit_celsius ?? {};
  const temperatures = m.gpu_temperature_celsius ?? {};
  const reasons = Object.entries(m.gpu_clock_event_reason_active ?? {})
    .filter(([, active]) => active)
    .map(([reason]) => reason);
  return {
    uuid: gpu.uuid,
    index: gpu.gpu,
    metrics: m,
    up: m.gpu_up === 1,
    age: m.gpu_data_age_seconds,
    info: m.gpu_info?.[0] ?? {},
    name: m.gpu_info?.[0]?.name ?? "GPU",
    utilisation: m.gpu_utilization_ratio,
    memory: { used: m.gpu_memory_used_bytes, total: m.gpu_memory_total_bytes },
    power: { now: m.gpu_power_watts, limit: limits.enforced, usual: limits.default },
    temperature: {
      core: temperatures.core,
      memory: temperatures.memory,
      limit: heat.gpu_max ?? heat.slowdown,
      slowdown: heat.slowdown,
      shutdown: heat.shutdown,
      memoryLimit: heat.memory_max,
      margin: m.gpu_temperature_margin_celsius,
    },
    clock: { now: m.gpu_clock_hertz?.sm, top: m.gpu_clock_max_hertz?.sm },
    fan: highest(m.gpu_fan_speed_ratio),
    state: m.gpu_performance_state,
    reasons,
    held: reasons.filter((reason) => reason in throttling && !(reason === "hw_slowdown" && explained(reasons))),
    missing: (m.gpu_capability ?? []).filter(({ value }) => value === 0),
    processes: gpu.processes,
    owners: gpu.owners,
  };
}

/** How hot a card is, by its own limits: "bad" where it slows down, "warn" where it is near that. */
export function heatLevel({ temperature, reasons }) {
  const { core, margin, slowdown, memory, memoryLimit } = temperature;
  if (reasons.includes("hw_thermal")) return "bad";
  // The margin is read more seldom than the temperature.
  const left = slowdown !== undefined && core !== undefined ? slowdown - core : margin;
  if (left !== undefined && left <= 0) return "bad";
  if (reasons.includes("sw_thermal")) return "warn";
  if (left !== undefined && left < NEAR_CELSIUS) return "warn";
  if (memoryHot({ memory, memoryLimit })) return "warn";
  return "";
}

export function memoryHot({ memory, memoryLimit }) {
  return memory !== undefined && memoryLimit !== undefined && memoryLimit - memory < NEAR_CELSIUS;
}

/** Memory is "warn" where hardly anything is left. */
export function memoryLevel({ memory }) {
  return memory.total && memory.used / memory.total >= 0.98 ? "warn" : "";
}

/** Power is "bad" where the supply brakes the card, and "warn" at a limit that somebody lowered. */
export function powerLevel({ power, reasons }) {
  if (reasons.includes("hw_power_brake")) return "bad";
  const lowered = power.limit !== undefined && power.usual !== undefined && power.limit < 0.99 * power.usual;
  return lowered && reasons.includes("sw_power_cap") ? "warn" : "";
}

/** Counters as rates: what grew by how much a second between two snapshots. */
export class Rates {
  /** Takes a snapshot; a new run of the exporter begins anew. */
  take(snapshot) {
    const same = this.now && this.now.started === snapshot.started;
    this.before = same ? this.now : undefined;
    this.now = snapshot;
    this.seconds = same ? snapshot.time - this.before.time : 0;
  }

  /** The growth of what `pick` finds in a snapshot, a second. */
  of(pick) {
    if (!this.before || this.seconds <= 0) return undefined;
    const [from, to] = [pick(this.before), pick(this.now)];
    if (from === undefined || to === undefined || to < from) return undefined;
    return (to - from) / this.seconds;
  }
}

/** The sum of a metric's values by label, where it has any. */
export function sum(values, keep = () => true) {
  if (!values) return undefined;
  return Object.entries(values).reduce((all, [key, value]) => (keep(key) ? all + value : all), 0);
}
