"""Migrations of the schema `orchestrator`, applied in order."""
