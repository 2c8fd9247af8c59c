// Makes Node enough of a browser for Grafana's packages, and hands out those of one major version.
// What draws, and what only Grafana's own pages have, is replaced by something that does nothing.
'use strict';
const Module = require('module');
const path = require('path');

function requireFrom(folder) {
  return Module.createRequire(path.join(folder, 'package.json'));
}

function makeWindow(JSDOM) {
  const { window } = new JSDOM('<!doctype html>', { url: 'http://localhost/' });
  const names = ['document', 'location', 'history', 'navigator', 'localStorage', 'sessionStorage'];
  names.push('Element', 'HTMLElement', 'Node', 'Event', 'CustomEvent', 'DOMParser', 'MutationObserver');
  globalThis.window = window;
  for (const name of names) {
    if (!(name in globalThis)) globalThis[name] = window[name];
  }
  class Observer {
    observe() {}
    unobserve() {}
    disconnect() {}
  }
  Object.assign(globalThis, { ResizeObserver: Observer, IntersectionObserver: Observer });
}

// Called, constructed, or asked for any member it gives itself.
const nothing = new Proxy(function () {}, {
  apply: () => nothing,
  construct: () => ({}),
  get: (target, name) => {
    if (name === 'prototype') return target.prototype;
    return name === Symbol.toPrimitive ? () => '' : name === '__esModule' || nothing;
  },
});

const DRAWS = /^(@grafana\/ui|ol|react-(select|grid-layout|use|virtualized-auto-sizer))(\/|$)|\.css$/;

// `packages` is the folder with node_modules; `runtime` stands in for @grafana/runtime.
exports.grafana = function (packages, major, runtime) {
  const require = requireFrom(packages);
  makeWindow(require('jsdom').JSDOM);
  const load = Module._load;
  Module._load = function (name, parent, ...rest) {
    if (DRAWS.test(name)) return nothing;
    if (name === '@grafana/runtime') return runtime;
    // What these packages bring along for themselves is theirs.
    const own = /^@grafana\/(data|schema|scenes)(\/.*)?$/.exec(name);
    if (!own || /grafana.data-/.test(parent.filename)) return load.call(this, name, parent, ...rest);
    // Of the parts of the schema, which are types, only some can be asked for.
    if (own[2]) return nothing;
    return load.call(this, require.resolve(`@grafana/${own[1]}-${major}`), parent, ...rest);
  };
  return { scenes: require('@grafana/scenes'), data: require('@grafana/data'), rxjs: require('rxjs') };
};

exports.nothing = nothing;
