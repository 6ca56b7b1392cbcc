"""Callbacks: derived from events, stored, delivered."""
