"""Amazon States Language documents."""
