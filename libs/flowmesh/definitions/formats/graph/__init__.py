"""Graph JSON."""
