"""Workflows as tables."""
