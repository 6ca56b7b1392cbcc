"""The operations, by category."""
