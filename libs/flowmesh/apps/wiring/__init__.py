"""Wiring: the partner of each module, found by name or by kind, always the same."""
