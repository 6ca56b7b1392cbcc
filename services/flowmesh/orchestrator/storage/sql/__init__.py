"""Statements of the orchestrator."""
