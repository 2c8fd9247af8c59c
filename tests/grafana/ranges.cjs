// Opens dashboards in Grafana's scenes, changes their time range, and prints what is asked of which data source.
//
//   node ranges.cjs PACKAGES MAJOR <request.json
//
// The request: {dashboards: [FILE...], storages: {NAME: URL}, steps: [{from, to} or {resolution}...]}. The data sources
// and what runs the queries of panels are ours; the variables' queries are answered by the VictoriaMetrics at URL.
'use strict';
const fs = require('fs');
const { grafana, nothing } = require('./browser.cjs');

const [packages, major] = process.argv.slice(2);
const request = JSON.parse(fs.readFileSync(0, 'utf8'));
const INTERVALS = { 'vm-raw': '5s', 'vm-1m': '1m', 'vm-1h': '1h' };

const runtime = new Proxy(
  {
    config: { featureToggles: {}, buildInfo: { version: `${major}.0.0` }, bootData: { user: {} }, theme2: {} },
    getDataSourceSrv: () => registry,
    getRunRequest: () => runRequest,
    getTemplateSrv: () => ({ replace: (text) => text }),
    locationService: { getLocation: () => ({ search: '', pathname: '/' }), getHistory: () => nothing },
    // So that what scenes registers with Grafana itself is its own business.
    __esModule: true,
  },
  { get: (target, name) => (name in target ? target[name] : nothing) }
);
const { scenes, data, rxjs } = grafana(packages, major, runtime);

function interpolated(text, scopedVars) {
  return scenes.sceneGraph.interpolate(scopedVars.__sceneObject.value.valueOf(), text, scopedVars, (value) =>
    Array.isArray(value) ? value.join('|') : value
  );
}

class Source extends data.DataSourceApi {
  constructor(uid, url) {
    super({ uid, name: uid, type: 'prometheus', id: 1, meta: { id: 'prometheus' }, jsonData: {} });
    this.interval = INTERVALS[uid];
    this.storage = url;
  }

  getRef() {
    return { uid: this.uid, type: 'prometheus' };
  }

  async metricFindQuery(query, options) {
    const range = options.range;
    const seconds = Math.round((range.to - range.from) / 1000);
    const scoped = { ...options.scopedVars, __range_s: { value: seconds, text: seconds } };
    const text = interpolated(typeof query === 'string' ? query : query.query, scoped);
    const result = /^query_result\((.*)\)$/s.exec(text);
    if (result) return this.instant(result[1], range);
    const [, selector, label] = /^label_values\((.*),\s*(\w+)\)$/s.exec(text);
    const names = { 'match[]': selector, start: range.from / 1000, end: range.to / 1000 };
    return (await ask(this.storage, `label/${label}/values`, names)).map((value) => ({ text: value }));
  }

  // As the data source for Prometheus writes the lines that a variable's pattern reads.
  async instant(query, range) {
    const { result } = await ask(this.storage, 'query', { query, time: range.to / 1000 });
    return result.map(({ metric, value }) => {
      const labels = Object.entries(metric).map(([name, label]) => `${name}="${label}"`);
      return { text: `{${labels.join(',')}} ${value[1]} ${value[0] * 1000}` };
    });
  }
}

async function ask(storage, path, parameters) {
  // Panels learn of a new time range a turn later than variables: no answer from a network is there before.
  await new Promise((resolve) => setTimeout(resolve, 10));
  const answer = await fetch(`${storage}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const { status, data: found, error } = await answer.json();
  if (status !== 'success') throw new Error(`${JSON.stringify(parameters)}: ${error}`);
  return found;
}

const registry = {
  // Grafana's own puts variables' values into the name in the same way.
  get: async (reference, scopedVars) => {
    const uid = interpolated(typeof reference === 'string' ? reference : reference.uid, scopedVars);
    if (!(uid in INTERVALS)) throw new Error(`no data source is called ${uid}`);
    return new Source(uid, scopedVars.__sceneObject.value.valueOf().getRoot().storage);
  },
  getInstanceSettings: (reference) => ({ uid: reference && reference.uid, type: 'prometheus', meta: {} }),
  getList: () => [],
};

function runRequest(source, { targets, scopedVars, interval, range }) {
  const runner = scopedVars.__sceneObject.value.valueOf();
  const expressions = targets.map((target) => interpolated(target.expr, scopedVars));
  runner.getRoot().asked.push({ panel: runner.panel, source: source.uid, interval, expressions });
  return rxjs.of({ state: data.LoadingState.Done, series: [], annotations: [], timeRange: range });
}

const HIDE = { 0: 'dontHide', 1: 'hideLabel', 2: 'hideVariable' };

function variable(json) {
  const { name, label, query, current, multi, includeAll, allValue, regex, sort, refresh, hide } = json;
  const state = { name, label, hide, value: current?.value ?? '', text: current?.text ?? '' };
  const several = { isMulti: multi, includeAll, defaultToAll: includeAll, allValue };
  if (json.type === 'custom') return new scenes.CustomVariable({ ...state, ...several, query });
  if (json.type !== 'query') throw new Error(`${name}: a ${json.type} variable is not expected`);
  const { datasource } = json;
  return new scenes.QueryVariable({ ...state, ...several, datasource, query, regex, sort, refresh });
}

function panelsOf(dashboard) {
  return dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]).filter((p) => p.targets?.length);
}

function open(dashboard, range, storage) {
  const runners = panelsOf(dashboard).map((panel) => {
    const { datasource, targets: queries, interval: minInterval } = panel;
    const runner = new scenes.SceneQueryRunner({ datasource, queries, minInterval, maxDataPoints: 500 });
    runner.panel = panel.id;
    return runner;
  });
  const scene = new scenes.EmbeddedScene({
    $timeRange: new scenes.SceneTimeRange(range),
    $variables: new scenes.SceneVariableSet({ variables: dashboard.templating.list.map(variable) }),
    body: new scenes.SceneFlexLayout({
      children: runners.map((runner) => new scenes.SceneFlexItem({ $data: runner })),
    }),
  });
  Object.assign(scene, { storage, asked: [] });
  const ends = [];
  // Outermost first, as what draws them does.
  (function activate(object) {
    if (!object.isActive) ends.push(object.activate());
    object.forEachChild(activate);
  })(scene);
  return { scene, close: () => ends.reverse().forEach((end) => end()) };
}

// Quiet: nothing loads, and nothing more was asked for a while.
async function settled(scene) {
  for (let seen = -1, calm = 0; calm < 5; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const busy = scene.state.$variables.state.variables.some((v) => v.state.loading);
    calm = !busy && seen === scene.asked.length ? calm + 1 : 0;
    seen = scene.asked.length;
  }
}

function outcome(scene) {
  const list = scene.state.$variables.state.variables;
  const errors = list.filter((v) => v.state.error).map((v) => `${v.state.name}: ${v.state.error}`);
  const shown = (name) => scenes.sceneGraph.interpolate(scene, `\${${name}:csv}`);
  const values = Object.fromEntries(list.map((v) => [v.state.name, shown(v.state.name)]));
  return { values, errors, asked: scene.asked };
}

async function tour(file, storage) {
  const dashboard = JSON.parse(fs.readFileSync(file, 'utf8'));
  const [first, ...others] = request.steps;
  const { scene, close } = open(dashboard, first, storage);
  const outcomes = [];
  await settled(scene);
  outcomes.push(outcome(scene));
  for (const { from, to, resolution } of others) {
    scene.asked = [];
    const chosen = resolution && scenes.sceneGraph.lookupVariable('resolution', scene);
    if (chosen) chosen.changeValueTo(resolution);
    if (from) {
      const range = { from: data.dateMath.parse(from), to: data.dateMath.parse(to) };
      scene.state.$timeRange.onTimeRangeChange({ ...range, raw: { from, to } });
    }
    await settled(scene);
    outcomes.push(outcome(scene));
  }
  close();
  return outcomes;
}

async function everywhere(file) {
  const names = Object.keys(request.storages);
  const tours = names.map(async (name) => [name, await tour(file, request.storages[name])]);
  return [file, Object.fromEntries(await Promise.all(tours))];
}

(async () => {
  const answers = await Promise.all(request.dashboards.map(everywhere));
  fs.writeSync(1, JSON.stringify(Object.fromEntries(answers)));
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
