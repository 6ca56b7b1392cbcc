"""Versions as rows, and what is kept in memory of them."""
