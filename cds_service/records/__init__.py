"""Patient records: read from Bundles and servers, normalised (FHIR in, FHIR out), and handed to the engine
by code.

`read_bundle` → `normalise` → `RecordRetriever`. Bad input as a whole raises InputError; a resource or
element that can't be read is dropped or marked, never guessed, so that what rests on it becomes unknown.
"""
