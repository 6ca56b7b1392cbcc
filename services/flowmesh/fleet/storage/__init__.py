"""Specs, agents, policies and decisions in PostgreSQL."""
