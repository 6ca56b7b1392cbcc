"""Writer of Amazon States Language documents."""
