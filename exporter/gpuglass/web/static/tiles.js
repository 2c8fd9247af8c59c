// The node in short, and the host: a few figures in a row.

import { el, reconcile, setAttribute, setText } from "./dom.js";
import { sum } from "./facts.js";
import * as format from "./format.js";

/** Shows `{name, title, value, more, level}` in a row; what has no value is left out. */
export function show(host, tiles) {
  reconcile(
    host,
    tiles.filter(({ value }) => value),
    ({ name }) => name,
    () =>
      el("dl", { class: "tile" }, el("dt"), el("dd", { class: "value" }), el("dd", { class: "more" })),
    (node, tile) => {
      const [title, value, more] = node.children;
      setText(title, tile.title);
      setText(value, tile.value);
      setText(more, tile.more ?? "");
      setAttribute(node, "data-level", tile.level);
    },
  );
}

const total = (views, pick) => {
  const all = views.map(pick).filter(format.known);
  return all.length ? all.reduce((one, other) => one + other, 0) : undefined;
};

/** The GPUs together. */
export function summary(views, { metrics }) {
  const up = views.filter((gpu) => gpu.up);
  const told = up.filter((gpu) => gpu.utilisation !== undefined);
  const busy = told.filter((gpu) => gpu.utilisation >= 0.05).length;
  const free = up.filter((gpu) => gpu.metrics.gpu_processes === 0).length;
  // The driver may list some that it could not even name.
  const listed = Math.max(views.length, metrics.gpu_devices ?? 0);
  const lost = listed - up.length - views.filter((gpu) => gpu.resting).length;
  const power = total(up, (gpu) => gpu.power.now);
  const limit = total(up, (gpu) => gpu.power.limit);
  const used = total(up, (gpu) => gpu.memory.used);
  const memory = total(up, (gpu) => gpu.memory.total);
  const hottest = up.filter((gpu) => gpu.temperature.core !== undefined).sort((a, b) => b.temperature.core - a.temperature.core)[0];
  const all = told.map((gpu) => gpu.utilisation);
  const mean = told.length ? total(told, (gpu) => gpu.utilisation) / told.length : undefined;
  return [
    {
      name: "gpus",
      title: "GPUs busy",
      value: listed ? `${busy} of ${listed}` : "",
      more: lost ? `${lost} ${lost === 1 ? "does" : "do"} not answer` : `${free} free`,
      level: lost ? "bad" : "",
    },
    {
      name: "mean",
      title: "Mean utilisation",
      value: format.percent(mean),
      more: told.length > 1 ? `${format.percent(Math.min(...all))} to ${format.percent(Math.max(...all))}` : "",
    },
    {
      name: "memory",
      title: "Memory",
      value: format.bytes(used),
      more: memory ? `of ${format.bytes(memory)}` : "",
    },
    { name: "power", title: "Power", value: format.watts(power), more: limit ? `of ${format.watts(limit)}` : "" },
    {
      name: "hottest",
      title: "Hottest",
      value: hottest ? format.celsius(hottest.temperature.core) : "",
      more: hottest ? `GPU ${hottest.index}` : "",
    },
  ];
}

const PHYSICAL = (device) => device !== "lo";

/** The machine around them. */
export function host(snapshot, rates) {
  const m = snapshot.metrics;
  const cpu = (s) => sum(s.metrics.host_cpu_seconds_total, (mode) => !mode.startsWith("guest"));
  const idle = (s) => sum(s.metrics.host_cpu_seconds_total, (mode) => mode === "idle" || mode === "iowait");
  const all = rates.of(cpu);
  const busy = all ? Math.max(0, 1 - rates.of(idle) / all) : undefined;
  const used = m.host_memory_total_bytes - m.host_memory_available_bytes;
  const swap = m.host_swap_total_bytes - m.host_swap_free_bytes;
  const counter = (name, keep) => rates.of((s) => sum(s.metrics[name], keep));
  const network = ["receive", "transmit"].map((way) => counter(`host_network_${way}_bytes_total`, PHYSICAL));
  const disk = ["read", "written"].map((way) => counter(`host_disk_${way}_bytes_total`));
  // The two moments are not quite those of the readings: a little more than all of the time is all.
  const pressure = (what) => {
    const share = rates.of((s) => s.metrics[`host_pressure_${what}_waiting_seconds_total`]);
    return share === undefined ? undefined : Math.min(1, share);
  };
  return [
    { name: "cpu", title: "CPU", value: format.percent(busy), more: m.host_cpus ? `of ${format.number(m.host_cpus)} CPUs` : "" },
    { name: "load", title: "Load", value: m.host_load1 === undefined ? "" : format.number(m.host_load1, 2), more: m.host_load15 === undefined ? "" : `${format.number(m.host_load15, 2)} in 15 min` },
    {
      name: "memory",
      title: "Memory",
      value: Number.isFinite(used) ? format.joined(format.bytesPair(used, m.host_memory_total_bytes)) : "",
      more: `of ${format.bytes(m.host_memory_total_bytes)}`,
      level: used / m.host_memory_total_bytes > 0.95 ? "warn" : "",
    },
    { name: "swap", title: "Swap", value: m.host_swap_total_bytes ? format.bytes(swap) : "", more: `of ${format.bytes(m.host_swap_total_bytes)}` },
    { name: "network", title: "Network in", value: format.rate(network[0]), more: network[1] === undefined ? "" : `out ${format.rate(network[1])}` },
    { name: "disk", title: "Disks read", value: format.rate(disk[0]), more: disk[1] === undefined ? "" : `written ${format.rate(disk[1])}` },
    {
      name: "pressure",
      title: "Waiting for CPU",
      value: format.percent(pressure("cpu")),
      more: [["memory", "memory"], ["io", "I/O"]].map(([what, word]) => [pressure(what), word]).filter(([value]) => value !== undefined).map(([value, word]) => `${word} ${format.percent(value)}`).join(", "),
    },
    { name: "uptime", title: "Up for", value: format.duration(m.host_uptime_seconds), more: "" },
  ];
}

/** What the machine is, in one line. */
export function machine({ metrics }) {
  const { os, kernel } = metrics.host_info?.[0] ?? {};
  const { driver_version: driver, cuda_version: cuda } = metrics.gpu_driver_info?.[0] ?? {};
  const parts = [os, kernel, driver && `driver ${driver}`, cuda && `CUDA ${cuda}`];
  return parts.filter(Boolean).join(" · ");
}

// What holds no files of its own, or hardly any.
const UNTOLD = new Set(["overlay", "squashfs", "tmpfs", "ramfs", "devtmpfs", "efivarfs"]);
const LEAST_BYTES = 2 ** 30;

/** File systems, the fullest first. */
export function disks({ metrics }) {
  const sizes = new Map((metrics.host_filesystem_size_bytes ?? []).map((one) => [one.mountpoint, one.value]));
  return (metrics.host_filesystem_available_bytes ?? [])
    .filter(({ fstype }) => !UNTOLD.has(fstype))
    .map(({ mountpoint, value }) => ({ mountpoint, left: value, size: sizes.get(mountpoint) }))
    .filter(({ size }) => size >= LEAST_BYTES)
    .map((disk) => ({ ...disk, used: 1 - disk.left / disk.size }))
    .sort((a, b) => b.used - a.used)
    .slice(0, 8);
}
