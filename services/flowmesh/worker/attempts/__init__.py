"""Collaborators of built-in attempts: stored values, secrets, cached results."""
