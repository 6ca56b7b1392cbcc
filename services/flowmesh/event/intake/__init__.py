"""Intake of the event stream: ordering, and storage before acknowledgment."""
