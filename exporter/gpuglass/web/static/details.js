// Everything about one GPU, in a dialog.

import { Chart } from "./chart.js";
import { el, setText } from "./dom.js";
import * as format from "./format.js";
import * as words from "./words.js";

const CHARTS = [
  ["Utilisation", "gpu_utilization_ratio", () => 1, format.percent],
  ["Memory", "gpu_memory_used_bytes", ({ memory }) => memory.total, format.bytes],
  ["Power", "gpu_power_watts", ({ power }) => power.limit, format.wattsShort],
  ["Temperature", "gpu_temperature_celsius", ({ temperature }) => temperature.limit, format.celsius],
  ["SM clock", "gpu_clock_hertz", ({ clock }) => clock.top, format.megahertz],
  ["Fan", "gpu_fan_speed_ratio", () => 1, format.percent],
];

export class Details {
  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    this.dialog = dialog;
    this.body = dialog.querySelector("#details-body");
    dialog.querySelector("#details-close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => this.clear());
  }

  open(uuid) {
    this.clear();
    this.uuid = uuid;
    this.dialog.showModal();
  }

  clear() {
    this.uuid = null;
    for (const chart of this.charts ?? []) chart.remove();
    this.charts = null;
    this.body.replaceChildren();
  }

  show(views, histories, snapshot, rates) {
    if (!this.uuid) return;
    const gpu = views.find(({ uuid }) => uuid === this.uuid);
    if (!gpu) {
      this.dialog.close();
      return;
    }
    setText(this.dialog.querySelector("#details-title"), `GPU ${gpu.index} · ${gpu.name}`);
    setText(this.dialog.querySelector("#details-what"), gpu.uuid);
    if (!this.charts) this.build(gpu, histories.get(this.uuid));
    this.draw(gpu, histories.get(this.uuid), snapshot.time);
    // Text that is being selected or read must not be taken away: it is replaced where it changed.
    for (const section of sections(gpu, snapshot, rates)) this.fill(section);
  }

  build(gpu, history) {
    this.charts = [];
    const grid = el("div", { class: "charts" });
    for (const [title, metric, top, text] of CHARTS) {
      const any = history?.values[metric]?.some((value) => value !== null);
      if (!any) continue;
      const host = el("div", { class: "chart", role: "img" });
      const chart = new Chart(host, { axes: true, format: text });
      this.charts.push(Object.assign(chart, { title, metric, limit: top }));
      grid.append(el("figure", {}, el("figcaption", {}, title), host));
    }
    this.body.append(grid, el("div", { class: "sections" }));
  }

  draw(gpu, history, now) {
    for (const chart of this.charts) {
      const values = history.values[chart.metric];
      const known = values.filter((value) => value !== null);
      const highest = known.length ? Math.max(...known) : 0;
      const mark = chart.limit(gpu) ?? (highest || 1);
      chart.update(history.times, values, now, 1.05 * Math.max(mark, highest), mark);
      chart.host.setAttribute(
        "aria-label",
        known.length ? `${chart.title} in the last five minutes: ${chart.format(Math.min(...known))} to ${chart.format(highest)}` : `${chart.title}: not told`,
      );
    }
  }

  fill({ name, title, lines, open }) {
    const parent = this.body.querySelector(".sections");
    let section = parent.querySelector(`[data-section="${name}"]`);
    if (!section) {
      const list = el("dl", { class: "lines" });
      section = open === undefined ? el("section", {}, el("h3", {}, title), list) : el("details", {}, el("summary", {}, title), list);
      section.dataset.section = name;
      parent.append(section);
    }
    section.hidden = lines.length === 0;
    if (section.open === false) return;
    const list = section.querySelector("dl");
    if (list.childElementCount !== lines.length) {
      list.replaceChildren(...lines.map(() => el("div", {}, el("dt"), el("dd"))));
    }
    lines.forEach(([term, text], index) => {
      setText(list.children[index].firstElementChild, term);
      setText(list.children[index].lastElementChild, text);
    });
  }
}

/** Leaves out what is not told. */
const lines = (...all) => all.filter(([, text]) => text !== undefined && text !== null && text !== "");

function sections(gpu, snapshot, rates) {
  const m = gpu.metrics;
  const facts = gpu.up ? known(gpu, snapshot, rates) : [];
  return [
    ...facts,
    { name: "xids", title: "XIDs", lines: xids(m, snapshot) },
    { name: "mig", title: "MIG instances", lines: instances(m) },
    { name: "card", title: "The card", lines: card(gpu) },
    {
      name: "missing",
      title: "What this card cannot tell, and why",
      lines: gpu.missing.map(({ group, why }) => [capital(words.group(group)), words.why(why)]),
    },
    { name: "all", title: "Every metric of it", open: false, lines: everything(m) },
  ];
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const average = (values) => {
  const all = Object.values(values ?? {});
  return all.length ? all.reduce((a, b) => a + b, 0) / all.length : undefined;
};

function known(gpu, snapshot, rates) {
  const m = gpu.metrics;
  const of = (pick) => rates.of((s) => {
    const found = s.gpus.find(({ uuid }) => uuid === gpu.uuid);
    return found && pick(found.metrics);
  });
  const pcie = (way) => format.rate(of((one) => one.gpu_pcie_bytes_total?.[way]));
  const link = (way) => format.rate(of((one) => one.gpu_nvlink_bytes_total?.find((x) => x.direction === way && x.link === "all")?.value));
  const limits = m.gpu_power_limit_watts ?? {};
  const t = m.gpu_temperature_celsius ?? {};
  const heat = m.gpu_temperature_limit_celsius ?? {};
  const engines = Object.entries(m.gpu_engine_utilization_ratio ?? {}).map(([engine, value]) => [capital(engine), format.percent(value)]);
  const clocks = Object.entries(m.gpu_clock_hertz ?? {}).map(([domain, value]) => {
    const top = m.gpu_clock_max_hertz?.[domain];
    const title = domain === "sm" ? "SM clock" : `${capital(domain)} clock`;
    return [title, top ? `${format.number(value / 1e6)} of ${format.megahertz(top)}` : format.megahertz(value)];
  });
  const throttled = Object.entries(m.gpu_throttle_seconds_total ?? {})
    .filter(([, seconds]) => seconds > 0)
    .map(([reason, seconds]) => [capital(words.clockReason(reason)), `${format.duration(seconds)} so far`]);
  const fans = Object.entries(m.gpu_fan_speed_ratio ?? {}).map(([fan, value]) => {
    const rpm = m.gpu_fan_speed_rpm?.[fan];
    return [`Fan ${fan}`, `${format.percent(value)}${rpm === undefined ? "" : `, ${format.number(rpm)} rpm`}`];
  });
  return [
    {
      name: "work",
      title: "Work",
      lines: lines(
        ["Utilisation", format.percent(m.gpu_utilization_ratio)],
        ["SMs active", format.percent(m.gpu_sm_active_ratio)],
        ["SM occupancy", format.percent(m.gpu_sm_occupancy_ratio)],
        ["Tensor cores active", format.percent(m.gpu_pipe_active_ratio?.tensor)],
        ["Memory bandwidth in use", format.percent(m.gpu_dram_active_ratio)],
        ["Memory active", format.percent(m.gpu_memory_activity_ratio)],
        ...engines,
        ["Busy so far", format.duration(m.gpu_busy_seconds_total)],
      ),
    },
    {
      name: "memory",
      title: "Memory",
      lines: lines(
        ["In use", format.bytes(m.gpu_memory_used_bytes)],
        ["Free", format.bytes(m.gpu_memory_free_bytes)],
        ["Kept by the driver", format.bytes(m.gpu_memory_reserved_bytes)],
        ["In all", format.bytes(m.gpu_memory_total_bytes)],
        ["BAR1 mapped", m.gpu_bar1_memory_total_bytes && `${format.bytes(m.gpu_bar1_memory_used_bytes)} of ${format.bytes(m.gpu_bar1_memory_total_bytes)}`],
      ),
    },
    {
      name: "power",
      title: "Power and energy",
      lines: lines(
        ["Now", format.wattsShort(m.gpu_power_instant_watts ?? m.gpu_power_watts)],
        ["Highest in a minute", format.wattsShort(m.gpu_power_peak_watts)],
        ["Memory's part", format.wattsShort(m.gpu_memory_power_watts)],
        ["Limit in force", format.wattsShort(limits.enforced)],
        ["Limit by default", format.wattsShort(limits.default)],
        ["Limit may be", limits.min !== undefined && limits.max !== undefined ? `${format.number(limits.min)} to ${format.wattsShort(limits.max)}` : ""],
        ["Energy", format.energy(m.gpu_energy_joules_total)],
      ),
    },
    {
      name: "heat",
      title: "Heat",
      lines: lines(
        ["Core", format.celsius(t.core)],
        ["Hottest spot", format.celsius(t.hotspot ?? t.hot_spot)],
        ["Memory", format.celsius(t.memory)],
        ["Margin to slowing down", format.celsius(m.gpu_temperature_margin_celsius)],
        ["Should stay below", format.celsius(heat.gpu_max)],
        ["Memory should stay below", format.celsius(heat.memory_max)],
        ["Slows down at", format.celsius(heat.slowdown)],
        ["Shuts down at", format.celsius(heat.shutdown)],
        ...fans,
      ),
    },
    {
      name: "clocks",
      title: "Clocks",
      lines: lines(
        ...clocks,
        ["Performance state", m.gpu_performance_state === undefined ? "" : `P${m.gpu_performance_state}`],
        ["Held by", gpu.reasons.map(words.clockReason).join(", ")],
        ...throttled,
      ),
    },
    {
      name: "links",
      title: "Links",
      lines: lines(
        ["PCIe", m.gpu_pcie_link_generation && `generation ${m.gpu_pcie_link_generation}, ${m.gpu_pcie_link_width} lanes`],
        ["PCIe in", pcie("receive")],
        ["PCIe out", pcie("transmit")],
        ["PCIe packets sent again", m.gpu_pcie_replays_total === undefined ? "" : format.number(m.gpu_pcie_replays_total)],
        ["NVLinks", m.gpu_nvlink_links === undefined ? "" : `${m.gpu_nvlink_links_up ?? "?"} of ${m.gpu_nvlink_links} up`],
        ["NVLink in", link("receive")],
        ["NVLink out", link("transmit")],
      ),
    },
    { name: "health", title: "Health", lines: health(m) },
  ];
}

function health(m) {
  const ecc = (kind) =>
    m.gpu_ecc_errors_total &&
    format.number(m.gpu_ecc_errors_total.filter((one) => one.kind === kind && one.scope === "volatile").reduce((all, one) => all + one.value, 0));
  return lines(
    ["Memory errors corrected", ecc("corrected")],
    ["Memory errors not corrected", ecc("uncorrected")],
    ["Memory rows replaced", m.gpu_remapped_rows && format.number(Object.values(m.gpu_remapped_rows).reduce((a, b) => a + b, 0))],
    ["Memory pages taken out of use", m.gpu_retired_pages && format.number(Object.values(m.gpu_retired_pages).reduce((a, b) => a + b, 0))],
    ["Needs", m.gpu_recovery_action === undefined ? "" : words.recovery[m.gpu_recovery_action] || "nothing"],
  );
}

function xids(m, { xids: meanings, time }) {
  return Object.entries(m.gpu_xid_errors_total ?? {}).map(([number, count]) => {
    const xid = meanings[number];
    const last = m.gpu_xid_last_timestamp_seconds?.[number];
    const times = count === 1 ? "once" : `${format.number(count)} times`;
    const when = last ? `${times}, last at ${format.moment(last, time)}` : times;
    const todo = xid ? `${xid.means} To do: ${words.action(xid.action)}.` : "";
    return [`XID ${number}`, `${when}. ${todo}`];
  });
}

function instances(m) {
  const memory = (one) => m.gpu_mig_memory_used_bytes?.find((other) => other.gpu_instance === one.gpu_instance && other.compute_instance === one.compute_instance)?.value;
  const total = (one) => m.gpu_mig_memory_total_bytes?.find((other) => other.gpu_instance === one.gpu_instance && other.compute_instance === one.compute_instance)?.value;
  const active = (one) => m.gpu_mig_sm_active_ratio?.find((other) => other.gpu_instance === one.gpu_instance)?.value;
  return (m.gpu_mig_info ?? []).map((one) => {
    const parts = [
      memory(one) !== undefined && `${format.bytes(memory(one))} of ${format.bytes(total(one))}`,
      active(one) !== undefined && `SMs ${format.percent(active(one))} active`,
    ];
    return [`${one.gpu_instance}/${one.compute_instance} · ${one.profile}`, parts.filter(Boolean).join(", ") || "not told"];
  });
}

function card({ info, metrics: m }) {
  return lines(
    ["Architecture", capital(info.architecture ?? "")],
    ["Compute capability", info.compute_capability],
    ["CUDA cores", m.gpu_cores && format.number(m.gpu_cores)],
    ["PCI address", info.pci_bus_id],
    ["Serial number", info.serial],
    ["Part number", info.part_number],
    ["VBIOS", info.vbios_version],
    ["Driver", info.driver_version],
    ["NUMA node", m.gpu_numa_node],
    ["ECC", m.gpu_ecc_mode === undefined ? "" : m.gpu_ecc_mode ? "on" : "off"],
    ["MIG", m.gpu_mig_mode === undefined ? "" : m.gpu_mig_mode ? "on" : "off"],
    ["Persistence mode", m.gpu_persistence_mode === undefined ? "" : m.gpu_persistence_mode ? "on" : "off"],
  );
}

/** Names as they stand in /metrics, with their labels, and the bare values. */
function everything(metrics) {
  const found = [];
  for (const [name, value] of Object.entries(metrics)) {
    if (Array.isArray(value)) {
      for (const { value: one, ...labels } of value) {
        const text = Object.entries(labels).map(([label, of]) => `${label}=${of}`).join(" ");
        found.push([`${name} ${text}`, one === undefined ? "" : String(one)]);
      }
    } else if (typeof value === "object") {
      for (const [label, one] of Object.entries(value)) found.push([`${name} ${label}`, String(one)]);
    } else {
      found.push([name, String(value)]);
    }
  }
  return found;
}
