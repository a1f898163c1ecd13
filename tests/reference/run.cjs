// Evaluates every define of an ELM library with the reference engine (cql-execution, cql-exec-fhir), define by define.
// Only for tests. Reads JSON lines from standard input, answers each with one JSON line.
//
//   {"load": "name", "libraries": [ELM…], "main": id, "valueSets": {url: [{code, system, version?}…]}}  → {"ok": true}
//   {"run": "name", "bundle": {…}, "parameters": {name: value}, "now": "2026-06-15T12:00:00.000-03:00", "defines": [names]?}
//        → {"results": {define: {"value": …} | {"error": "…"}}}
//   {"runAll": "name", "bundle": {…}, "parameters": {…}, "now": "…", "only": {library: [names]}?}
//        → {"results": {library: {define: …}}}: the main library and each that it includes, however deep
//   Both take "amended": [names of amendments.cjs]?, and then evaluate with those deviations of the reference taken away.
//   {"time": "name", "bundle": {…}, "parameters": {…}, "now": "…", "defines": [names]?, "times": n}
//        → {"milliseconds": […]}: the PatientSource is made once, outside what is timed
//
// Values other than null, booleans, numbers and strings are objects that say their type under "$" (see `encode`).

'use strict';

const path = require('path');
console.log = console.error; // standard output holds answers only
const modules = process.env.CQL_REFERENCE || path.join(__dirname, '..', '..', '.tools', 'reference', 'node_modules');
const cql = require(path.join(modules, 'cql-execution'));
const fhir = require(path.join(modules, 'cql-exec-fhir'));

if (process.env.CQL_REFERENCE_REMEMBERS) {
  require('./remember.cjs')(cql, fhir, require(path.join(modules, 'cql-execution', 'lib', 'util', 'immutableUtil.js')));
}

// It says of each step of a path that leads to no element of one of a choice's types that there is none: by the thousand.
const complain = console.error;
console.error = (text, ...rest) => {
  if (!String(text).startsWith('Failed to locate element')) complain(text, ...rest);
};

const amendments = require('./amendments.cjs')(modules);
const loaded = new Map();

function encode(value, seen = new Set()) {
  if (value === undefined || value === null) return null;
  if (typeof value === 'bigint') return { $: 'Long', value: value.toString() };
  if (typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(item => encode(item, seen));
  if (value.isDateTime && value.isTime && value.isTime()) {
    return { $: 'Time', parts: [value.hour, value.minute, value.second, value.millisecond].map(n => n ?? null) };
  }
  if (value.isDateTime) {
    const parts = [value.year, value.month, value.day, value.hour, value.minute, value.second, value.millisecond];
    return { $: 'DateTime', parts: parts.map(n => n ?? null), offset: value.timezoneOffset ?? null };
  }
  if (value.isDate) return { $: 'Date', parts: [value.year, value.month, value.day].map(n => n ?? null) };
  if (value.isUncertainty) return { $: 'Uncertainty', low: encode(value.low, seen), high: encode(value.high, seen) };
  if (value.isQuantity) return { $: 'Quantity', value: value.value ?? null, unit: value.unit ?? null };
  if (value.isRatio) return { $: 'Ratio', numerator: encode(value.numerator), denominator: encode(value.denominator) };
  if (value.isInterval) {
    return {
      $: 'Interval', low: encode(value.low, seen), high: encode(value.high, seen),
      lowClosed: value.lowClosed, highClosed: value.highClosed
    };
  }
  if (value.isCode) return { $: 'Code', code: value.code ?? null, system: value.system ?? null };
  if (value.isConcept) return { $: 'Concept', codes: (value.codes || []).map(code => encode(code, seen)) };
  if (value.isValueSet) return { $: 'ValueSet', id: value.oid ?? value.id };
  if (value._typeInfo !== undefined) return encodeFhir(value);
  if (seen.has(value)) return { $: 'cycle' };
  const inner = new Set(seen).add(value);
  const made = { $: 'Tuple', elements: {} };
  for (const name of Object.keys(value)) made.elements[name] = encode(value[name], inner);
  return made;
}

// A resource by its type and id: both engines were given the same ones. A primitive is `{value, id?, extension?}` here.
function encodeFhir(value) {
  const json = value._json ?? null;
  const type = value._typeInfo ? value._typeInfo.name.replace(/^FHIR\./, '') : null;
  if (json && json.resourceType) {
    return { $: 'FHIR', type, json: { resourceType: json.resourceType, id: json.id ?? null } };
  }
  return { $: 'FHIR', type, json };
}

function decode(value) {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(decode);
  switch (value.$) {
    case 'Date': return cql.Date.parse(value.text);
    case 'DateTime': return cql.DateTime.parse(value.text);
    case 'Quantity': return new cql.Quantity(value.value, value.unit);
    case 'Code': return new cql.Code(value.code, value.system);
    case 'Interval':
      return new cql.Interval(decode(value.low), decode(value.high), value.lowClosed, value.highClosed);
    default: throw new Error(`a parameter of type ${value.$} can't be read`);
  }
}

// cql-execution wants value sets by URL and version; here each has one, whichever version the ELM names.
function codeService(valueSets) {
  const sets = {};
  for (const [url, codes] of Object.entries(valueSets)) sets[url] = { '': codes };
  const service = new cql.CodeService(sets);
  const find = service.findValueSet;
  service.findValueSet = url => find.call(service, url);
  return service;
}

function load({ libraries, main, valueSets }) {
  const repository = new cql.Repository(libraries.map(item => ({ library: item.library || item })));
  // cql-execution wants an include to name the library's namespace and version; published ELM names others, or none.
  const resolve = repository.resolve;
  repository.resolve = (path, version) => {
    const id = path.split('/').pop();
    const given = repository.libraries.filter(item => item.library.identifier.id === id);
    return resolve.call(repository, id, given.length > 1 ? version : undefined);
  };
  const found = libraries.map(item => ({ library: item.library || item })).find(item => item.library.identifier.id === main);
  return { library: new cql.Library(found, repository), codes: codeService(valueSets || {}) };
}

function parametersOf(given) {
  return Object.fromEntries(Object.entries(given || {}).map(([name, value]) => [name, decode(value)]));
}

// One source for all: to make it is to parse FHIR's model.
const source = fhir.PatientSource.FHIRv401({ requireProfileTagging: false });

function patientOf(bundle) {
  source.reset();
  source.loadBundles([bundle]);
  return source.currentPatient();
}

async function evaluate(name, patient, parameters, now, defines) {
  const { library, codes } = loaded.get(name);
  return evaluateIn(new cql.PatientContext(library, patient, codes, parameters, now), defines);
}

// Breadth first through the includes, each library once.
async function evaluateAll(name, patient, parameters, now, only) {
  const { library, codes } = loaded.get(name);
  const pending = [new cql.PatientContext(library, patient, codes, parameters, now)];
  const results = {};
  while (pending.length) {
    const context = pending.shift();
    const id = context.library.source.library.identifier.id;
    if (id in results) continue;
    results[id] = await evaluateIn(context, only ? only[id] || [] : undefined);
    for (const alias of Object.keys(context.library.includes)) pending.push(context.getLibraryContext(alias));
  }
  return results;
}

async function evaluateIn(context, defines) {
  const library = context.library;
  const results = {};
  for (const define of defines || Object.keys(library.expressions)) {
    const expression = library.expressions[define];
    if (expression === undefined || expression.isFunctionDef || expression.constructor.name === 'FunctionDef') continue;
    try {
      results[define] = { value: await expression.execute(context) };
    } catch (error) {
      results[define] = { error: String(error && error.message || error).slice(0, 600) };
    }
  }
  return results;
}

function written(results) {
  for (const result of Object.values(results)) if ('value' in result) result.value = encode(result.value);
  return results;
}

async function answer(request) {
  if (request.load) {
    loaded.set(request.load, load(request));
    return { ok: true };
  }
  const name = request.run || request.runAll || request.time;
  const parameters = parametersOf(request.parameters);
  const now = cql.DateTime.parse(request.now);
  const patient = patientOf(request.bundle);
  if (request.run || request.runAll) {
    const restore = (request.amended || []).map(amendment => amendments[amendment]());
    try {
      if (request.run) return { results: written(await evaluate(name, patient, parameters, now, request.defines)) };
      const found = await evaluateAll(name, patient, parameters, now, request.only);
      return { results: Object.fromEntries(Object.entries(found).map(([id, results]) => [id, written(results)])) };
    } finally {
      for (const undo of restore.reverse()) undo();
    }
  }
  const milliseconds = [];
  for (let i = 0; i < request.times; i++) {
    const start = process.hrtime.bigint();
    await evaluate(name, patient, parameters, now, request.defines);
    milliseconds.push(Number(process.hrtime.bigint() - start) / 1e6);
  }
  return { milliseconds };
}

async function main() {
  const lines = require('readline').createInterface({ input: process.stdin });
  for await (const line of lines) {
    if (!line.trim()) continue;
    let made;
    try {
      made = await answer(JSON.parse(line));
    } catch (error) {
      made = { failure: String(error && error.stack || error).slice(0, 2000) };
    }
    process.stdout.write(JSON.stringify(made) + '\n');
  }
}

main();
