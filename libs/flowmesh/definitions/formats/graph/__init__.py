"""Reader of graph JSON."""
