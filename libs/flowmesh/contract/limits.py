"""Limits of the messages between clients, services and workers."""

INLINE_BYTES_MAX = 256 * 1024
"""A payload inside a message. A larger one is stored first and travels by reference."""
