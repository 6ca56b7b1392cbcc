"""Relays of outboxes in databases of users."""
