"""Live events: arrived commits, the cursors between them, and the fan-out to open streams."""
