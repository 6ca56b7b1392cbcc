"""Commands on the suite: services, limits, settings, health."""
