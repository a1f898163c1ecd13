// Makes the reference engine remember what it has read of a patient, so that 10,000 patients take minutes, not hours.
// Only for comparing values, never for timing: running(remember=True) asks for it.
//
// Nothing is computed otherwise. FHIR objects are never changed, so an element that was read once is the same when it is read
// again; a library that is included twice has the same parameters and the same patient both times, so its defines are too.

'use strict';

module.exports = function remember(cql, fhir, keys) {
  const source = fhir.PatientSource.FHIRv401({ requireProfileTagging: false });
  source.loadBundles([{ entry: [{ resource: { resourceType: 'Patient' } }] }]);
  const patient = Object.getPrototypeOf(source.currentPatient());
  const object = Object.getPrototypeOf(patient);

  perObject(object, 'get', field => field);
  perObject(object, 'getCode', field => field);
  perObject(patient, 'findRecords', (profile, details) => (details ? details.datatype : profile), found => [...found]);

  const hierarchies = new WeakMap();
  const hierarchy = object._typeHierarchy;
  object._typeHierarchy = function () {
    if (!hierarchies.has(this._typeInfo)) hierarchies.set(this._typeInfo, hierarchy.call(this));
    return hierarchies.get(this._typeInfo);
  };

  const normalised = new WeakMap();
  const normalise = keys.toNormalizedKey;
  keys.toNormalizedKey = function (value) {
    if (value === null || typeof value !== 'object' || value._typeInfo === undefined) return normalise(value);
    if (!normalised.has(value)) normalised.set(value, normalise(value));
    return normalised.get(value);
  };

  const contexts = new WeakMap();
  const libraryContext = cql.PatientContext.prototype.getLibraryContext;
  cql.PatientContext.prototype.getLibraryContext = function (alias) {
    const library = this.get(alias);
    if (!contexts.has(this.patient)) contexts.set(this.patient, new Map());
    const known = contexts.get(this.patient);
    const id = library.source.library.identifier.id;
    if (!known.has(id)) known.set(id, libraryContext.call(this, alias));
    return known.get(id);
  };
};

// What `prototype[method]` once returned for a key, kept with the object itself.
function perObject(prototype, method, keyOf, copy = value => value) {
  const original = prototype[method];
  const kept = Symbol(method);
  prototype[method] = function (...given) {
    const key = keyOf(...given);
    if (this[kept] === undefined) Object.defineProperty(this, kept, { value: new Map(), enumerable: false });
    if (!this[kept].has(key)) this[kept].set(key, original.apply(this, given));
    return copy(this[kept].get(key));
  };
}
