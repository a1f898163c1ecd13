// Where the reference engine deviates from CQL 1.5, and nothing else: each entry changes one operator to what the
// specification says. A difference counts as explained by an entry only if it is gone once that entry is in force.
// The sentences stand in explanations.py, under the same names; those that only published content comes upon, in
// tests/measures/explained.json.

'use strict';

module.exports = function amendments(modules) {
  const load = name => require(require('path').join(modules, 'cql-execution', 'lib', name));
  const list = load('elm/list.js');
  const query = load('elm/query.js');
  const parameters = load('elm/parameters.js');
  const logical = load('elm/logical.js');
  const clinical = load('elm/clinical.js');
  const units = load('util/units.js');

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
    'sorted-as-text': () => {
      const restore = ['ByDirection', 'ByExpression'].map(name =>
        replaced(query[name].prototype, 'exec', original => async function (ctx, a, b) {
          const keys = name === 'ByDirection' ? [a, b] : [];
          if (name === 'ByExpression') {
            for (const row of [a, b]) keys.push(await this.expression.execute(ctx.childContext(row)));
          }
          if (!keys.every(key => key && key.isDateTime && !key.isTime())) return original.call(this, ctx, a, b);
          const offset = ctx.getTimezoneOffset();
          const [one, two] = keys.map(key => (key.timezoneOffset === offset ? key : key.convertToTimezoneOffset(offset)));
          if (one.before(two)) return this.low_order;
          return two.before(one) ? this.high_order : original.call(this, ctx, a, b);
        }));
      return () => restore.forEach(undo => undo());
    },
    // It takes the declaration itself for the value, or fails where its search ends at a library.
    'parameter-without-value': () => replaced(parameters.ParameterDef.prototype, 'exec', () => async function (ctx) {
      for (let holder = ctx; holder; holder = holder.parent) {
        const value = holder.parameters && holder.parameters[this.name];
        if (value !== undefined && !(value instanceof parameters.ParameterDef)) return value;
      }
      return this.default ? this.default.execute(ctx) : null;
    }),
    // It looks for a code's code system in the code's own library, whichever library the ELM names.
    'code-system-elsewhere': () => replaced(clinical.CodeDef.prototype, 'exec', original => function (ctx) {
      const { library: { source } } = ctx.rootContext();
      const found = source.library.codes.def.find(def => def.name === this.name);
      const from = found && found.codeSystem.libraryName;
      if (!from) return original.call(this, ctx);
      const where = ctx.getLibraryContext(from);
      return original.call(this, Object.assign(Object.create(where), { getCodeSystem: name => where.getCodeSystem(name) }));
    }),
    // It computes both operands always.
    'first-operand-decides': () => {
      const restore = [['And', false], ['Or', true]].map(([name, decisive]) =>
        replaced(logical[name].prototype, 'exec', original => async function (ctx) {
          return (await this.args[0].execute(ctx)) === decisive ? decisive : original.call(this, ctx);
        }));
      return () => restore.forEach(undo => undo());
    },
    'units-unchecked': () => replaced(units, 'checkUnit', () => () => ({ valid: true })),
  };
};

function replaced(target, name, make) {
  const original = target[name];
  target[name] = make(original);
  return () => { target[name] = original; };
}
