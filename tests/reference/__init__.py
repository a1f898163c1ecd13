"""The reference engine (cql-execution with cql-exec-fhir, in Node), and what is compared with it. Only for tests."""
