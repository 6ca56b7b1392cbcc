"""The parts of a client: its calls, grouped by subject."""
