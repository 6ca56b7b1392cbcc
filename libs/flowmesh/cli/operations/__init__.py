"""Commands for the suite: services, limits, settings, health."""
