"""Streams from the worker service to the orchestrators."""
