"""Calls of steps for other projects, and connections to the gateways of other cells."""
