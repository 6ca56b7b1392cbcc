"""The loop that compares agents with specs, and settles the difference."""
