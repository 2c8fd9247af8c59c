// What is wrong, by the same rules of thumb as the alerts: a sentence each, the worst first.

import { heatLevel, memoryHot } from "./facts.js";
import * as format from "./format.js";
import * as words from "./words.js";

const XID_SECONDS = 600;
const RANK = ["bad", "warn", "note"];
const SEVERITY = { critical: "bad", warning: "warn", info: "note" };

/** All sentences: `{level, subject, text, key}`; the key stays while the trouble does. */
export function troubles(snapshot, views) {
  const cards = views.flatMap((gpu) => (gpu.up ? card(gpu, snapshot) : down(gpu)));
  const found = [...node(snapshot), ...cards];
  return found.sort((a, b) => RANK.indexOf(a.level) - RANK.indexOf(b.level));
}

function* node({ metrics, time }) {
  for (const { collector, reason } of metrics.gpuglass_collector_failure_info ?? []) {
    if (collector === "nvml" && reason in words.resting) continue;
    const text =
      collector === "nvml"
        ? `GPUs cannot all be read: ${words.failure(reason)}`
        : `The host's ${collector} facts cannot be read: ${words.failure(reason)}`;
    yield { level: collector === "nvml" ? "bad" : "warn", subject: "Exporter", text, key: `collector ${collector}` };
  }
  const until = metrics.gpuglass_released_until_timestamp_seconds;
  if (until) {
    const text = `GPUs are let go on request until ${format.moment(until, time)}`;
    yield { level: "note", subject: "Exporter", text, key: "released" };
  }
  for (const [address, asleep] of Object.entries(metrics.gpu_runtime_suspended ?? {})) {
    if (asleep) {
      const text = `The card at ${address} sleeps and is left alone, so that it is not woken`;
      yield { level: "note", subject: "GPU", text, key: `asleep ${address}` };
    }
  }
  for (const { mountpoint, value } of metrics.host_filesystem_available_bytes ?? []) {
    const size = metrics.host_filesystem_size_bytes.find((other) => other.mountpoint === mountpoint)?.value;
    if (size && value / size < 0.05) {
      const text = `${mountpoint} is nearly full: ${format.bytes(value)} left`;
      yield { level: "warn", subject: "Host", text, key: `disk ${mountpoint}` };
    }
  }
}

function down(gpu) {
  if (gpu.resting) return [];
  const why = gpu.why ? `: ${words.failure(gpu.why)}` : "";
  return [{ level: "bad", subject: `GPU ${gpu.index}`, text: `does not answer${why}`, key: `down ${gpu.uuid}` }];
}

function card(gpu, snapshot) {
  const found = [];
  const say = (level, key, text) =>
    found.push({ level, subject: `GPU ${gpu.index}`, text, key: `${key} ${gpu.uuid}` });
  heat(gpu, say);
  health(gpu.metrics, say);
  links(gpu.metrics, say);
  xids(gpu.metrics, snapshot, say);
  return found;
}

function heat(gpu, say) {
  const { core, slowdown, memory } = gpu.temperature;
  for (const reason of gpu.held) {
    const level = words.throttling[reason];
    if (level !== "note") say(level, reason, words.clockReason(reason));
  }
  const level = heatLevel(gpu);
  if (!level || gpu.reasons.some((reason) => reason.endsWith("thermal"))) return;
  const now = format.celsius(core);
  const from = slowdown === undefined ? "" : ` (${format.celsius(slowdown)})`;
  if (level === "bad") say("bad", "heat", `has ${now}: so hot that it slows down${from}`);
  else if (memoryHot(gpu.temperature)) say("warn", "memory heat", `its memory has ${format.celsius(memory)}, close to its limit`);
  else say("warn", "heat", `has ${now}, close to where it slows down${from}`);
}

function health(m, say) {
  const uncorrected = (m.gpu_ecc_errors_total ?? [])
    .filter((one) => one.kind === "uncorrected" && one.scope === "volatile")
    .reduce((all, one) => all + one.value, 0);
  if (uncorrected) say("bad", "ecc", `memory errors that could not be corrected: ${format.number(uncorrected)}; results may be wrong`);
  if (m.gpu_recovery_action) say("bad", "recovery", `needs help to work again: ${words.recovery[m.gpu_recovery_action] ?? "see its details"}`);
  if (m.gpu_row_remap_failure) say("bad", "remap failure", "a bad row of memory could not be replaced");
  if (m.gpu_memory_unrepairable) say("bad", "unrepairable", "has memory that cannot be repaired");
  if (m.gpu_ecc_sram_threshold_exceeded) say("bad", "sram", "too many errors in its SRAM");
  if (m.gpu_row_remap_pending || m.gpu_bank_remap_pending) say("warn", "remap", "bad memory is to be replaced at the next reset");
  if (m.gpu_retired_pages_pending) say("warn", "pages", "a bad page of memory is taken out of use at the next restart");
  for (const [what, pending] of Object.entries(m.gpu_repair_pending ?? {})) {
    if (pending) say("warn", `repair ${what}`, `a ${what === "tpc" ? "TPC" : `memory ${what}`} is to be repaired at the next reset`);
  }
  for (const [fan, rpm] of Object.entries(m.gpu_fan_speed_rpm ?? {})) {
    if (rpm === 0 && m.gpu_fan_speed_ratio?.[fan] > 0.3) say("warn", `fan ${fan}`, `fan ${fan} stands still though it should turn`);
  }
  if (m.gpu_power_source === 2) say("warn", "supply", "gets less power than it needs");
}

function links(m, say) {
  if (m.gpu_nvlink_links_up < m.gpu_nvlink_links) {
    say("warn", "nvlink", `${m.gpu_nvlink_links - m.gpu_nvlink_links_up} of ${m.gpu_nvlink_links} NVLinks are down`);
  }
  if (m.gpu_pcie_link_width < m.gpu_pcie_link_width_best) {
    say("warn", "pcie", `PCIe runs with ${m.gpu_pcie_link_width} of ${m.gpu_pcie_link_width_best} lanes`);
  }
  if (m.gpu_fabric_healthy === 0) say("warn", "fabric", "something is wrong with its part of the NVSwitch fabric");
}

function xids(m, snapshot, say) {
  for (const [number, last] of Object.entries(m.gpu_xid_last_timestamp_seconds ?? {})) {
    if (snapshot.time - last > XID_SECONDS) continue;
    const xid = snapshot.xids[number];
    const means = xid ? ` ${xid.means}` : "";
    say(SEVERITY[xid?.severity] ?? "warn", `xid ${number}`, `XID ${number} at ${format.moment(last, snapshot.time)}.${means}`);
  }
}
