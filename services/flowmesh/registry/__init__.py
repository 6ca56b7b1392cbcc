"""The registry service: which instances of which services are there, and how they are."""
