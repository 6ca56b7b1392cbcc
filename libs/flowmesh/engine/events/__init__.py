"""Changes of the state by events."""
