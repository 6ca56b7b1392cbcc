"""Plans of checked workflows."""
