"""Workflows and resources written in code."""
