"""Connections to a suite: addresses, credentials, calls and streams."""
