"""Deletion, erasure and archiving of ended executions."""
