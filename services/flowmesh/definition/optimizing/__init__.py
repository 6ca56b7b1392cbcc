"""Proposals for stored workflows, rehearsed with inputs of the past."""
