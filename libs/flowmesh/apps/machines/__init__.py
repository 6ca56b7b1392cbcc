"""State machines: a pure step, rows of instances, changes and effects, and their runner."""
