// The processes on all GPUs: sorted and filtered by any column, also by keyboard.

import { el, reconcile, setAttribute, setText } from "./dom.js";
import * as format from "./format.js";

const ratio = (name) => ({
  value: (row) => row[name],
  text: format.percent,
  scale: (value) => value * 100,
  unit: "%",
});

/**
 * The columns: `text` shows a value, `scale` makes it what a filter's number is compared with, and
 * `exact` tells whether what is shown is what a filter names.
 */
const COLUMNS = [
  { name: "gpu", title: "GPU", value: (row) => Number(row.gpu), text: String, exact: (shown, text) => shown === text },
  { name: "pid", title: "PID", value: (row) => (row.pid === "others" ? Infinity : Number(row.pid)), text: (_, row) => row.pid, exact: (shown, text) => shown.startsWith(text) },
  { name: "name", title: "Process", value: (row) => row.name, detail: (row) => row.command },
  { name: "user", title: "User", value: (row) => row.user },
  { name: "place", title: "Runs in", value: place },
  { name: "type", title: "Kind", value: (row) => row.type },
  { name: "memory", title: "Memory", value: (row) => row.gpu_process_memory_used_bytes, text: format.bytes, scale: format.gib, unit: "GiB" },
  { name: "sm", title: "SM", ...ratio("gpu_process_sm_utilization_ratio") },
  { name: "activity", title: "Mem. active", ...ratio("gpu_process_memory_activity_ratio") },
  { name: "encoder", title: "Enc.", ...ratio("gpu_process_encoder_utilization_ratio") },
  { name: "decoder", title: "Dec.", ...ratio("gpu_process_decoder_utilization_ratio") },
  { name: "age", title: "Runs for", value: (row) => row.age, text: format.duration, scale: (value) => value / 3600, unit: "h" },
];
const FULL = { activity: "memory activity", encoder: "encoder", decoder: "decoder", sm: "SM utilisation" };
const fullTitle = ({ name, title }) => FULL[name] ?? title.toLowerCase();
const numeric = (column) => Boolean(column.scale || column.exact);

function place({ namespace, pod, container, job_id: job, gpu_instance: instance }) {
  const inside = pod ? `${namespace ? `${namespace}/` : ""}${pod}` : container;
  return [inside, job && `job ${job}`, instance && `MIG ${instance}`].filter(Boolean).join(", ");
}

export class Processes {
  /** @param {{table: Element, count: Element, clear: Element, empty: Element, say: Function}} parts */
  constructor({ table, count, clear, empty, say }) {
    Object.assign(this, { table, count, clear, empty, say });
    this.sort = { name: "memory", down: true };
    this.filters = new Map();
    this.rows = [];
    table.tHead.append(this.headers(), this.inputs());
    clear.addEventListener("click", () => this.reset());
    document.addEventListener("keydown", (event) => this.key(event));
  }

  /** Takes the processes of a snapshot. */
  take(snapshot) {
    const video = ({ gpu_process_encoder_utilization_ratio: encoder, gpu_process_decoder_utilization_ratio: decoder }) => encoder || decoder;
    setAttribute(this.table, "data-video", snapshot.gpus.some((gpu) => gpu.processes.some(video)) ? "yes" : "no");
    this.known = snapshot.gpus.some((gpu) => "gpu_processes" in gpu.metrics);
    this.rows = snapshot.gpus.flatMap((gpu) =>
      gpu.processes.map((process) => {
        const start = process.gpu_process_start_time_seconds;
        return { ...process, gpu: gpu.gpu, uuid: gpu.uuid, age: start && snapshot.time - start };
      }),
    );
    this.show();
  }

  headers() {
    const cells = COLUMNS.map((column) => {
      const button = el("button", { type: "button", title: `Sort by ${fullTitle(column)}` }, column.title);
      const cell = el("th", { scope: "col", "data-column": column.name }, button);
      button.addEventListener("click", () => this.sortBy(column));
      return cell;
    });
    return el("tr", {}, ...cells);
  }

  inputs() {
    const cells = COLUMNS.map((column) => {
      const number = Boolean(column.scale);
      const input = el("input", {
        type: "search",
        "data-filter": column.name,
        "aria-label": number ? `Filter by ${fullTitle(column)}: at least so many ${column.unit}, or < and a number` : `Filter by ${fullTitle(column)}`,
        placeholder: number ? `≥ ${column.unit}` : "any",
        autocomplete: "off",
        spellcheck: "false",
      });
      input.addEventListener("input", () => this.filterBy(column, input.value));
      return el("td", { "data-column": column.name }, input);
    });
    return el("tr", { class: "filters" }, ...cells);
  }

  sortBy(column) {
    const again = this.sort.name === column.name;
    this.sort = { name: column.name, down: again ? !this.sort.down : numeric(column) && !column.exact };
    this.show();
    this.say(`Sorted by ${fullTitle(column)}, ${this.sort.down ? "descending" : "ascending"}`);
  }

  filterBy(column, text) {
    if (text.trim()) this.filters.set(column.name, filter(column, text.trim()));
    else this.filters.delete(column.name);
    this.show();
    this.say(this.count.textContent);
  }

  reset() {
    this.filters.clear();
    for (const input of this.table.tHead.querySelectorAll("input")) input.value = "";
    this.show();
    this.say(this.count.textContent);
  }

  /** "/" goes to the filters, Escape takes one back. */
  key(event) {
    const inField = event.target.matches("input, select, textarea");
    if (event.key === "/" && !inField && !document.querySelector("dialog[open]") && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.table.querySelector("[data-filter=name]").focus();
    } else if (event.key === "Escape" && event.target.matches("[data-filter]")) {
      event.preventDefault();
      event.target.value = "";
      event.target.dispatchEvent(new Event("input"));
    }
  }

  show() {
    const rows = this.rows.filter((row) => [...this.filters.values()].every((keep) => keep(row)));
    this.order(rows);
    for (const cell of this.table.tHead.rows[0].cells) {
      const sorted = cell.dataset.column === this.sort.name;
      setAttribute(cell, "aria-sort", sorted ? (this.sort.down ? "descending" : "ascending") : null);
    }
    reconcile(this.table.tBodies[0], rows, key, create, update);
    const all = this.rows.length;
    setText(this.count, rows.length === all ? format.number(all) : `${format.number(rows.length)} of ${format.number(all)}`);
    this.clear.hidden = this.filters.size === 0;
    this.empty.hidden = rows.length > 0;
    const none = this.known ? "No process is on a GPU." : "It is not known which processes are on the GPUs.";
    setText(this.empty, all ? "No process matches the filters." : none);
  }

  order(rows) {
    const column = COLUMNS.find(({ name }) => name === this.sort.name);
    const sign = this.sort.down ? -1 : 1;
    rows.sort((a, b) => sign * compare(column.value(a), column.value(b)) || compare(Number(a.gpu), Number(b.gpu)) || compare(Number(a.pid), Number(b.pid)));
  }
}

/** What is not there comes before all that is. */
function compare(a, b) {
  const [gone, missing] = [a === undefined || a === "", b === undefined || b === ""];
  if (gone || missing) return Number(missing) - Number(gone);
  if (typeof a === "string") return a.localeCompare(b, "en", { numeric: true });
  return a < b ? -1 : Number(a > b);
}

function filter(column, text) {
  if (column.exact) return (row) => column.exact(shown(column, row), text);
  if (!column.scale) {
    const wanted = text.toLowerCase();
    return (row) => `${shown(column, row)} ${column.detail?.(row) ?? ""}`.toLowerCase().includes(wanted);
  }
  const [, sign, digits] = /^([<>=≥≤]{0,2})\s*([\d.]+)/.exec(text) ?? [];
  const limit = Number(digits);
  if (!Number.isFinite(limit)) return () => true;
  return (row) => {
    const value = column.value(row);
    if (value === undefined) return false;
    const scaled = column.scale(value);
    return sign?.startsWith("<") || sign === "≤" ? scaled <= limit : scaled >= limit;
  };
}

function shown(column, row) {
  const value = column.value(row);
  if (value === undefined) return "";
  return column.text ? column.text(value, row) : value;
}

const key = (row) => [row.uuid, row.pid, row.name, row.user, row.gpu_instance, row.compute_instance].join("\n");

function create() {
  const cells = COLUMNS.map((column) =>
    column.name === "name"
      ? el("th", { scope: "row", "data-column": column.name })
      : el("td", { "data-column": column.name, class: numeric(column) ? "number" : null }),
  );
  return el("tr", {}, ...cells);
}

function update(node, row) {
  COLUMNS.forEach((column, index) => {
    const cell = node.cells[index];
    setText(cell, shown(column, row) || "–");
    setAttribute(cell, "data-zero", column.scale && column.value(row) === 0 ? "" : null);
    if (column.detail) setAttribute(cell, "title", column.detail(row) || null);
  });
}
