"""CDS Hooks: each row of the checklist and each numbered requirement, with the tests that prove it."""
