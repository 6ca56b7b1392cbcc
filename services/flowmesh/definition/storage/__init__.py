"""Versions as rows, and caches of them in memory."""
