"""Routes about kept signals."""
