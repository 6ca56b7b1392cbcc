"""Numbers of bank accounts."""
