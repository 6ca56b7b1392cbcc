"""Instances of registered services: the choice for each call, and counts of the calls."""
