"""ConceptMaps, readings, lexicon and lung-function equations: the data behind normalisation, read through
`importlib.resources`.
"""
