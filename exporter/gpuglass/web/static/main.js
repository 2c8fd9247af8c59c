// The live page: takes each round of readings and shows it.

import { troubles } from "./attention.js";
import { Cards } from "./cards.js";
import { recolour } from "./chart.js";
import { Details } from "./details.js";
import { el, reconcile, setAttribute, setText } from "./dom.js";
import { Rates, views as viewsOf } from "./facts.js";
import * as format from "./format.js";
import { History } from "./history.js";
import { Processes } from "./processes.js";
import { Stream } from "./stream.js";
import * as tiles from "./tiles.js";
import * as words from "./words.js";

const NOTICE_SECONDS = 20;
const STATES = {
  connecting: "connecting",
  live: "live",
  polling: "live, every few seconds",
  lost: "connection lost",
  refused: "not allowed",
  paused: "paused",
};

const find = (id) => document.getElementById(id);
const histories = new Map();
const rates = new Rates();
const cards = new Cards({ list: find("gpus"), template: find("card"), open });
const details = new Details(find("details"));
const processes = new Processes({
  table: find("processes"),
  count: find("processes-count"),
  clear: find("processes-clear"),
  empty: find("no-processes"),
  say,
});

let current = null;
let connection = "connecting";
let lostAt = 0;
let known = new Set();
let noticeUntil = 0;

/** Says something once to those who listen to the page. */
function say(text) {
  setText(find("announcement"), text);
}

function notify(text) {
  noticeUntil = Date.now() + NOTICE_SECONDS * 1000;
  setText(find("notice"), text);
  find("notice").hidden = false;
  say(text);
}

function open(uuid) {
  details.open(uuid);
  render();
}

function takeHistory({ gpus, time, interval }) {
  for (const [uuid, kept] of Object.entries(gpus)) {
    if (!histories.has(uuid)) histories.set(uuid, new History());
    histories.get(uuid).merge(kept, time, interval);
  }
}

function takeSnapshot(snapshot) {
  if (current && current.started !== snapshot.started) {
    notify(`The exporter has restarted at ${format.moment(snapshot.started, snapshot.time)}; this page goes on.`);
  }
  if (snapshot.version !== document.documentElement.dataset.version) {
    notify("gpuglass has been updated: reload this page to see the new one.");
  }
  current = snapshot;
  rates.take(snapshot);
  for (const gpu of snapshot.gpus) remember(gpu, snapshot);
  render();
}

/** Keeps what can be drawn of a GPU that answers. */
function remember({ uuid, metrics }, { time, interval }) {
  if (!histories.has(uuid)) histories.set(uuid, new History());
  if (metrics.gpu_up !== 1) return;
  histories.get(uuid).add(
    time - (metrics.gpu_data_age_seconds ?? 0),
    {
      gpu_utilization_ratio: metrics.gpu_utilization_ratio,
      gpu_memory_used_bytes: metrics.gpu_memory_used_bytes,
      gpu_power_watts: metrics.gpu_power_watts,
      gpu_temperature_celsius: metrics.gpu_temperature_celsius?.core,
      gpu_clock_hertz: metrics.gpu_clock_hertz?.sm,
      gpu_fan_speed_ratio: metrics.gpu_fan_speed_ratio && Math.max(...Object.values(metrics.gpu_fan_speed_ratio)),
    },
    interval,
  );
}

function render() {
  if (!current || document.hidden) return;
  const views = viewsOf(current);
  setText(find("node"), current.node);
  tiles.show(find("summary"), tiles.summary(views, current));
  cards.show(views, histories, current);
  showAttention(troubles(current, views));
  showAbsence(views);
  processes.take(current);
  tiles.show(find("host"), tiles.host(current, rates));
  setText(find("host-what"), tiles.machine(current));
  showDisks(tiles.disks(current));
  details.show(views, histories, current, rates);
  if (Date.now() > noticeUntil) find("notice").hidden = true;
}

function showAttention(found) {
  find("attention-section").hidden = found.length === 0;
  reconcile(
    find("attention"),
    found,
    ({ key }) => key,
    () => el("li", {}, el("strong"), " ", el("span")),
    (node, { level, subject, text }) => {
      setAttribute(node, "data-level", level);
      setText(node.children[0], subject);
      setText(node.children[1], text);
    },
  );
  const grave = found.filter(({ level }) => level === "bad");
  const news = grave.filter(({ key }) => !known.has(key));
  if (news.length && known.started) say(news.map(({ subject, text }) => `${subject}: ${text}`).join(". "));
  known = new Set(grave.map(({ key }) => key));
  known.started = true;
  const count = grave.length ? `(${grave.length}) ` : "";
  document.title = `${count}${current.node} – gpuglass`;
}

function showAbsence(views) {
  const note = find("no-gpus");
  note.hidden = views.length > 0;
  if (views.length) return;
  const { metrics } = current;
  const failure = (metrics.gpuglass_collector_failure_info ?? []).find(({ collector }) => collector === "nvml");
  if (failure) setText(note, `No GPU can be read: ${words.failure(failure.reason)}.`);
  else if (metrics.gpu_devices === 0) setText(note, "The driver lists no GPU.");
  else setText(note, "GPUs are not read here: the exporter was started without them.");
}

function showDisks(disks) {
  reconcile(
    find("disks"),
    disks,
    ({ mountpoint }) => mountpoint,
    () => el("li", {}, el("span", { class: "path" }), el("span", { class: "meter", role: "meter", "aria-valuemin": 0, "aria-valuemax": 100 }, el("span")), el("span", { class: "left" })),
    (node, { mountpoint, used, left }) => {
      const [path, meter, text] = node.children;
      setText(path, mountpoint);
      const percent = Math.round(used * 100);
      meter.firstElementChild.style.width = `${percent}%`;
      setAttribute(meter, "aria-valuenow", percent);
      setAttribute(meter, "aria-label", `${mountpoint}: used`);
      setAttribute(meter, "data-level", used > 0.95 ? "warn" : null);
      setText(text, `${format.bytes(left)} free`);
    },
  );
}

function setState(state) {
  if (state === "lost" && connection !== "lost") lostAt = Date.now();
  if (state !== connection && state === "lost") say("The connection to the exporter is lost.");
  if (connection === "lost" && state === "live") say("Connected again.");
  connection = state;
  showState();
}

function showState() {
  const since = connection === "lost" ? ` ${format.duration((Date.now() - lostAt) / 1000)} ago, trying again` : "";
  setText(find("state-text"), STATES[connection] + since);
  setAttribute(find("state"), "data-state", connection);
  setAttribute(document.body, "data-stale", connection === "lost" || connection === "refused" ? "" : null);
}

function chooseTheme() {
  const select = find("theme");
  const root = document.documentElement;
  select.value = root.dataset.theme;
  select.addEventListener("change", () => {
    root.dataset.theme = select.value;
    try {
      localStorage.setItem("gpuglass-theme", select.value);
    } catch {
      // It holds for this visit.
    }
    recolour();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
}

chooseTheme();
setInterval(showState, 1000);
document.addEventListener("visibilitychange", render);
new Stream({ history: takeHistory, snapshot: takeSnapshot, state: setState });
