"""Model services: the port of providers, their adapters, the choice among them, prices."""
