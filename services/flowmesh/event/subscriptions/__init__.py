"""Event streams to subscribers."""
