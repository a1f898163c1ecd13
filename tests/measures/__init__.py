"""Published FHIR quality measures, run define by define through the engine and the reference engine.

`make measures MEASURES=<folder>`: a checkout of a content repository (CQL or bundled ELM, value sets, test patients).
Nothing of such content is copied into this repository; what the tests use was written for them (`data/`).
"""
