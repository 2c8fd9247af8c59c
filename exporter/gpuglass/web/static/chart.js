// Lines of the last five minutes, drawn by uPlot.

import { SECONDS } from "./history.js";

const charts = new Set();
const sizes = new ResizeObserver((entries) => {
  for (const entry of entries) entry.target.chart?.resize(entry.contentRect);
});

/** Draws all charts anew: the theme has changed. */
export function recolour() {
  for (const chart of charts) chart.plot?.redraw();
}

function faded(colour, alpha) {
  return colour.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);
}

export class Chart {
  /**
   * @param {HTMLElement} host Where it is drawn; its CSS colour is the line's, and its size the chart's.
   * @param {{axes?: boolean, format?: (value: number) => string}} options Axes for the large ones.
   */
  constructor(host, { axes = false, format = String } = {}) {
    this.host = host;
    this.axes = axes;
    this.format = format;
    this.top = 1;
    this.now = 0;
    host.chart = this;
    charts.add(this);
    sizes.observe(host);
  }

  /** Shows values at times up to now, on a scale from 0 to `top`; `mark` is the card's limit. */
  update(times, values, now, top, mark = top) {
    this.data = [times, values];
    this.now = now;
    this.top = top;
    this.mark = mark;
    if (this.plot) this.plot.setData(this.data);
  }

  resize({ width, height }) {
    if (width < 2 || height < 2) return;
    const size = { width: Math.floor(width), height: Math.floor(height) };
    if (this.plot) this.plot.setSize(size);
    else if (this.data) this.plot = new uPlot(this.options(size), this.data, this.host);
  }

  remove() {
    charts.delete(this);
    sizes.unobserve(this.host);
    this.plot?.destroy();
  }

  options(size) {
    const colour = () => getComputedStyle(this.host).color;
    const style = (name) => getComputedStyle(this.host).getPropertyValue(name).trim();
    const axis = {
      stroke: () => style("--muted"),
      font: "11px system-ui, sans-serif",
      ticks: { show: false },
    };
    const grid = { stroke: () => style("--line"), width: 1 };
    return {
      ...size,
      padding: this.axes ? [8, 18, 0, 0] : [2, 0, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, range: () => [this.now - SECONDS, this.now] },
        y: { range: () => [0, this.top] },
      },
      axes: this.axes
        ? [
            {
              ...axis,
              grid: { show: false },
              size: 22,
              splits: () => [4, 3, 2, 1, 0].map((minutes) => this.now - 60 * minutes),
              values: (_, all) =>
                all.map((at) => (at >= this.now - 1 ? "now" : `−${Math.round((this.now - at) / 60)} min`)),
            },
            {
              ...axis,
              grid,
              size: 68,
              splits: () => [0, this.mark / 2, this.mark],
              values: (_, all) => all.map((value) => this.format(value)),
            },
          ]
        : [{ show: false }, { show: false }],
      series: [
        {},
        {
          stroke: colour,
          fill: () => faded(colour(), 0.14),
          width: 1.5,
          points: { show: false },
          spanGaps: false,
        },
      ],
    };
  }
}
