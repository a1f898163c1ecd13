"""Python source for the bodies of defines and functions: one Python function each, instead of a tree of closures.

A builder gives with its closure an *emitter* (`Expr.emit`), which writes the same computation as statements of the
function that is being written. Closures and emitters must do the same in the same order: values, traces of what is
read, laziness, failures and where these are located are compared by tests/engine/test_optimisations.py.

`writer`: the function under construction · `operators`: operators of any kind · `logic`: three-valued logic and
choices · `references`: defines, parameters, calls · `elements`: properties · `queries`: queries and retrieves.
"""
