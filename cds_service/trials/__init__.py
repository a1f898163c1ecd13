"""The trial packages: one folder a trial (data only), `common/` with the CQL that they share."""
