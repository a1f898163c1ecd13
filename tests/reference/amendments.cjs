// Where the reference engine deviates from CQL 1.5, and nothing else: each entry changes one operator to what the
// specification says. A difference counts as explained by an entry only if it is gone once that entry is in force.
// The sentences stand in explanations.py, under the same names.

'use strict';

module.exports = function amendments(modules) {
  const load = name => require(require('path').join(modules, 'cql-execution', 'lib', name));
  const list = load('elm/list.js');
  const query = load('elm/query.js');

  // Name → a function that takes the deviation away, and gives back the function that restores it.
  return {
    'flatten-null': () => replaced(list.Flatten.prototype, 'exec', original => async function (ctx) {
      const found = await this.execArgs(ctx);
      if (!Array.isArray(found)) return original.call(this, ctx);
      return found.flatMap(item => (item === null || item === undefined ? [] : item));
    }),
    'rows-of-one-source': () => replaced(query.Query.prototype, 'isDistinct', original => function () {
      const plain = !this.returnClause && !this.aggregateClause && this.sources.length === 1;
      return plain ? false : original.call(this);
    }),
  };
};

function replaced(target, name, make) {
  const original = target[name];
  target[name] = make(original);
  return () => { target[name] = original; };
}
