"""CDS Hooks: discovery, the services, their cards and feedback, who may call, and how errors read."""
