// A card for each GPU.

import { Chart } from "./chart.js";
import { reconcile, setAttribute, setText, el } from "./dom.js";
import { heatLevel, memoryLevel, powerLevel } from "./facts.js";
import * as format from "./format.js";
import * as words from "./words.js";

/** The rows below utilisation: what is shown, of how much, how the line is scaled, and its alarm. */
const ROWS = [
  {
    name: "memory",
    title: "Memory",
    metric: "gpu_memory_used_bytes",
    known: ({ memory }) => memory.used !== undefined,
    value: ({ memory }) => format.bytesPair(memory.used, memory.total),
    limit: ({ memory }) => memory.total && format.bytesPair(memory.total)[0],
    top: ({ memory }) => memory.total,
    level: memoryLevel,
    text: format.bytes,
  },
  {
    name: "power",
    title: "Power",
    metric: "gpu_power_watts",
    known: ({ power }) => power.now !== undefined,
    value: ({ power }) => [format.number(power.now), "W"],
    limit: ({ power }) => power.limit && format.number(power.limit),
    top: ({ power }) => power.limit && power.limit * 1.05,
    level: powerLevel,
    text: format.wattsShort,
  },
  {
    name: "temperature",
    title: "Temperature",
    metric: "gpu_temperature_celsius",
    known: ({ temperature }) => temperature.core !== undefined,
    value: ({ temperature }) => [format.number(temperature.core), "°C"],
    limit: ({ temperature }) => temperature.limit && format.number(temperature.limit),
    top: ({ temperature }) => temperature.limit && temperature.limit * 1.05,
    level: heatLevel,
    text: format.celsius,
  },
  {
    name: "clock",
    title: "SM clock",
    metric: "gpu_clock_hertz",
    known: ({ clock }) => clock.now !== undefined,
    value: ({ clock }) => [format.number(clock.now / 1e6), "MHz"],
    limit: ({ clock }) => clock.top && format.number(clock.top / 1e6),
    top: ({ clock }) => clock.top && clock.top * 1.05,
    level: () => "",
    text: format.megahertz,
  },
  {
    name: "fan",
    title: "Fan",
    metric: "gpu_fan_speed_ratio",
    known: ({ fan }) => fan !== undefined,
    value: ({ fan }) => [format.number(fan * 100), "%"],
    limit: () => undefined,
    top: () => 1,
    level: () => "",
    text: format.percent,
  },
];

export class Cards {
  /** @param {{list: Element, template: Element, open: (uuid: string) => void}} parts */
  constructor({ list, template, open }) {
    this.list = list;
    this.template = template;
    this.open = open;
  }

  show(views, histories, snapshot) {
    // A row that no card here has would only be empty everywhere.
    const rows = ROWS.filter((row) => row.name !== "fan" || views.some(row.known));
    this.list.dataset.count = views.length;
    reconcile(
      this.list,
      views,
      (gpu) => gpu.uuid,
      (gpu) => this.create(gpu),
      (node, gpu) => update(node, gpu, rows, histories.get(gpu.uuid), snapshot),
    );
  }

  create({ uuid }) {
    const node = this.template.content.firstElementChild.cloneNode(true);
    node.charts = new Map();
    for (const button of node.querySelectorAll("button")) button.addEventListener("click", () => this.open(uuid));
    return node;
  }
}

function update(node, gpu, rows, history, snapshot) {
  setText(node.querySelector(".index"), gpu.index);
  setText(node.querySelector(".name"), gpu.name);
  setAttribute(node.querySelector(".open"), "aria-label", `GPU ${gpu.index}, ${gpu.name}: details`);
  const [level, chip] = state(gpu);
  setText(node.querySelector(".chip"), chip);
  setAttribute(node.querySelector(".chip"), "data-level", level);
  setAttribute(node, "data-level", level);
  node.querySelector(".facts").hidden = !gpu.up;
  const down = node.querySelector(".down");
  down.hidden = gpu.up;
  if (!gpu.up) setText(down, absence(gpu));
  if (gpu.up) facts(node, gpu, rows, history, snapshot.time);
  notes(node, gpu, snapshot);
  setText(node.querySelector(".who"), gpu.up ? who(gpu) : "");
  const missing = node.querySelector(".missing");
  const count = gpu.missing.length;
  missing.hidden = !gpu.up || !count;
  setText(missing, `Cannot tell ${count === 1 ? "1 thing" : `${count} things`}`);
}

function absence({ why, resting, age }) {
  const what = resting ? "This GPU is not read" : "This GPU does not answer";
  const since = age === undefined ? "" : ` Last read ${format.duration(age)} ago.`;
  return `${what}${why ? `: ${words.failure(why)}` : ""}.${since}`;
}

/** One word for the corner of the card, and how bad it is. */
function state(gpu) {
  if (!gpu.up) return gpu.resting ? ["note", gpu.resting] : ["bad", "down"];
  const worst = ["bad", "warn", "note"].find((level) => gpu.held.some((reason) => words.throttling[reason] === level));
  if (heatLevel(gpu) === "bad" || worst === "bad") return ["bad", "slowed down"];
  if (heatLevel(gpu) || worst === "warn") return ["warn", worst ? "slowed down" : "hot"];
  if (worst) return ["note", "held back"];
  if (gpu.utilisation === undefined) return ["", gpu.processes.length ? "in use" : ""];
  if (gpu.utilisation >= 0.05) return ["busy", "busy"];
  return gpu.processes.length ? ["idle", "held, idle"] : ["idle", "idle"];
}

function facts(node, gpu, rows, history, now) {
  const hero = node.querySelector("[data-fact=utilisation]");
  amount(hero, gpu.utilisation === undefined ? null : [format.number(gpu.utilisation * 100), "%"]);
  draw(node, node.querySelector(".hero .spark"), "Utilisation", "gpu_utilization_ratio", history, now, 1, format.percent);
  reconcile(
    node.querySelector(".rows"),
    rows,
    (row) => row.name,
    (row) => el("div", {}, el("dt", {}, row.title), el("dd", { class: "value" }), el("dd", { class: "spark", role: "img" })),
    (line, row) => {
      const known = row.known(gpu);
      amount(line.querySelector(".value"), known ? row.value(gpu) : null, known ? row.limit(gpu) : undefined);
      setAttribute(line, "data-level", known ? row.level(gpu) : "");
      draw(node, line.querySelector(".spark"), row.title, row.metric, history, now, known ? row.top(gpu) : undefined, row.text);
    },
  );
}

/** A number with its unit, of how much: "113.0 / 140.4 GiB"; a dash for what the card does not tell. */
function amount(node, pair, limit) {
  if (node.childElementCount === 0) {
    node.append(el("span", { class: "number" }), el("span", { class: "limit" }), el("span", { class: "unit" }));
  }
  const [number, of, unit] = node.children;
  setText(number, pair ? pair[0] : "–");
  setText(of, pair && limit ? ` / ${limit}` : "");
  setText(unit, pair ? `\u202f${pair[1]}` : "");
  setAttribute(node, "title", pair ? null : "This card does not tell");
}

function draw(node, host, title, metric, history, now, top, text) {
  const values = history?.values[metric] ?? [];
  const known = values.filter((value) => value !== null);
  if (!node.charts.has(metric)) node.charts.set(metric, new Chart(host));
  const highest = known.length ? Math.max(...known) : 0;
  node.charts.get(metric).update(history?.times ?? [], values, now, Math.max(top ?? highest * 1.1, highest) || 1);
  const range = known.length ? `${text(Math.min(...known))} to ${text(highest)}` : "not told";
  setAttribute(host, "aria-label", `${title} in the last five minutes: ${range}`);
}

/** What holds the clocks, and the XIDs, in words. */
function notes(node, gpu, snapshot) {
  const found = gpu.up ? gpu.held.map((reason) => [words.throttling[reason], words.clockReason(reason)]) : [];
  const xids = Object.entries(gpu.metrics.gpu_xid_last_timestamp_seconds ?? {}).sort((a, b) => b[1] - a[1]);
  if (xids.length) {
    const [number, last] = xids[0];
    const more = xids.length > 1 ? ` and ${xids.length - 1} more` : "";
    const xid = snapshot.xids[number];
    found.push(["note", `XID ${number}${more}, ${format.duration(snapshot.time - last)} ago${xid ? `: ${words.action(xid.action)}` : ""}`]);
  }
  reconcile(
    node.querySelector(".notes"),
    found,
    ([, text]) => text.replace(/, .* ago.*/, ""),
    () => el("li"),
    (line, [level, text]) => {
      setText(line, text);
      setAttribute(line, "data-level", level);
    },
  );
}

/** Who holds the card: "alice, bob: 3 processes". */
function who(gpu) {
  const count = gpu.metrics.gpu_processes ?? gpu.processes.length;
  if (!count) return gpu.missing.some(({ group }) => group === "processes") ? "" : "Nobody is on it";
  const holding = gpu.owners.filter((owner) => owner.gpu_owner_processes > 0);
  const users = [...new Set(holding.map((owner) => owner.user).filter((user) => user && user !== "unattributed"))];
  const shown = users.slice(0, 3).join(", ") + (users.length > 3 ? ` and ${users.length - 3} more` : "");
  const processes = count === 1 ? "1 process" : `${format.number(count)} processes`;
  return shown ? `${shown}: ${processes}` : processes;
}
